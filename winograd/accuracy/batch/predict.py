"""Predicted errors of many nested algorithms with equal axes: the figures of `predict_error`, in batches.

In: recipes or sets of points, and what is computed in which dtype. Out: predicted relative L2 errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.arguments import checked_integer
from winograd.accuracy.batch.matrices import Batch
from winograd.accuracy.batch.nested import relative_l2
from winograd.accuracy.formats import FloatFormat, float_format
from winograd.accuracy.linear import Matrix
from winograd.accuracy.model import predict_error
from winograd.accuracy.orders import Order, as_order
from winograd.accuracy.protocol import Experiment, as_experiment, checked_formats
from winograd.accuracy.recipe import Recipe, Scaling
from winograd.algebra.bilinear import checked_sizes
from winograd.algebra.nesting import nest
from winograd.algebra.points import INFINITY, Infinity

__all__ = ["predict_batch", "predict_toom_cook"]

_PRODUCTS_AT_ONCE: Final = 2**15
"""Products of all candidates in one array: more leave the cache."""

PointSet = Sequence[Fraction | Infinity]


def predict_batch(
    m: int,
    r: int,
    recipes: Sequence[Recipe],
    *,
    ndim: int,
    dtype: object = "float32",
    experiment: str | Experiment = "layer",
    order: str | Order = "lowered",
) -> Matrix:
    """Return the predicted relative L2 errors of nested algorithms whose axes are all built by one recipe.

    Parameters
    ----------
    m, r : int
        Outputs and taps of every axis.
    recipes : sequence of Recipe
    ndim : int
        Axes, 1 to 3.
    dtype, experiment, order
        As for `predict_error`.

    Returns
    -------
    ndarray of shape (len(recipes),)
        ``predict_error(...).relative_l2`` of each within 2^-26 of it: what rounding to 24 bits changes in a constant is
        known no better where the constant is known to 53. In float64 they are those figures. nan where not finite.

    Raises
    ------
    TypeError, ValueError
        For bad sizes, axes, dtype, experiment or order, and recipes that build no F(m, r).

    Examples
    --------
    >>> recipes = [Recipe.parse(text) for text in ("x,x-1,x+1,x-2,x+2,inf filter", "x,x-1,x+1,x^2+1,inf data")]
    >>> [f"{error:.2e}" for error in predict_batch(4, 3, recipes, ndim=2)]
    ['1.66e-06', '2.65e-07']
    """
    m, r = checked_sizes(m, r)
    setting = _setting(ndim, dtype, experiment, order)
    if setting.fmt.name == "float64":
        return np.array([_one_by_one(recipe, m, r, setting) for recipe in recipes])
    points = [recipe.points for recipe in recipes]
    found = np.empty(len(recipes))
    for scaling in Scaling:
        numbers = [
            number
            for number, chosen in enumerate(points)
            if chosen and len(chosen) == m + r - 1 and recipes[number].scaling is scaling
        ]
        sets = [points[number] or () for number in numbers]
        found[numbers] = _of_sets(m, r, sets, scaling, setting)
    others = [number for number, chosen in enumerate(points) if not chosen or len(chosen) != m + r - 1]
    for alike in _alike(others, lambda number: recipes[number].rank(m, r)):
        algorithms = [recipes[number].build(m, r) for number in alike]
        found[alike] = setting.predicted(Batch.of_algorithms(algorithms))
    return found


def predict_toom_cook(
    m: int,
    r: int,
    sets: Sequence[PointSet],
    scaling: Scaling = Scaling.FILTER,
    *,
    ndim: int,
    dtype: object = "float32",
    experiment: str | Experiment = "layer",
    order: str | Order = "lowered",
) -> Matrix:
    """Return the figures of `predict_batch` for Toom-Cook at sets of points, without the texts of recipes.

    Examples
    --------
    >>> sets = [[Fraction(0), Fraction(1), Fraction(-1), Fraction(two), Fraction(-two), INFINITY] for two in (2, 3)]
    >>> [f"{error:.2e}" for error in predict_toom_cook(4, 3, sets, ndim=2)]
    ['1.66e-06', '4.39e-06']
    """
    m, r = checked_sizes(m, r)
    setting = _setting(ndim, dtype, experiment, order)
    if setting.fmt.name == "float64":
        return np.array([_one_by_one(Recipe.from_points(points, scaling), m, r, setting) for points in sets])
    return _of_sets(m, r, sets, Scaling(scaling), setting)


@dataclass(frozen=True, slots=True)
class _Setting:
    """What is computed, and how."""

    ndim: int
    fmt: FloatFormat
    experiment: Experiment
    order: Order

    def predicted(self, batch: Batch) -> Matrix:
        return relative_l2(batch, self.ndim, self.fmt, self.experiment, self.order)


def _setting(ndim: int, dtype: object, experiment: str | Experiment, order: str | Order) -> _Setting:
    ndim = checked_integer("ndim", ndim, 1)
    if ndim > 3:
        raise ValueError(f"ndim is {ndim}, must be 1, 2 or 3")
    fmt = float_format(dtype)
    return _Setting(ndim, fmt, checked_formats(as_experiment(experiment), fmt), as_order(order))


def _of_sets(m: int, r: int, sets: Sequence[PointSet], scaling: Scaling, setting: _Setting) -> Matrix:
    found = np.empty(len(sets))
    size = max(1, _PRODUCTS_AT_ONCE // (m + r - 1) ** setting.ndim)
    for numbers in _alike(range(len(sets)), lambda number: INFINITY in sets[number]):
        for part in np.split(numbers, range(size, len(numbers), size)):
            found[part] = setting.predicted(Batch.of_points(m, r, [sets[number] for number in part], scaling))
    return found


def _alike(numbers: Sequence[int], key: Callable[[int], Any]) -> list[NDArray[np.intp]]:
    """Return the numbers of equal keys together."""
    parts: dict[Any, list[int]] = {}
    for number in numbers:
        parts.setdefault(key(number), []).append(number)
    return [np.array(part) for part in parts.values()]


def _one_by_one(recipe: Recipe, m: int, r: int, setting: _Setting) -> float:
    """Return the figure of one: constants in float64 say nothing about their own rounding to float64."""
    nested = nest(*[recipe.build(m, r)] * setting.ndim)
    found = predict_error(nested, setting.fmt.name, setting.experiment, setting.order).relative_l2
    return found if np.isfinite(found) else np.nan
