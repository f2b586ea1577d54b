"""Dense stride-1 layers of networks that are not built here yet, from their published definitions.

In: nothing. Out: one line per convolution, in the order of the network, under the names of the public checkpoints.
Left out: stems with strides, other strided layers and 1x1x1 convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Final


@dataclass(frozen=True, slots=True)
class PublishedLayer:
    """A convolution with stride 1, an odd number of taps on each axis and zeros around that keep the sizes."""

    name: str
    channels: int
    outputs: int
    taps: tuple[int, int, int]
    sizes: tuple[int, int, int]


_STAGES: Final = ((64, (16, 56, 56)), (128, (8, 28, 28)), (256, (4, 14, 14)), (512, (2, 7, 7)))
"""Channels and sizes of layers 1 to 4 of the residual networks, for clips of 3x16x112x112."""

_INCEPTIONS: Final = (
    ("3b", (32, 28, 28), (96, 128), (16, 32)),
    ("3c", (32, 28, 28), (128, 192), (32, 96)),
    ("4b", (16, 14, 14), (96, 208), (16, 48)),
    ("4c", (16, 14, 14), (112, 224), (24, 64)),
    ("4d", (16, 14, 14), (128, 256), (24, 64)),
    ("4e", (16, 14, 14), (144, 288), (32, 64)),
    ("4f", (16, 14, 14), (160, 320), (32, 128)),
    ("5b", (8, 7, 7), (160, 320), (32, 128)),
    ("5c", (8, 7, 7), (192, 384), (48, 128)),
)
"""Name and sizes of each module, input and output channels of its two 3x3x3 convolutions; clips of 3x64x224x224."""


def r3d_18() -> Iterator[PublishedLayer]:
    """Yield the 3x3x3 convolutions of R3D-18 with stride 1.

    References
    ----------
    Tran, Wang, Torresani, Ray, LeCun, Paluri, arXiv 1711.11248, table 1; names as in torchvision's ``r3d_18``.
    """
    for name, channels, sizes in _residual_convolutions():
        yield PublishedLayer(f"{name}.0", channels, channels, (3, 3, 3), sizes)


def r2plus1d_18() -> Iterator[PublishedLayer]:
    """Yield the 1x3x3 and 3x1x1 convolutions of R(2+1)D-18 with stride 1, that of the stem among them.

    Between the two stand as many channels as give a 3x3x3 convolution's number of weights, by the paper's rule:
    computed for every convolution, where torchvision computes them once per block.

    References
    ----------
    arXiv 1711.11248, section 3.5; names as in torchvision's ``r2plus1d_18``.
    """
    yield PublishedLayer("stem.3", 45, 64, (3, 1, 1), _STAGES[0][1])
    for name, channels, sizes in _residual_convolutions():
        middle = middle_channels(channels, channels)
        yield PublishedLayer(f"{name}.0.0", channels, middle, (1, 3, 3), sizes)
        yield PublishedLayer(f"{name}.0.3", middle, channels, (3, 1, 1), sizes)


def middle_channels(channels: int, outputs: int) -> int:
    """Return the channels between the 1x3x3 and the 3x1x1 part of a convolution of R(2+1)D.

    Examples
    --------
    >>> middle_channels(64, 64), middle_channels(64, 128)
    (144, 230)
    """
    taps, area = 3, prod((3, 3))
    return taps * area * channels * outputs // (area * channels + taps * outputs)


def i3d_rgb() -> Iterator[PublishedLayer]:
    """Yield the 3x3x3 convolutions of I3D for RGB clips.

    References
    ----------
    Carreira, Zisserman, arXiv 1705.07750, figure 3; names as in the public PyTorch checkpoints.
    """
    yield PublishedLayer("Conv3d_2c_3x3", 64, 192, (3, 3, 3), (32, 56, 56))
    for module, sizes, wide, narrow in _INCEPTIONS:
        for branch, (channels, outputs) in (("b1b", wide), ("b2b", narrow)):
            yield PublishedLayer(f"Mixed_{module}.{branch}", channels, outputs, (3, 3, 3), sizes)


def _residual_convolutions() -> Iterator[tuple[str, int, tuple[int, int, int]]]:
    """Yield name, channels and sizes of the convolutions of 18 layers with stride 1: all but a layer's first one."""
    for number, (channels, sizes) in enumerate(_STAGES, start=1):
        for block in (0, 1):
            for convolution in (1, 2):
                if number == 1 or (block, convolution) != (0, 1):
                    yield f"layer{number}.{block}.conv{convolution}", channels, sizes
