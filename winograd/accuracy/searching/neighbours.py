"""Point sets that the least kappa does not lead to: simple ones, and sets near others with one number exchanged.

In: a number of points, or a recipe. Out: recipes. With few channels the transforms' own rounding weighs as much as
kappa, and numbers that round nothing are better than kappa says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from math import gcd
from typing import Final

from winograd.accuracy.recipe import Recipe
from winograd.algebra.points import INFINITY, Infinity, default_points

Point = Fraction | Infinity

SIMPLE: Final = tuple(map(Fraction, ("1", "1/2", "2", "1/4", "4", "3/2", "2/3", "3/4", "4/3", "1/3", "3")))
"""Magnitudes of simple points."""

_ALONE: Final[tuple[tuple[Point, ...], ...]] = ((), (Fraction(0),), (INFINITY,), (Fraction(0), INFINITY))
_NEAREST: Final = 2
_SIMPLE_HEIGHT: Final = 9
_SIMPLE_RANGE: Final = Fraction(4, 3)


def simple_sets(count: int) -> Iterator[tuple[Point, ...]]:
    """Yield all sets of so many points out of 0, infinity and simple pairs +-a.

    Examples
    --------
    >>> len(list(simple_sets(4)))
    66
    """
    for alone in _ALONE:
        pairs, odd = divmod(count - len(alone), 2)
        if count >= len(alone) and not odd:
            for magnitudes in combinations(SIMPLE, pairs):
                yield (*alone, *(sign * size for size in magnitudes for sign in (1, -1)))


def known_sets(count: int) -> Iterator[tuple[Point, ...]]:
    """Yield the published set of so many points, and the `simple_sets`."""
    published = default_points(count)
    yield tuple(
        INFINITY if isinstance(point, Infinity) else Fraction(int(point.p), int(point.q)) for point in published
    )
    yield from simple_sets(count)


def neighbours(recipe: Recipe, max_height: int) -> Iterator[Recipe]:
    """Yield the recipes with one point or pair +-a exchanged: the next fractions, and simple ones further away.

    Recipes with moduli of a higher degree have none.

    Examples
    --------
    >>> near = neighbours(Recipe.parse("x,x-1/2,x+1/2,inf data"), 5)
    >>> [str(one.points[1]) for one in near]
    ['1/3', '2/5', '3/5', '2/3']
    """
    points = recipe.points or ()
    for point in points:
        if isinstance(point, Infinity) or point == 0 or (point < 0 and -point in points):
            continue
        for other in _near(abs(point), max_height):
            exchanged = _exchanged(points, point, other if point > 0 else -other)
            if len(set(exchanged)) == len(points):
                yield Recipe.from_points(exchanged, recipe.scaling)


def _exchanged(points: Sequence[Point], old: Fraction, new: Fraction) -> tuple[Point, ...]:
    exchanges = {old: new, -old: -new} if -old in points else {old: new}
    return tuple(point if isinstance(point, Infinity) else exchanges.get(point, point) for point in points)


def _near(magnitude: Fraction, max_height: int) -> list[Fraction]:
    """Return the nearest fractions of bounded height on either side, and simple ones further away."""
    grid = _fractions(max_height)
    below = [value for value in grid if value < magnitude][-_NEAREST:]
    above = [value for value in grid if value > magnitude][:_NEAREST]
    simple = [
        value
        for value in _fractions(min(max_height, _SIMPLE_HEIGHT))
        if value != magnitude and magnitude / _SIMPLE_RANGE < value < magnitude * _SIMPLE_RANGE
    ]
    return sorted({*below, *above, *simple})


@lru_cache(maxsize=4)
def _fractions(max_height: int) -> tuple[Fraction, ...]:
    """Return all positive fractions of bounded height, ascending."""
    sizes = range(1, max_height + 1)
    return tuple(sorted(Fraction(p, q) for p in sizes for q in sizes if gcd(p, q) == 1))
