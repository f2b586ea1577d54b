"""Hypothesis strategies: points, moduli, algorithms and nests of them.

Sizes are capped so that one example takes milliseconds, and every strategy is ordered so that failures shrink to the
simple case: few outputs and taps, small integers as points, few moduli, one axis.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import sympy
from hypothesis import strategies as st

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.crt import crt
from winograd.algebra.moduli import Modulus
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.points import INFINITY, Infinity
from winograd.algebra.toom_cook import toom_cook

MAX_TILE = {1: 9, 2: 6, 3: 4}
"""Largest tile per number of axes: a nest of three F(2,3) has 64 products already."""

MAX_CRT_TILE = 6
"""Largest tile of an algorithm over drawn moduli: exact arithmetic with quadratics takes its time."""

_QUADRATICS = sorted(
    ((b, c) for b in range(-2, 3) for c in range(1, 4) if b * b < 4 * c),
    key=lambda pair: (pair[1], abs(pair[0]), -pair[0]),
)
"""x^2 + b x + c without real roots, so irreducible and pairwise coprime; x^2 + 1 comes first."""


def points(max_height: int = 6) -> st.SearchStrategy[Fraction]:
    """Finite points: rationals whose numerator and denominator are at most ``max_height``; shrinks to 0.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(points(), lambda point: point.denominator > 1)
    Fraction(1, 2)
    """
    return st.builds(Fraction, st.integers(-max_height, max_height), st.integers(1, max_height))


def point_sets(count: int, max_height: int = 6) -> st.SearchStrategy[list[Fraction | Infinity]]:
    """``count`` distinct points in any order, with and without INFINITY; shrinks to it and small integers.

    F(m, r) takes m + r - 1 of them.

    Examples
    --------
    >>> from hypothesis import given
    >>> from winograd import toom_cook
    >>> @given(point_sets(4))
    ... def all_sets_give_an_algorithm(chosen):
    ...     assert toom_cook(2, 3, chosen).rank == 4
    >>> all_sets_give_an_algorithm()
    """
    any_point = st.one_of(points(max_height), st.just(INFINITY))
    return st.lists(any_point, min_size=count, max_size=count, unique=True)


@st.composite
def moduli(draw: st.DrawFn, degree: int, max_height: int = 3) -> tuple[Modulus, ...]:
    """Pairwise coprime moduli whose degrees sum to ``degree``, as `winograd.crt` takes them.

    Linear ones at distinct points, irreducible quadratics, a squared linear one, INFINITY to a power of at most 3;
    shrinks to few moduli with small coefficients.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(moduli(3), lambda chosen: chosen[0].degree == 2)
    (<Modulus x^2+1>, <Modulus x>)
    """
    quadratics = draw(st.lists(st.sampled_from(_QUADRATICS), max_size=degree // 2, unique=True))
    rest = degree - 2 * len(quadratics)
    multiplicity = draw(st.integers(0, min(rest, 3)))
    rest -= multiplicity
    squares = draw(st.integers(0, min(rest // 2, 1)))
    roots = draw(st.lists(points(max_height), min_size=rest - squares, max_size=rest - squares, unique=True))
    found = [_monic(c, b) for b, c in quadratics]
    found += [_monic(root * root, -2 * root) for root in roots[:squares]]
    found += [_monic(-root) for root in roots[squares:]]
    infinite = [Modulus((), multiplicity)] if multiplicity else []
    return (*found, *infinite)


def _monic(*coefficients: Fraction | int) -> Modulus:
    """Return the modulus with these coefficients below the leading 1, the constant term first."""
    below = tuple(sympy.Rational(c.numerator, c.denominator) for c in coefficients)
    return Modulus((*below, sympy.Integer(1)), len(below))


@st.composite
def sizes(draw: st.DrawFn, max_tile: int = MAX_TILE[1]) -> tuple[int, int]:
    """Draw outputs and taps (m, r) with a tile m + r - 1 of at most ``max_tile``; shrinks to (1, 1)."""
    m = draw(st.integers(1, max_tile))
    return m, draw(st.integers(1, max_tile + 1 - m))


@st.composite
def toom_cook_algorithms(draw: st.DrawFn, max_tile: int = MAX_TILE[1]) -> BilinearAlgorithm:
    """Algorithms with minimal products, at default or drawn points; the direct ones of m = 1 and r = 1 are among them.

    Shrinks to one output and one tap.
    """
    m, r = draw(sizes(max_tile))
    return toom_cook(m, r, draw(st.one_of(st.none(), point_sets(m + r - 1))))


@st.composite
def crt_algorithms(draw: st.DrawFn, max_tile: int = MAX_CRT_TILE) -> BilinearAlgorithm:
    """Algorithms over drawn moduli, the superlinear ones among them; shrinks to one output and one tap.

    Examples
    --------
    >>> from hypothesis import find
    >>> found = find(crt_algorithms(), lambda algorithm: algorithm.rank > algorithm.tile)
    >>> found.rank - found.tile
    1
    """
    m, r = draw(sizes(max_tile))
    return crt(m, r, draw(moduli(m + r - 1)))


def algorithms(max_tile: int = MAX_TILE[1]) -> st.SearchStrategy[BilinearAlgorithm]:
    """Algorithms of one axis, `toom_cook_algorithms` first and `crt_algorithms` second.

    Parameters
    ----------
    max_tile : int
        Largest m + r - 1; over drawn moduli at most `MAX_CRT_TILE`.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(algorithms())
    ... def every_algorithm_is_proved(algorithm):
    ...     algorithm.verify()
    >>> every_algorithm_is_proved()
    """
    return st.one_of(toom_cook_algorithms(max_tile), crt_algorithms(min(max_tile, MAX_CRT_TILE)))


@st.composite
def nested_algorithms(
    draw: st.DrawFn,
    max_axes: int = 3,
    *,
    min_axes: int = 1,
    axes: Callable[[int], st.SearchStrategy[BilinearAlgorithm]] = algorithms,
) -> NestedAlgorithm:
    """Nests of ``min_axes`` to ``max_axes`` axes that may differ, with smaller tiles where there are more axes.

    Parameters
    ----------
    min_axes, max_axes : int
        Between 1 and 3.
    axes : callable
        Strategy of one axis for its largest tile: `algorithms`, `toom_cook_algorithms` or `crt_algorithms`.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(nested_algorithms(), lambda nested: nested.ndim == 3)
    <F(1x1x1,1x1x1), 1 multiplications>
    """
    ndim = draw(st.integers(min_axes, max_axes))
    return NestedAlgorithm(tuple(draw(axes(MAX_TILE[ndim])) for _ in range(ndim)))
