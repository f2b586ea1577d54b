"""Tile geometry, once, for every backend: counts, halos, ragged edges and crops, in integers only.

Axis sizes: ``size`` inputs, padded by ``low`` and ``high``, give size + low + high - r + 1 outputs, cut into tiles of m
outputs that read m + r - 1 inputs each; the last tile may be ragged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod


@dataclass(frozen=True, slots=True)
class AxisTiling:
    """The tiles of one axis.

    Parameters
    ----------
    size : int
        Inputs without padding, at least 0.
    m, r : int
        Outputs of a tile and taps of the filter.
    low, high : int
        Zeros before the first and after the last input, at least 0.

    Raises
    ------
    ValueError
        If a size is negative or the padded input is smaller than the filter.

    Examples
    --------
    >>> axis = AxisTiling(size=7, m=4, r=3, low=1, high=1)
    >>> axis.output, axis.tiles, axis.input_range(1), axis.output_range(1)
    (7, 2, (3, 7), (4, 7))
    """

    size: int
    m: int
    r: int
    low: int
    high: int

    def __post_init__(self) -> None:
        if min(self.size, self.low, self.high) < 0:
            raise ValueError(f"size {self.size} and padding ({self.low}, {self.high}) must be at least 0")
        if self.output < 1:
            padded = self.size + self.low + self.high
            raise ValueError(f"padded input of {padded} is smaller than the filter of {self.r} taps")

    @property
    def output(self) -> int:
        """Number of outputs."""
        return self.size + self.low + self.high - self.r + 1

    @property
    def tiles(self) -> int:
        """Number of tiles, the ragged one included."""
        return -(-self.output // self.m)

    @property
    def tile(self) -> int:
        """Inputs of a tile."""
        return self.m + self.r - 1

    def start(self, index: int) -> int:
        """First input of a tile; negative inside the padding."""
        return index * self.m - self.low

    def input_range(self, index: int) -> tuple[int, int]:
        """First and one past the last real input that a tile reads; empty (equal) inside the padding."""
        first = min(max(self.start(index), 0), self.size)
        return first, max(min(self.start(index) + self.tile, self.size), first)

    def output_range(self, index: int) -> tuple[int, int]:
        """First and one past the last output that a tile writes."""
        return index * self.m, min((index + 1) * self.m, self.output)

    @property
    def padded_high(self) -> int:
        """Zeros after the last input when every tile is to be whole."""
        return self.tiles * self.m + self.r - 1 - self.size - self.low


@dataclass(frozen=True, slots=True)
class Tiling:
    """The tiles of one to three axes, numbered with the last axis fastest.

    Examples
    --------
    >>> tiling = tile_axes(sizes=(16, 56, 56), m=(4, 4, 4), r=(3, 3, 3), padding=((1, 1),) * 3)
    >>> tiling.output, tiling.tiles, tiling.count
    ((16, 56, 56), (4, 14, 14), 784)
    """

    axes: tuple[AxisTiling, ...]

    @property
    def output(self) -> tuple[int, ...]:
        """Outputs per axis."""
        return tuple(axis.output for axis in self.axes)

    @property
    def tiles(self) -> tuple[int, ...]:
        """Tiles per axis."""
        return tuple(axis.tiles for axis in self.axes)

    @property
    def count(self) -> int:
        """Number of tiles."""
        return prod(self.tiles)

    def indices(self) -> Iterator[tuple[int, ...]]:
        """Yield the index of every tile per axis, the last axis fastest."""
        return product(*(range(axis.tiles) for axis in self.axes))


def tile_axes(sizes: Sequence[int], m: Sequence[int], r: Sequence[int], padding: Sequence[tuple[int, int]]) -> Tiling:
    """Return the tiling of an input of the given sizes.

    Parameters
    ----------
    sizes, m, r : sequence of int
        Inputs, outputs of a tile and taps, one per axis.
    padding : sequence of (low, high)
        Zeros on both sides, one pair per axis.

    Raises
    ------
    ValueError
        If the sequences differ in length, or an axis is out of range (see `AxisTiling`).
    """
    lengths = [len(values) for values in (sizes, m, r, padding)]
    if len(set(lengths)) > 1:
        raise ValueError(f"sizes, m, r and padding are for {lengths} axes, must be for the same number")
    return Tiling(
        tuple(
            AxisTiling(size=size, m=outputs, r=taps, low=low, high=high)
            for size, outputs, taps, (low, high) in zip(sizes, m, r, padding, strict=True)
        )
    )
