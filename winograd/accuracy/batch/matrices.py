"""Matrices of many algorithms of one size: float64 arrays for their values, exact rows of any one for decisions.

In: recipes, or sets of points. Out: `Batch`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from winograd.accuracy.batch.toom_cook import toom_cook_values
from winograd.accuracy.linear import Matrix
from winograd.accuracy.recipe import Recipe, Scaling
from winograd.algebra.bilinear import BilinearAlgorithm, FractionRows, fraction_rows
from winograd.algebra.points import Infinity


@dataclass(frozen=True, slots=True, eq=False)
class MatrixBatch:
    """One matrix of every algorithm.

    Parameters
    ----------
    values : ndarray of shape (count, rows, columns)
        In float64, within a few units in the last place; exactly 0 where the exact entry is.
    exact : callable
        Returns the exact rows of the one of this number.
    """

    values: Matrix
    exact: Callable[[int], FractionRows]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The matrices of algorithms of one size and rank."""

    at: MatrixBatch
    g: MatrixBatch
    bt: MatrixBatch

    @property
    def m(self) -> int:
        """Outputs."""
        return int(self.at.values.shape[1])

    @property
    def r(self) -> int:
        """Taps."""
        return int(self.g.values.shape[2])

    @classmethod
    def of_algorithms(cls, algorithms: Sequence[BilinearAlgorithm]) -> Batch:
        """Return the batch of exact algorithms of one size and rank."""

        def batch(name: str) -> MatrixBatch:
            rows = [fraction_rows(getattr(algorithm, name)) for algorithm in algorithms]
            return MatrixBatch(np.array(rows, dtype=np.float64), rows.__getitem__)

        return cls(batch("at"), batch("g"), batch("bt"))

    @classmethod
    def of_points(cls, m: int, r: int, sets: Sequence[Sequence[Fraction | Infinity]], scaling: Scaling) -> Batch:
        """Return the batch of Toom-Cook algorithms at sets of points, all with or all without INFINITY."""
        values = toom_cook_values(m, r, sets, scaling)

        def batch(name: str, matrix: Matrix) -> MatrixBatch:
            def exact(number: int) -> FractionRows:
                return fraction_rows(getattr(Recipe.from_points(sets[number], scaling).build(m, r), name))

            return MatrixBatch(matrix, exact)

        return cls(*(batch(name, matrix) for name, matrix in zip(("at", "g", "bt"), values, strict=True)))
