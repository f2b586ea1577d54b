"""Candidates: the algorithms a plan chooses from, with their cost and error before any of them is built.

In: taps and outputs per axis, from the catalogue. Out: choices per axis, and nests of them that know their products,
their instructions and about which error they have. Refused: taps the catalogue has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import permutations
from math import prod
from typing import Any, Final

import numpy as np

from winograd.accuracy.catalogue import TAPS, best, catalogue
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, nest

MAX_OUTPUTS: Final = 8
"""Largest m of an axis."""

_WORTHWHILE: Final = 0.75
"""Products of an axis over those of direct convolution: above, an algorithm is not worth its transforms."""

_ESTIMATED_CHANNELS: Final = 64
"""Channels of the catalogue's errors; fewer are added up with less error, more hardly with more."""

_DIRECT_ERROR: Final = 1.5e-7
"""Relative L2 error in float32 of an axis that is computed directly, over 64 channels."""


@dataclass(frozen=True, slots=True)
class AxisChoice:
    """One algorithm for one axis, with what the catalogue knows of it.

    Parameters
    ----------
    m, r, rank : int
        Outputs, taps and products.
    data, inverse : int
        Instructions of the transforms of one row.
    errors : tuple of float
        Relative L2 error in float32 of a layer of 64 channels with it on 1, 2 and 3 axes.
    """

    m: int
    r: int
    rank: int
    data: int
    inverse: int
    errors: tuple[float, float, float]

    @property
    def tile(self) -> int:
        """Inputs of a tile."""
        return self.m + self.r - 1

    @property
    def algorithm(self) -> BilinearAlgorithm:
        """The exact algorithm, built and proved when it is first asked for."""
        built = best(self.m, self.r, products=self.rank)
        assert isinstance(built, BilinearAlgorithm)
        return built


@dataclass(frozen=True, slots=True)
class Candidate:
    """A nest of choices, in (d, h, w) order.

    Examples
    --------
    >>> f4 = next(choice for choice in axis_choices(3, outputs=4) if choice.m == 4)
    >>> candidate = Candidate((f4, f4, f4))
    >>> candidate.label, candidate.rank, candidate.data_instructions, candidate.inverse_instructions
    ('F(4x4x4,3x3x3)', 216, 1296, 912)
    >>> f"{candidate.estimated_error:.1e}"
    '1.6e-06'
    """

    axes: tuple[AxisChoice, ...]

    @property
    def m(self) -> tuple[int, ...]:
        """Outputs of a tile."""
        return tuple(axis.m for axis in self.axes)

    @property
    def r(self) -> tuple[int, ...]:
        """Taps."""
        return tuple(axis.r for axis in self.axes)

    @property
    def tile(self) -> tuple[int, ...]:
        """Inputs of a tile."""
        return tuple(axis.tile for axis in self.axes)

    @property
    def ranks(self) -> tuple[int, ...]:
        """Products per axis."""
        return tuple(axis.rank for axis in self.axes)

    @property
    def rank(self) -> int:
        """Products of a tile."""
        return prod(self.ranks)

    @property
    def data_instructions(self) -> int:
        """Instructions of the data transform of one tile of one channel."""
        return _fewest_instructions(self.tile, self.ranks, tuple(axis.data for axis in self.axes))

    @property
    def inverse_instructions(self) -> int:
        """Instructions of the inverse transform of one tile of one output channel."""
        return _fewest_instructions(self.ranks, self.m, tuple(axis.inverse for axis in self.axes))

    @property
    def estimated_error(self) -> float:
        """About the relative L2 error in float32 of a layer of 64 channels; `error_ratios` says how far it is off.

        It is the geometric mean of the errors that the axes have where all axes are like them: errors of the products
        dominate, and their amplification is a product over the axes.
        """
        errors = [axis.errors for axis in self.axes if axis.r > 1]
        return float(prod(axis[len(errors) - 1] for axis in errors) ** (1 / len(errors)))

    @property
    def algorithm(self) -> NestedAlgorithm:
        """The exact algorithm, built and proved when it is first asked for."""
        return _built(self.axes)

    @property
    def label(self) -> str:
        """Short name, such as F(2x4x4,3x3x3)."""
        return f"F({'x'.join(map(str, self.m))},{'x'.join(map(str, self.r))})"


