"""`SearchTask`: everything that determines what a search finds. Where the work is done is no part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import Experiment
from winograd.accuracy.recipe import Recipe
from winograd.accuracy.searching.objective import Cost, Norm, Objective
from winograd.algebra.forms import balanced
from winograd.algebra.nesting import NestedAlgorithm, nest

_NARROW = "float16"
"""The format whose range is so small that rows are balanced."""


@dataclass(frozen=True, slots=True)
class SearchTask:
    """Sizes, conditions and bounds of a search; made by `winograd.search_points`, which checks them.

    Parameters
    ----------
    m, r, ndim : int
        Outputs and taps on each axis, and the number of axes.
    rank : int
        Products on each axis.
    dtype : str
    experiment : Experiment
    order : Order
        How candidates are predicted and measured.
    norm : Norm
        Of the error.
    objective : Objective or Cost
    max_height : int
        Largest numerator or denominator of a point or of a coefficient of a modulus.
    budget, seed : int
    """

    m: int
    r: int
    ndim: int
    rank: int
    dtype: str
    experiment: Experiment
    order: Order
    norm: Norm
    objective: Objective | Cost
    max_height: int
    budget: int
    seed: int

    @property
    def label(self) -> str:
        """Short name of sizes and dtype."""
        products = "" if self.rank == self.m + self.r - 1 else f"; {self.rank}"
        return f"F({self.m},{self.r}{products}) in {self.ndim}D, {self.dtype}"

    @property
    def conditions(self) -> tuple[str, ...]:
        """Under which an error is predicted or measured, as text."""
        where = (self.m, self.r, self.ndim, self.dtype, self.order.value)
        return (*map(str, where), repr(self.experiment))

    @property
    def arithmetic(self) -> dict[str, Any]:
        """In which an error is predicted or measured, as arguments."""
        return {"dtype": self.dtype, "experiment": self.experiment, "order": self.order}

    @property
    def is_balanced(self) -> bool:
        """Whether rows are scaled by powers of two, as the range of float16 asks: see `balanced`."""
        return _NARROW in (self.dtype, self.experiment.storage)

    def build(self, recipe: Recipe) -> NestedAlgorithm:
        """Return the algorithm of a recipe, the same on every axis, exact and proved."""
        axis = recipe.build(self.m, self.r)
        return nest(*[balanced(axis) if self.is_balanced else axis] * self.ndim)
