"""I3D: Inception-v1 with every kernel inflated in time, for colours, for optical flow, or for both.

In: clips of shape (N, 3, 64, 224, 224), of flow (N, 2, ...), or of both (N, 5, ...), colours first; other sizes, too.
Out: one score per class, the mean over time. Module names are those of the PyTorch port. Refused: other channels.

References: Carreira, Zisserman, arXiv 1705.07750.
"""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

from winograd.networks.builder import Builder, Conv
from winograd.networks.inception import FEATURES, inception_body
from winograd.networks.video_network import VideoNetwork

NORM_EPS: Final = 1e-3
"""Of the normalisations, as the public weights need."""


class I3D(VideoNetwork):
    """One stream of I3D.

    Parameters
    ----------
    num_classes : int
        Number of scores, at least 1; the public checkpoints have 400 and 157.
    channels : int
        3 for colours, 2 for flow.
    dropout : float
        Probability of dropping a feature before the last layer, while training.
    conv : callable
        Builds each convolution.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):  # shapes only, no memory
    ...     model = I3D()
    >>> sum(parameter.numel() for parameter in model.parameters())
    12697264
    """

    classifier = "logits.conv3d"

    def __init__(
        self, num_classes: int = 400, *, channels: int = 3, dropout: float = 0.5, conv: Conv = nn.Conv3d
    ) -> None:
        super().__init__()
        self.input_shape = (channels, 64, 224, 224)
        layers = inception_body(Builder(conv, norm_eps=NORM_EPS), channels)
        self.body = tuple(layers)
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.avg_pool = nn.AvgPool3d((2, 7, 7), stride=1)
        self.dropout = nn.Dropout(dropout)
        self.logits = nn.Sequential()
        self.logits.add_module("conv3d", conv(FEATURES, num_classes, kernel_size=1))

    def forward(self, clips: Tensor) -> Tensor:
        """Return the scores, shape (N, num_classes), of at least 9 frames of at least 193 x 193."""
        check_channels(clips, self.input_shape[0])
        x = clips
        for name in self.body:
            x = getattr(self, name)(x)
        scores: Tensor = self.logits(self.dropout(self.avg_pool(x)))
        return scores.mean(dim=(2, 3, 4))


class TwoStreamI3D(VideoNetwork):
    """I3D for colours and I3D for flow, each trained by itself; their scores are added.

    Parameters are those of `I3D`. A clip has five channels: red, green and blue, then the two of the flow.
    """

    input_shape = (5, 64, 224, 224)
    classifier = "rgb.logits.conv3d"

    def __init__(self, num_classes: int = 400, *, dropout: float = 0.5, conv: Conv = nn.Conv3d) -> None:
        super().__init__()
        self.rgb = I3D(num_classes, channels=3, dropout=dropout, conv=conv)
        self.flow = I3D(num_classes, channels=2, dropout=dropout, conv=conv)

    def forward(self, clips: Tensor) -> Tensor:
        """Return the scores, shape (N, num_classes), of clips of shape (N, 5, frames, height, width)."""
        check_channels(clips, self.input_shape[0])
        scores: Tensor = self.rgb(clips[:, :3]) + self.flow(clips[:, 3:])
        return scores


def check_channels(clips: Tensor, channels: int) -> None:
    """Refuse clips with another number of channels: those of another stream, or of one where there are two.

    Raises
    ------
    ValueError
        Naming both numbers.
    """
    if clips.ndim != 5 or clips.shape[1] != channels:
        raise ValueError(f"clips have shape {tuple(clips.shape)}, must be (N, {channels}, frames, height, width)")
