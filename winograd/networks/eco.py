"""ECO-Lite as modified for the study of its structures: a network over single frames, then one over what they gave.

In: clips of shape (N, 3, 16, 243, 243), or of other sizes whose frames give 28 x 28. Out: one score per class.
Names in the frame network are those of torchvision's Inception-v3, whose first layers it has.
Refused: structures, tensors and samplings that are none.

References: Hajimolahoseini, Ahmed, Wen, Liu, "Is 3D convolution with 5D tensors really necessary for video analysis?",
table I; Zolfaghari, Singh, Brox, arXiv 1804.09066; Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, arXiv 1512.00567.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

from winograd.networks.builder import Builder, Conv, Sizes
from winograd.networks.flat_structures import OVER_FOUR_AXES
from winograd.networks.residual import ResidualBlock
from winograd.networks.structures import OVER_FIVE_AXES, Builders, Structure
from winograd.networks.video_network import VideoNetwork
from winograd.quoting import quote

_FRAME_FEATURES: Final = 96

_WIDTHS: Final = (128, 256, 512)

_FRAME_EPS: Final = 1e-3
"""Of the normalisations over frames, as the weights of Inception-v3 need."""

_SAMPLINGS: Final = ("flat", "grid")

STRUCTURES: Final[Mapping[str, Mapping[str, Structure]]] = {
    "4d": {"conv3d": OVER_FIVE_AXES["conv3d"], **OVER_FOUR_AXES},
    "5d": {**OVER_FOUR_AXES, **OVER_FIVE_AXES},
}
"""By the tensors that they are on: a 3x3x3 convolution needs five axes, and "add" and "cat" are made for four."""


def _unit(
    builder: Builder, channels: int, outputs: int, taps: int = 1, *, stride: int = 1, padding: Sizes | None = None
) -> nn.Sequential:
    names = ("conv", "bn", "relu")
    layers = builder.activated(channels, outputs, taps, stride=stride, padding=padding)
    return nn.Sequential(OrderedDict(zip(names, layers, strict=True)))


class DoubleBranch(nn.Module):
    """1x1, 3x3, 3x3: one branch of Inception-A, and all of the last module of the frame network."""

    def __init__(self, builder: Builder, channels: int) -> None:
        super().__init__()
        self.branch3x3dbl_1 = _unit(builder, channels, 64)
        self.branch3x3dbl_2 = _unit(builder, 64, 96, 3)
        self.branch3x3dbl_3 = _unit(builder, 96, _FRAME_FEATURES, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of 96 channels."""
        features: Tensor = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return features


class InceptionA(DoubleBranch):
    """Four branches side by side in the channels of the output, 224 + ``pooled`` of them."""

    def __init__(self, builder: Builder, channels: int, pooled: int) -> None:
        super().__init__(builder, channels)
        self.branch1x1 = _unit(builder, channels, 64)
        self.branch5x5_1 = _unit(builder, channels, 48)
        self.branch5x5_2 = _unit(builder, 48, 64, 5)
        self.pool = nn.AvgPool2d(3, stride=1, padding=1)
        self.branch_pool = _unit(builder, channels, pooled)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of all branches."""
        branches = (
            self.branch1x1(x),
            self.branch5x5_2(self.branch5x5_1(x)),
            super().forward(x),
            self.branch_pool(self.pool(x)),
        )
        return torch.cat(branches, dim=1)


def _frame_network(builder: Builder) -> nn.Sequential:
    layers = {
        "Conv2d_1a_3x3": _unit(builder, 3, 32, 3, stride=2, padding=0),
        "Conv2d_2a_3x3": _unit(builder, 32, 32, 3, padding=0),
        "Conv2d_2b_3x3": _unit(builder, 32, 64, 3),
        "maxpool1": nn.MaxPool2d(3, stride=2),
        "Conv2d_3b_1x1": _unit(builder, 64, 80),
        "Conv2d_4a_3x3": _unit(builder, 80, 192, 3, padding=0),
        "maxpool2": nn.MaxPool2d(3, stride=2),
        "Mixed_5b": InceptionA(builder, 192, 32),
        "Mixed_5c": InceptionA(builder, 256, 64),
        "Mixed_5d": DoubleBranch(builder, 288),
    }
    return nn.Sequential(OrderedDict(layers))


def _block(
    structure: Structure, builders: Builders, channels: int, width: int, step: int, first: bool
) -> ResidualBlock:
    outputs = structure.copies * width
    chain = (
        nn.Sequential(structure.unit(builders, channels, width, step), nn.ReLU(inplace=True)),
        structure.unit(builders, outputs, width, 1),
    )
    return ResidualBlock(chain, outputs, structure.shortcut(builders, channels, outputs, step) if first else None)


class ECOLite(VideoNetwork):
    """ECO-Lite with one of eight structures in its network over clips.

    Parameters
    ----------
    num_classes : int
        Number of scores, at least 1; the published counts have 101.
    structure : {"conv3d", "r2plus1d", "p3d_a", "p3d_b", "p3d_c", "rank1", "add", "cat"}
        What stands for a 3x3x3 convolution of the network over clips.
    tensors : {"4d", "5d"}
        Whether structures are on tensors of four axes ("rank1" of three), by convolutions over two axes and one, as
        the paper means them; or on tensors of five, by convolutions over three, which gives the same results.
    sampling : {"flat", "grid"}
        Which places the branch over time of the structures "add", "cat" and, on four axes, "p3d_b" keeps where it has
        a step: what the paper writes, or what it means; see `winograd.networks.flat_structures`.
    conv, conv2d, conv1d : callable
        Build the convolutions over three axes, two and one.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):  # shapes only, no memory
    ...     model = ECOLite(101, structure="add")
    >>> sum(parameter.numel() for parameter in model.parameters())
    16265573
    """

    input_shape = (3, 16, 243, 243)
    classifier = "fc"

    def __init__(
        self,
        num_classes: int = 400,
        *,
        structure: str = "conv3d",
        tensors: str = "4d",
        sampling: str = "flat",
        conv: Conv = nn.Conv3d,
        conv2d: Conv = nn.Conv2d,
        conv1d: Conv = nn.Conv1d,
    ) -> None:
        super().__init__()
        if tensors not in STRUCTURES:
            raise ValueError(f"tensors is {quote(tensors)}, must be one of {', '.join(STRUCTURES)}")
        structures = STRUCTURES[tensors]
        if structure not in structures:
            raise ValueError(f"structure is {quote(structure)}, must be one of {', '.join(structures)}")
        if sampling not in _SAMPLINGS:
            raise ValueError(f"sampling is {quote(sampling)}, must be one of {', '.join(_SAMPLINGS)}")
        self.net2d = _frame_network(Builder(conv2d, axes=2, norm_eps=_FRAME_EPS))
        builders = Builders(Builder(conv), Builder(conv2d, axes=2), Builder(conv1d, axes=1), sampling)
        self.net3d = nn.Sequential()
        channels = _FRAME_FEATURES
        for stage, width in enumerate(_WIDTHS):
            for number in range(2):
                first = number == 0
                step = 2 if first and stage else 1
                block = _block(structures[structure], builders, channels, width, step, first)
                self.net3d.append(block)
                channels = block.outputs
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Return the scores, shape (N, num_classes), of clips of shape (N, 3, frames, 243, 243)."""
        frames = self.net2d(clips.transpose(1, 2).flatten(0, 1))
        features = self.net3d(frames.unflatten(0, (clips.shape[0], clips.shape[2])).transpose(1, 2))
        scores: Tensor = self.fc(self.avgpool(features).flatten(1))
        return scores
