"""Inception-v1 over video: units, modules and the body that I3D and the fused two-stream network share.

In: clips. Out: features of 1024 channels. Every convolution and pooling is padded as TensorFlow's SAME does it: as many
outputs as there are steps begun, and the odd zero last. Module names are those of the PyTorch port of I3D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from winograd.networks.builder import Builder

FEATURES: Final = 1024
"""Channels that the body gives."""

_BRANCHES: Final[Mapping[str, tuple[int, int, int, int, int, int]]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
"""Channels of the convolutions b0, b1a, b1b, b2a, b2b and b3b of each module."""


_POOLED: Final = {"Mixed_4b": ("MaxPool3d_4a_3x3", 3), "Mixed_5b": ("MaxPool3d_5a_2x2", 2)}
"""Modules that a pooling comes before: its name, and its taps in each axis."""


def same_zeros(sizes: Sequence[int], taps: Sequence[int], stride: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return how many zeros SAME puts before and after each axis.

    Examples
    --------
    >>> same_zeros((64, 79, 9), (7, 7, 3), (2, 2, 1))
    ((2, 3), (3, 3), (1, 1))
    """
    totals = [
        max((size - 1) // step * step + count - size, 0) for size, count, step in zip(sizes, taps, stride, strict=True)
    ]
    return tuple((total // 2, total - total // 2) for total in totals)


class SameMaxPool3d(nn.MaxPool3d):
    """Max pooling with SAME padding, of inputs that are not negative, so that a zero around them changes nothing.

    Parameters
    ----------
    taps, stride : tuple of int
        Per axis; a stride of 1 needs an odd number of taps.
    """

    def __init__(self, taps: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__(taps, stride)
        self.taps, self.steps = taps, stride

    def forward(self, x: Tensor) -> Tensor:
        """Return the maxima; the windows at the end may reach over it, which stands for the zeros there."""
        before = [low for low, _ in same_zeros(x.shape[2:], self.taps, self.steps)]
        return nn.functional.max_pool3d(x, self.taps, self.steps, padding=before, ceil_mode=True)


class Unit(nn.Module):
    """Convolution with SAME padding, normalisation and ReLU.

    Where every size has the same zeros, they are the convolution's own padding; with a stride the zeros depend on the
    sizes, and are put around the input.
    """

    def __init__(
        self, builder: Builder, channels: int, outputs: int, taps: tuple[int, int, int], stride: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        self.taps, self.steps = taps, stride
        self.conv3d = builder.convolution(channels, outputs, taps, stride=stride or 1, padding=0 if stride else None)
        self.bn = builder.norm(outputs)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return max(bn(conv3d(x)), 0)."""
        if self.steps:
            zeros = same_zeros(x.shape[2:], self.taps, self.steps)
            x = nn.functional.pad(x, [side for pair in reversed(zeros) for side in pair])
        activated: Tensor = self.relu(self.bn(self.conv3d(x)))
        return activated


class InceptionModule(nn.Module):
    """Four branches on one input, side by side in the channels of the output.

    Parameters
    ----------
    builder : Builder
        Makes the units.
    channels : int
        Of the input.
    branches : tuple of int
        Channels of b0, b1a, b1b, b2a, b2b and b3b.
    time : int
        Taps in time of what is 3x3 in space: 3, or 1 for single frames.
    """

    def __init__(self, builder: Builder, channels: int, branches: tuple[int, ...], time: int) -> None:
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3b = branches
        one, wide = (1, 1, 1), (time, 3, 3)
        self.b0 = Unit(builder, channels, b0, one)
        self.b1a = Unit(builder, channels, b1a, one)
        self.b1b = Unit(builder, b1a, b1b, wide)
        self.b2a = Unit(builder, channels, b2a, one)
        self.b2b = Unit(builder, b2a, b2b, wide)
        self.b3a = SameMaxPool3d(wide, one)
        self.b3b = Unit(builder, channels, b3b, one)
        self.outputs = b0 + b1b + b2b + b3b

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of b0, b1b, b2b and b3b."""
        branches = self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))
        return torch.cat(branches, dim=1)


def inception_body(builder: Builder, channels: int, *, single_frames: bool = False) -> dict[str, nn.Module]:
    """Return the layers of Inception-v1 up to its last average, by name and in order.

    Parameters
    ----------
    builder : Builder
        Makes the convolutions and normalisations.
    channels : int
        Of a clip.
    single_frames : bool
        Neither mix nor step in time: the network for pictures, frame by frame. Otherwise sizes are divided by 8 in time
        and by 32 in space.
    """

    def cube(size: int) -> tuple[int, int, int]:
        return (1 if single_frames else size, size, size)

    layers: dict[str, nn.Module] = {
        "Conv3d_1a_7x7": Unit(builder, channels, 64, cube(7), cube(2)),
        "MaxPool3d_2a_3x3": SameMaxPool3d((1, 3, 3), (1, 2, 2)),
        "Conv3d_2b_1x1": Unit(builder, 64, 64, (1, 1, 1)),
        "Conv3d_2c_3x3": Unit(builder, 64, 192, cube(3)),
        "MaxPool3d_3a_3x3": SameMaxPool3d((1, 3, 3), (1, 2, 2)),
    }
    channels = 192
    for name, branches in _BRANCHES.items():
        if name in _POOLED:
            pooling, taps = _POOLED[name]
            layers[pooling] = SameMaxPool3d(cube(taps), cube(2))
        module = InceptionModule(builder, channels, branches, cube(3)[0])
        layers[name], channels = module, module.outputs
    return layers
