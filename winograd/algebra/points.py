"""Interpolation points: what may be one, how text becomes one, and which are taken when none are named.

In: ints, Fractions, sympy numbers and symbols, numpy integers, text in our own grammar, ``INFINITY``.
Out: sympy expressions and ``INFINITY``. Refused: floats (not exact), booleans, text outside the grammar.
Text is never evaluated: it is matched against one regular expression and split into integers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from numbers import Integral
from typing import Any, Final, TypeAlias

import sympy

MAX_POINT_LENGTH: Final = 64
"""Longest text of one point, in characters: exact arithmetic on absurdly long numbers takes minutes."""

MAX_POINTS_LENGTH: Final = 64 * (MAX_POINT_LENGTH + 1)
"""Longest text of a list of points, in characters: as many as the largest tile has."""

_RATIONAL = re.compile(r"([+-]?)(?:([0-9]+)(?:/([0-9]+))?|([0-9]*)\.([0-9]+))", re.ASCII)


class Infinity:
    """The point at infinity: the coefficient of the highest power. There is one, ``INFINITY``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "INFINITY"

    def __str__(self) -> str:
        return "inf"

    def __reduce__(self) -> str:
        return "INFINITY"

    def __deepcopy__(self, memo: dict[int, Any]) -> Infinity:
        return self


INFINITY: Final = Infinity()

Point: TypeAlias = sympy.Expr | Infinity
"""A finite point as an exact sympy expression, or ``INFINITY``."""


def parse_point(text: str) -> Fraction | Infinity:
    """Read one point from text: ``[+-]?digits``, ``p/q``, a short decimal (meaning exactly that fraction) or ``inf``.

    Raises
    ------
    ValueError
        If the text is outside the grammar, longer than ``MAX_POINT_LENGTH``, or divides by zero.

    Examples
    --------
    >>> parse_point("5/8"), parse_point("-0.25"), parse_point("inf")
    (Fraction(5, 8), Fraction(-1, 4), INFINITY)
    """
    if len(text) > MAX_POINT_LENGTH:
        raise ValueError(f"point of {len(text)} characters, at most {MAX_POINT_LENGTH} are allowed")
    stripped = text.strip(" ")
    if stripped == "inf":
        return INFINITY
    match = _RATIONAL.fullmatch(stripped)
    if match is None:
        raise ValueError(f"point {text!r} is not one of: an integer, p/q, a decimal, inf")
    sign, numerator, denominator, whole, decimals = match.groups()
    if decimals is not None:
        value = Fraction(int((whole or "0") + decimals), 10 ** len(decimals))
    elif denominator is not None and int(denominator) == 0:
        raise ValueError(f"point {text!r} divides by zero, p/q needs q other than 0")
    else:
        value = Fraction(int(numerator), int(denominator or "1"))
    return -value if sign == "-" else value


def parse_points(text: str) -> tuple[Fraction | Infinity, ...]:
    """Read a comma-separated list of points.

    Raises
    ------
    ValueError
        If the list is empty or absurdly long, or one of its points is outside the grammar of `parse_point`.

    Examples
    --------
    >>> parse_points("0,1,-1,inf")
    (Fraction(0, 1), Fraction(1, 1), Fraction(-1, 1), INFINITY)
    """
    if len(text) > MAX_POINTS_LENGTH:
        raise ValueError(f"points of {len(text)} characters, at most {MAX_POINTS_LENGTH} are allowed")
    if not text.strip(" "):
        raise ValueError("points are empty, give a comma-separated list such as 0,1,-1,inf")
    return tuple(parse_point(part) for part in text.split(","))


def as_point(value: object) -> Point:
    """Turn what a caller may pass as a point into an exact sympy expression or ``INFINITY``.

    Raises
    ------
    TypeError
        For booleans, floats and anything else that is not exact.
    ValueError
        For text outside the grammar, and for sympy's ``nan`` and ``zoo``.

    Examples
    --------
    >>> as_point("5/8"), as_point(-2), as_point(INFINITY)
    (5/8, -2, INFINITY)
    """
    if value is INFINITY or value is sympy.oo:
        return INFINITY
    if isinstance(value, str):
        return as_point(parse_point(value))
    if isinstance(value, Integral) and not isinstance(value, bool):
        return sympy.Integer(int(value))
    if isinstance(value, Fraction):
        return sympy.Rational(value.numerator, value.denominator)
    if isinstance(value, sympy.Expr) and not value.has(sympy.Float):
        if value.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
            raise ValueError(f"point {value} is not a number; finite points and INFINITY are allowed")
        return value
    if getattr(value, "shape", None) == () and getattr(getattr(value, "dtype", None), "kind", "") in "iu":
        return sympy.Integer(int(value))  # type: ignore[call-overload]  # a 0-d integer array
    raise TypeError(
        f"point {value!r} of type {type(value).__name__} is not exact; "
        "use int, Fraction, a sympy number or symbol, text such as '5/8', or INFINITY"
    )


