"""Kinds of layers, by what a Winograd algorithm could do for them.

In: the shape of a convolution. Out: its kind. Every convolution is of exactly one kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from math import prod
from typing import Final

from winograd.conv.geometry.shape import ConvShape


class LayerKind(Enum):
    """What a layer is; the order is that of tables."""

    CUBE = "3x3x3"
    PICTURE = "1x3x3"
    TIME = "3x1x1"
    LINE = "1x3x1, 1x1x3, 3"
    OTHER_TAPS = "other taps"
    STRIDED = "strided"
    DEPTHWISE = "depthwise"
    POINTWISE = "1x1x1"
    LINEAR = "linear"
    POOLING = "pooling"
    OTHER = "other"


CONVOLUTIONS: Final = tuple(LayerKind)[: tuple(LayerKind).index(LayerKind.LINEAR)]
"""The kinds that convolutions have."""

_BY_TAPS: Final[Mapping[tuple[int, ...], LayerKind]] = {
    (3, 3, 3): LayerKind.CUBE,
    (1, 3, 3): LayerKind.PICTURE,
    (3, 1, 1): LayerKind.TIME,
    (1, 3, 1): LayerKind.LINE,
    (1, 1, 3): LayerKind.LINE,
    (3,): LayerKind.LINE,
}


def kind_of(shape: ConvShape) -> LayerKind:
    """Return the kind of a convolution.

    Groups come first: a depthwise convolution with a stride is depthwise, and one of 1x1x1 with a stride is 1x1x1.
    "Strided" have more taps than one. Over two axes, axes are height and width, unless the second has one tap: then
    they are time and the places of a flat frame. What one axis is, its shape does not say.

    Examples
    --------
    >>> flat = ConvShape(1, 8, 8, sizes=(16, 784), taps=(3, 1), stride=(1, 1), dilation=(1, 1),
    ...                  padding=((1, 1), (0, 0)), groups=1, dtype="float32")
    >>> kind_of(flat).value
    '3x1x1'
    """
    if shape.groups > 1 and shape.groups == shape.channels:
        return LayerKind.DEPTHWISE
    if prod(shape.taps) == 1:
        return LayerKind.POINTWISE
    if max(shape.stride) > 1:
        return LayerKind.STRIDED
    return LayerKind.OTHER_TAPS if max(shape.dilation) > 1 else _BY_TAPS.get(_three(shape.taps), LayerKind.OTHER_TAPS)


def _three(taps: tuple[int, ...]) -> tuple[int, ...]:
    if len(taps) == 2:
        return (1, *taps) if taps[1] > 1 else (*taps, 1)
    return taps
