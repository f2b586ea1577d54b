"""P3D: bottlenecks whose 3x3x3 is 1x3x3 and 3x1x1 in one of three wirings, and a last layer over single pictures.

In: clips of shape (N, 3, 16, 160, 160); other sizes, too, of 16 frames or more. Out: one score per class.
Module names are those of the PyTorch port. Two forms have the same weights and other results: the authors' Caffe
network and that port. Refused: forms and depths that are none.

References: Qiu, Yao, Mei, arXiv 1711.10305.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any, Final

from torch import Tensor, nn

from winograd.networks.builder import Builder, Conv
from winograd.networks.p3d_blocks import WIRINGS, Block, PictureBlock
from winograd.networks.video_network import VideoNetwork
from winograd.quoting import quote

_DEPTHS: Final[Mapping[int, tuple[int, int, int, int]]] = {63: (3, 4, 6, 3), 131: (3, 4, 23, 3), 199: (3, 8, 36, 3)}

_WIDTHS: Final = (64, 128, 256, 512)

_PICTURES: Final = 4
"""The layer that sees single pictures."""

_POOLING: Final[Mapping[str, dict[str, Any]]] = {"official": {"ceil_mode": True}, "port": {"padding": (0, 1, 1)}}
"""How the first pooling of each form gets as many outputs as half of its inputs."""


class P3D(VideoNetwork):
    """P3D-63, 131 or 199.

    Parameters
    ----------
    num_classes : int
        Number of scores, at least 1.
    depth : int
        63, 131 or 199.
    form : {"official", "port"}
        The authors' Caffe network, whose wirings B and C end with ReLU, whose C halves both ways, and whose first
        pooling is not padded; or the PyTorch port, whose weights need its own.
    wirings : str
        Letters of the wirings that the blocks over space and time take in turn.
    dropout : float
        Probability of dropping a feature before the last layer, while training.
    conv, conv2d : callable
        Build the convolutions over three axes, and those of the last layer over two.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):  # shapes only, no memory
    ...     model = P3D(depth=199)
    >>> sum(parameter.numel() for parameter in model.parameters())
    66492240
    """

    input_shape = (3, 16, 160, 160)
    classifier = "fc"

    def __init__(
        self,
        num_classes: int = 400,
        *,
        depth: int = 199,
        form: str = "official",
        wirings: str = "ABC",
        dropout: float = 0.5,
        conv: Conv = nn.Conv3d,
        conv2d: Conv = nn.Conv2d,
    ) -> None:
        super().__init__()
        if depth not in _DEPTHS:
            raise ValueError(f"depth is {depth}, must be one of {', '.join(map(str, _DEPTHS))}")
        if form not in WIRINGS:
            raise ValueError(f"form is {quote(form)}, must be one of {', '.join(WIRINGS)}")
        if not wirings or set(wirings) - set("ABC"):
            raise ValueError(f"wirings is {quote(wirings)}, must be of the letters A, B and C")
        builder = Builder(conv)
        self.conv1_custom = builder.convolution(3, 64, (1, 7, 7), stride=(1, 2, 2))
        self.bn1 = builder.norm(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d((2, 3, 3), stride=2, **_POOLING[form])
        self.maxpool_2 = nn.MaxPool3d((2, 1, 1))
        turns = cycle(WIRINGS[form]["ABC".index(letter)] for letter in wirings)
        channels = 64
        for layer, (width, count) in enumerate(zip(_WIDTHS, _DEPTHS[depth], strict=True), start=1):
            blocks: list[nn.Module] = []
            for number in range(count):
                first = number == 0
                if layer == _PICTURES:
                    blocks.append(PictureBlock(Builder(conv2d, axes=2), channels, width, first=first))
                else:
                    stride = (1, 2, 2) if first and layer > 1 else (1, 1, 1)
                    blocks.append(Block(builder, next(turns), channels, width, stride, shortcut=first))
                channels = 4 * width
            self.add_module(f"layer{layer}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Return the scores, shape (N, num_classes); the mean over the moments that more than 16 frames leave."""
        x = self.maxpool(self.relu(self.bn1(self.conv1_custom(clips))))
        for layer in range(1, _PICTURES):
            x = self.maxpool_2(getattr(self, f"layer{layer}")(x))
        batch, _, moments = x.shape[:3]
        pictures = x.transpose(1, 2).flatten(0, 1)
        features = self.avgpool(getattr(self, f"layer{_PICTURES}")(pictures)).flatten(1)
        scores: Tensor = self.fc(self.dropout(features))
        return scores.reshape(batch, moments, -1).mean(dim=1)