def as_points(values: Iterable[object]) -> tuple[Point, ...]:
    """Turn an iterable of points into exact ones, pairwise distinct, with ``INFINITY`` moved to the end.

    Raises
    ------
    TypeError, ValueError
        As `as_point`; TypeError for what is no iterable; ValueError naming the two positions of a point listed twice.
    """
    if isinstance(values, str):
        values = parse_points(values)
    try:
        given = iter(values)
    except TypeError:
        raise TypeError(f"points are {values!r}, must be an iterable of points or text such as '0,1,-1,inf'") from None
    points = [as_point(value) for value in given]
    seen: dict[Point, int] = {}
    for position, point in enumerate(points):
        if point in seen:
            raise ValueError(f"points {seen[point]} and {position} are both {point}; points must be distinct")
        seen[point] = position
    finite: list[Point] = [point for point in points if point is not INFINITY]
    return (*finite, INFINITY) if INFINITY in seen else tuple(finite)


def spell(points: Iterable[Point]) -> str:
    """Write points in the grammar that `parse_points` reads.

    Examples
    --------
    >>> spell(as_points([0, "5/8", INFINITY]))
    '0,5/8,inf'
    """
    return ",".join(str(point) for point in points)


def _paired(*halves: str) -> tuple[str, ...]:
    return tuple(sign + half for half in halves for sign in ("", "-"))


# One set for each number of points n = m + r - 1. 2 to 4: Lavin and Gray, arXiv 1509.09308. 6: oneDNN's F(4,3). The
# others are short rationals within 1 % of the least kappa (`winograd.algebra.growth`) that a numeric search finds among
# all symmetric sets for r = 3.
_CHOSEN: Final[dict[int, tuple[str, ...]]] = {
    2: ("0", "inf"),
    3: ("0", "1", "-1"),
    4: ("0", "1", "-1", "inf"),
    5: (*_paired("2/5", "5/4"), "inf"),
    6: ("0", *_paired("5/8", "3/2"), "inf"),
    7: (*_paired("2/7", "6/7", "7/4"), "inf"),
    8: ("0", *_paired("1/2", "1", "2"), "inf"),
    9: (*_paired("2/9", "2/3", "9/8", "9/4"), "inf"),
    10: ("0", *_paired("3/7", "4/5", "5/4", "7/3"), "inf"),
    11: (*_paired("1/5", "4/7", "10/11", "4/3", "5/2"), "inf"),
    12: ("0", *_paired("4/11", "5/7", "1", "10/7", "11/4"), "inf"),
}


def default_points(tile: int) -> tuple[Point, ...]:
    """Return the points that are taken for a tile of ``tile`` inputs when none are named.

    Up to 12 they come from a table of the best sets known for float32. Beyond, they follow a rule: ``INFINITY`` and 0
    where the count allows, and pairs +-tan((2 k - 1) pi / (4 p)), k = 1..p, each rounded to the nearest fraction with
    denominator at most 4 p. The tangents come in pairs c, 1/c, which keeps the powers of large and small points in
    balance.

    Parameters
    ----------
    tile : int
        Number of points, m + r - 1, at least 1.

    Returns
    -------
    tuple of Point
        ``tile`` distinct points; ``INFINITY``, where there is one, is the last.

    Examples
    --------
    >>> default_points(6)
    (0, 5/8, -5/8, 3/2, -3/2, INFINITY)
    >>> len(set(default_points(64)))
    64
    """
    if tile in _CHOSEN:
        return as_points(_CHOSEN[tile])
    pairs = (tile - 1) // 2
    halves = [_rounded_tangent(k, pairs) for k in range(1, pairs + 1)]
    finite: list[object] = [0, *(sign * half for half in halves for sign in (1, -1))]
    return as_points(finite if tile % 2 else [*finite, INFINITY])


def _rounded_tangent(k: int, pairs: int) -> Fraction:
    if 2 * k - 1 > pairs:
        return 1 / _rounded_tangent(pairs + 1 - k, pairs)
    return Fraction(math.tan((2 * k - 1) * math.pi / (4 * pairs))).limit_denominator(4 * pairs)


def infinity_count(points: Sequence[Point]) -> int:
    """Return 1 if ``INFINITY`` is among the points, else 0."""
    return int(any(point is INFINITY for point in points))