def error_ratios(channels: int) -> tuple[float, float]:
    """Return between which multiples of `Candidate.estimated_error` the predicted float32 error of a layer is.

    The estimate knows neither the number of channels nor padding nor ragged edges.

    Examples
    --------
    >>> error_ratios(512)
    (0.9, 1.6)
    """
    if channels >= _ESTIMATED_CHANNELS:
        return 0.9, 1.6
    return (0.25, 1.2) if channels <= _ESTIMATED_CHANNELS // 4 else (0.5, 1.6)


@lru_cache(maxsize=1024)
def axis_choices(taps: int, outputs: int) -> tuple[AxisChoice, ...]:
    """Return the algorithms for an axis of so many outputs that no other beats in everything.

    What counts are products of all tiles, products of one tile (the size of the filter), instructions of all tiles, and
    the error. Tiles are not larger than the axis; direct computation is among them.

    Parameters
    ----------
    taps : int
        1, or taps of the catalogue.
    outputs : int
        Of the axis, at least 1.

    Examples
    --------
    >>> [(choice.m, choice.rank) for choice in axis_choices(3, outputs=2)]
    [(1, 3), (2, 4)]
    >>> [(choice.m, choice.rank) for choice in axis_choices(3, outputs=7)][-4:]
    [(7, 9), (7, 10), (7, 11), (7, 12)]
    """
    if taps == 1:
        return (AxisChoice(1, 1, 1, 0, 0, (_DIRECT_ERROR,) * 3),)
    direct = AxisChoice(1, taps, taps, 0, taps - 1, (_DIRECT_ERROR,) * 3)
    choices = [direct, *(choice for choice in _tabulated(taps) if choice.m <= outputs)]
    costs = [_costs(choice, outputs) for choice in choices]
    return tuple(
        choice
        for choice, cost in zip(choices, costs, strict=True)
        if not any(other != cost and all(a <= b for a, b in zip(other, cost, strict=True)) for other in costs)
    )


@lru_cache(maxsize=8)
def _tabulated(taps: int) -> tuple[AxisChoice, ...]:
    return tuple(
        AxisChoice(row.m, row.r, row.rank, row.instructions[0], row.instructions[2], row.predicted[0])
        for row in catalogue().filter(r=taps)
        if row.m <= MAX_OUTPUTS and row.products == row.rank <= _WORTHWHILE * row.m * row.r
    )


def _costs(choice: AxisChoice, outputs: int) -> tuple[float, ...]:
    tiles = -(-outputs // choice.m)
    return tiles * choice.rank, choice.rank, tiles * (choice.data + choice.inverse), choice.errors[-1]


def has_choices(taps: Sequence[int]) -> bool:
    """Return whether there are algorithms for these taps: 1 or those of the catalogue, not 1 on all axes.

    Examples
    --------
    >>> has_choices((1, 3, 5)), has_choices((1, 1, 1)), has_choices((9,))
    (True, False, False)
    """
    return max(taps) > 1 and all(count == 1 or count in TAPS for count in taps)


def nested_instructions(inputs: Sequence[Any], outputs: Sequence[Any], instructions: Sequence[Any]) -> Any:
    """Return the instructions of a transform of a tile in the order of axes that has the fewest.

    Parameters
    ----------
    inputs, outputs, instructions : sequence of int or ndarray of int
        Per axis: sizes before and after the transform, and the instructions of one row. Arrays that broadcast against
        each other stand for many algorithms at once.

    Examples
    --------
    >>> int(nested_instructions(inputs=(4, 6), outputs=(4, 6), instructions=(4, 12)))
    72
    """
    orders = [_ordered(order, inputs, outputs, instructions) for order in permutations(range(len(inputs)))]
    return reduce(np.minimum, orders)


@lru_cache(maxsize=16384)
def _fewest_instructions(inputs: tuple[int, ...], outputs: tuple[int, ...], instructions: tuple[int, ...]) -> int:
    """Return `nested_instructions` of one algorithm."""
    orders = permutations(range(len(inputs)))
    return int(min(_ordered(order, inputs, outputs, instructions) for order in orders))


def _ordered(order: tuple[int, ...], inputs: Sequence[Any], outputs: Sequence[Any], instructions: Sequence[Any]) -> Any:
    extents, total = list(inputs), 0
    for axis in order:
        others = extents[:axis] + extents[axis + 1 :]
        total = total + instructions[axis] * prod(others)
        extents[axis] = outputs[axis]
    return total


@lru_cache(maxsize=1024)
def _built(axes: tuple[AxisChoice, ...]) -> NestedAlgorithm:
    return nest(*(axis.algorithm for axis in axes))
