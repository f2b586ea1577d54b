"""Nests: all nests of the choices that a shape has per axis, as arrays, before any of them is looked at alone.

In: a `ConvShape` whose taps there are choices for. Out: figures of all nests at once, in one order, and single ones as
`Candidate`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winograd.conv.choosing.candidates import AxisChoice, Candidate, axis_choices, nested_instructions
from winograd.conv.geometry.shape import ConvShape

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Nests:
    """All nests of some choices per axis; in arrays the last axis varies fastest.

    Parameters
    ----------
    axes : tuple of tuple of AxisChoice

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> nests = nests_of(ConvArguments().shape((1, 8, 6), (8, 8, 3), dtype="float32"))
    >>> nests.total("rank").tolist()[:3], nests.candidate(1).label
    ([3.0, 4.0, 6.0], 'F(2,3)')
    """

    axes: tuple[tuple[AxisChoice, ...], ...]

    def along(self, name: str) -> list[Any]:
        """Return a figure of the choices of every axis, as arrays that broadcast against each other."""
        return [
            np.array([float(getattr(choice, name)) for choice in axis]).reshape(
                [-1 if other == place else 1 for other in range(len(self.axes))]
            )
            for place, axis in enumerate(self.axes)
        ]

    def total(self, name: str) -> Array:
        """Return the product of a figure over the axes, such as the rank."""
        return np.asarray(prod(self.along(name))).ravel()

    def tiles(self, shape: ConvShape) -> Array:
        """Return the tiles of a shape, all images together."""
        counts = [-(-size // outputs) for size, outputs in zip(shape.output, self.along("m"), strict=True)]
        return np.asarray(shape.batch * prod(counts)).ravel()

    def instructions(self, inputs: str, outputs: str, each: Sequence[Any]) -> Array:
        """Return those of a transform of a tile, given the names of its sizes and the instructions of one row."""
        return np.asarray(nested_instructions(self.along(inputs), self.along(outputs), each)).ravel()

    @property
    def is_useful(self) -> NDArray[np.bool_]:
        """Which have tiles of more than one output."""
        return np.asarray(self.total("m") > 1)

    @property
    def log_errors(self) -> Array:
        """Logarithms of `Candidate.estimated_error`."""
        counted = sum(axis[-1].r > 1 for axis in self.axes)
        total = np.zeros(1)
        for axis in self.axes:
            errors = [math.log(choice.errors[counted - 1]) / counted if choice.r > 1 else 0.0 for choice in axis]
            total = np.add.outer(total, errors).ravel()
        return total

    def candidate(self, index: int) -> Candidate:
        """Return one of them."""
        places = np.unravel_index(index, [len(axis) for axis in self.axes])
        return Candidate(tuple(axis[int(place)] for axis, place in zip(self.axes, places, strict=True)))


def nests_of(shape: ConvShape) -> Nests:
    """Return the nests that a shape has to choose from."""
    return Nests(tuple(axis_choices(taps, outputs) for taps, outputs in zip(shape.taps, shape.output, strict=True)))
