"""Geometry of a convolution as operators take it: lists of integers, the same for every way of writing it.

In: stride, padding, dilation and groups as torch takes them. Out: one integer per axis, two of padding. Sizes may be
symbols, as when torch records a program: nothing here asks for their values. Refused: what torch refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from winograd.conv.arguments import ConvArguments, per_axis, read_padding
from winograd.conv.geometry.shape import ConvShape


class Geometry(NamedTuple):
    """Stride, zeros before and after each axis one after the other, dilation, groups."""

    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    groups: int

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Zeros before and after, by axis."""
        return tuple(zip(self.padding[::2], self.padding[1::2], strict=True))

    def output(self, sizes: Sequence[int], taps: Sequence[int]) -> list[int]:
        """Return the sizes of the output.

        Examples
        --------
        >>> Geometry([1, 2], [1, 1, 0, 1], [1, 1], 1).output((8, 8), (3, 2))
        [8, 4]
        """
        return [
            (size + low + high - gap * (count - 1) - 1) // step + 1
            for size, count, step, (low, high), gap in zip(
                sizes, taps, self.stride, self.pairs, self.dilation, strict=True
            )
        ]

    def shape(self, input_sizes: Sequence[int], weight_sizes: Sequence[int], dtype: str) -> ConvShape:
        """Return the `ConvShape` of (N, C, sizes...) and (K, C / groups, taps...).

        Raises
        ------
        ValueError
            If these make no convolution.
        """
        batch, channels, *sizes = input_sizes
        outputs, group_channels, *taps = weight_sizes
        if self.groups * group_channels != channels:
            raise ValueError(f"input has {channels} channels, must have {self.groups * group_channels}")
        own = tuple(self.stride), tuple(self.dilation), self.pairs, self.groups
        return ConvShape(batch, channels, outputs, tuple(sizes), tuple(taps), *own, dtype)


def read_geometry(arguments: ConvArguments, taps: Sequence[int]) -> Geometry:
    """Return the geometry of a convolution with so many taps.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> read_geometry(ConvArguments(padding="same"), (4, 3))
    Geometry(stride=[1, 1], padding=[1, 2, 1, 1], dilation=[1, 1], groups=1)
    """
    stride = per_axis("stride", arguments.stride, len(taps))
    dilation = per_axis("dilation", arguments.dilation, len(taps))
    pairs = read_padding(arguments.padding, taps=taps, stride=stride, dilation=dilation)
    return Geometry(list(stride), [side for pair in pairs for side in pair], list(dilation), arguments.groups)
