"""Candidates of the point search: all symmetric rational point sets, simple ones first, and figures of them, fast.

In: sizes. Out: `Shape` and magnitudes of point sets; their kappa and their largest entry in float64. Sets that mirror
an earlier one by a -> 1/a have the same kappa and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from math import gcd
from typing import Final

import numpy as np
from numpy.typing import NDArray

from winograd.algebra.points import INFINITY, Infinity

MAX_HEIGHT: Final = 24
"""Largest numerator or denominator of a point."""

PointSet = tuple[Fraction | Infinity, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """Which points stand beside the pairs +-a: 0, ``INFINITY``, both or none."""

    pairs: int
    alone: tuple[Fraction | Infinity, ...]

    @property
    def mirrored(self) -> bool:
        """Whether a -> 1/a maps point sets of this shape to such."""
        return len(self.alone) != 1

    def points(self, magnitudes: Sequence[Fraction]) -> PointSet:
        """Return the points: 0, the pairs, ``INFINITY``."""
        finite = tuple(point for point in self.alone if point is not INFINITY)
        pairs = tuple(sign * size for size in magnitudes for sign in (1, -1))
        return (*finite, *pairs, *self.alone[len(finite) :])


def shapes(tile: int) -> tuple[Shape, ...]:
    """Return the shapes of the symmetric sets of ``tile`` points.

    Examples
    --------
    >>> [shape.points([Fraction(2)]) for shape in shapes(4) if shape.pairs == 1]
    [(Fraction(0, 1), Fraction(2, 1), Fraction(-2, 1), INFINITY)]
    """
    zero = Fraction(0)
    if tile % 2:
        return (Shape(tile // 2, (INFINITY,)), Shape(tile // 2, (zero,)))
    return (Shape(tile // 2 - 1, (zero, INFINITY)), Shape(tile // 2, ()))


@lru_cache(maxsize=1)
def magnitudes() -> tuple[Fraction, ...]:
    """Return the positive fractions up to `MAX_HEIGHT`, ordered by height (the larger of numerator and denominator).

    Examples
    --------
    >>> [str(value) for value in magnitudes()[:5]]
    ['1', '1/2', '2', '1/3', '2/3']
    """
    ordered = [Fraction(1)]
    for height in range(2, MAX_HEIGHT + 1):
        coprime = [small for small in range(1, height) if gcd(small, height) == 1]
        ordered += [Fraction(small, height) for small in coprime]
        ordered += [Fraction(height, small) for small in reversed(coprime)]
    return tuple(ordered)


def enumerate_sets(tile: int) -> Iterator[tuple[Shape, tuple[Fraction, ...]]]:
    """Yield every symmetric set once as shape and ascending magnitudes, those of smaller height first."""
    available = magnitudes()
    for shape in shapes(tile):
        if shape.pairs == 0:
            yield shape, ()
    for newest in range(len(available)):
        for shape in shapes(tile):
            if shape.pairs == 0:
                continue
            for others in combinations(available[:newest], shape.pairs - 1):
                chosen = tuple(sorted((*others, available[newest])))
                if not shape.mirrored or chosen <= tuple(sorted(1 / value for value in chosen)):
                    yield shape, chosen


def fast_kappas(m: int, r: int, shape: Shape, sets: Sequence[Sequence[Fraction]]) -> NDArray[np.float64]:
    """Return kappa of Toom-Cook F(m, r) at many sets of one shape, in float64.

    Examples
    --------
    >>> integers = [Fraction(1), Fraction(2)]
    >>> fast_kappas(4, 3, shapes(6)[0], [integers]).round(3).tolist()
    [10.773]
    """
    values = np.array([[float(x) for x in shape.points(chosen) if isinstance(x, Fraction)] for chosen in sets])
    count, finite = values.shape
    master = np.zeros((count, finite + 1))
    master[:, 0] = 1
    for place in range(finite):
        master[:, 1:] = master[:, :-1] - values[:, place, None] * master[:, 1:]
        master[:, 0] *= -values[:, place]
    total = (master**2).sum(axis=1) if INFINITY in shape.alone else np.zeros(count)
    with np.errstate(all="ignore"):
        for place in range(finite):
            total += _product_share(m, r, values, master, place)
    return np.asarray(total / (m * r))


def _product_share(
    m: int, r: int, values: NDArray[np.float64], master: NDArray[np.float64], place: int
) -> NDArray[np.float64]:
    """Return |A_t|^2 |G_t|^2 |B_t|^2 of one finite point in every set."""
    point = values[:, place]
    scale = np.prod(point[:, None] - np.delete(values, place, axis=1), axis=1)
    cofactor, data_square = master[:, -1], master[:, -1] ** 2
    for degree in range(master.shape[1] - 2, 0, -1):
        cofactor = master[:, degree] + point * cofactor
        data_square = data_square + cofactor**2
    powers = point[:, None] ** (2 * np.arange(max(m, r)))
    return np.asarray(powers[:, :m].sum(axis=1) * powers[:, :r].sum(axis=1) / scale**2 * data_square)


def largest_entry(m: int, r: int, points: PointSet) -> float:
    """Return the largest absolute value in the matrices of Toom-Cook F(m, r) at a set, in float64; inf beyond.

    Examples
    --------
    >>> largest_entry(4, 3, shapes(6)[0].points([Fraction(1), Fraction(2)]))
    8.0
    """
    finite = np.array([float(point) for point in points if isinstance(point, Fraction)])
    with np.errstate(all="ignore"):
        found = [float(np.abs(np.poly(finite)).max())] if INFINITY in points else []
        for place, point in enumerate(finite):
            others = np.delete(finite, place)
            size = max(1.0, abs(float(point)))
            g = size ** (r - 1) / np.abs(np.prod(point - others))
            found += [size ** (m - 1), float(g), float(np.abs(np.poly(others)).max())]
    return max(found, default=1.0)
