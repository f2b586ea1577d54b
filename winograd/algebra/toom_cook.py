"""Toom-Cook: F(m, r) by evaluation at points and interpolation, transposed into a FIR filter.

In: sizes and points. Out: a proved `BilinearAlgorithm` of rank m + r - 1. Refused: equal points and wrong numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import sympy
from sympy.polys.constructor import construct_domain

from winograd.algebra.bilinear import BilinearAlgorithm, checked_sizes
from winograd.algebra.points import INFINITY, Point, as_points, default_points, infinity_count
from winograd.algebra.polynomials import divide_linear, evaluate, multiply_linear, powers


def toom_cook(m: int, r: int, points: Iterable[object] | None = None) -> BilinearAlgorithm:
    r"""Return the Toom-Cook algorithm F(m, r) at the given points, proved.

    With the finite points a_t, M(x) = prod (x - a_b), M_t = M / (x - a_t) and N_t = M_t(a_t): column t of ``at`` is
    (1, a_t, ..., a_t^(m-1)), row t of ``g`` is (1, a_t, ..., a_t^(r-1)) / N_t and row t of ``bt`` holds the
    coefficients of M_t. INFINITY takes the last product: the highest powers in ``at`` and ``g``, the coefficients of M
    in ``bt``. At the point 0 the sign of a negative N_t stands in ``bt``, so that the filter's value there is not
    negated; F(2,3) begins like the matrices of the literature.

    Parameters
    ----------
    m, r : int
        Outputs and taps, at least 1, with a tile m + r - 1 of at most 64. Anything with ``__index__`` will do.
    points : iterable, optional
        m + r - 1 distinct points: int, Fraction, sympy number or symbol, text such as "5/8", or ``INFINITY``, which is
        moved to the end. None takes `default_points`; where m or r is 1 nothing can be saved and None gives the direct
        algorithm, which has the same rank.

    Returns
    -------
    BilinearAlgorithm
        With exact matrices; ``points`` lists the points in the order of the products.

    Raises
    ------
    TypeError
        For sizes that are no integers and points that are not exact.
    ValueError
        For sizes out of range, points listed twice and a wrong number of points.

    References
    ----------
    A. Lavin and S. Gray, Fast algorithms for convolutional neural networks, arXiv 1509.09308, section 4.
    B. Barabasz et al., Error analysis and improving the accuracy of Winograd convolution, arXiv 1803.10986, section 3.

    Examples
    --------
    >>> toom_cook(2, 3, [0, 1, -1, INFINITY]).at
    Matrix([
    [1, 1,  1, 0],
    [0, 1, -1, 1]])
    >>> toom_cook(4, 3)
    <F(4,3) at 0,5/8,-5/8,3/2,-3/2,inf, 6 multiplications>
    """
    m, r = checked_sizes(m, r)
    if points is None:
        return _direct(m, r) if 1 in (m, r) else _toom_cook(m, r, default_points(m + r - 1))
    chosen = as_points(points)
    _check_count(m, r, chosen)
    return _toom_cook(m, r, chosen)


def _check_count(m: int, r: int, points: Sequence[Point]) -> None:
    tile, at_infinity = m + r - 1, infinity_count(points)
    if len(points) != tile:
        allowed = f"{tile - 1} finite points beside INFINITY"
        if not at_infinity:
            allowed = f"{tile - 1} finite points and INFINITY or {tile} finite points"
        raise ValueError(f"F({m},{r}) needs {allowed}, got {len(points) - at_infinity}")


@lru_cache(maxsize=256)
def _direct(m: int, r: int) -> BilinearAlgorithm:
    size = max(m, r)
    ones, identity = sympy.ones(1, size), sympy.eye(size)
    if m == 1:
        return BilinearAlgorithm(m=m, r=r, at=ones, g=identity, bt=identity)
    return BilinearAlgorithm(m=m, r=r, at=identity, g=ones.T, bt=identity)


@lru_cache(maxsize=256)
def _toom_cook(m: int, r: int, points: tuple[Point, ...]) -> BilinearAlgorithm:
    finite = [point for point in points if point is not INFINITY]
    field, values = construct_domain([sympy.Integer(1), *finite], field=True, extension=True)
    one, *values = values
    rows = [_finite_rows(value, product, m, r, field) for value, product in _cofactors(values, one)]
    if infinity_count(points):
        rows.append(_infinite_rows(values, m, r, one))
    columns, g, bt = (list(parts) for parts in zip(*rows, strict=True))

    def matrix(entries: Sequence[Sequence[Any]]) -> sympy.ImmutableMatrix:
        return sympy.ImmutableMatrix([[field.to_sympy(entry) for entry in row] for row in entries])

    return BilinearAlgorithm(m=m, r=r, at=matrix(columns).T, g=matrix(g), bt=matrix(bt), points=points)


Rows = tuple[list[Any], list[Any], list[Any]]
"""What one product contributes: its column of at, its row of g, its row of bt."""


def _master(values: Sequence[Any], one: Any) -> list[Any]:
    polynomial = [one]
    for value in values:
        polynomial = multiply_linear(polynomial, value)
    return polynomial


def _cofactors(values: Sequence[Any], one: Any) -> list[tuple[Any, list[Any]]]:
    master = _master(values, one)
    return [(value, divide_linear(master, value)) for value in values]


def _finite_rows(value: Any, cofactor: list[Any], m: int, r: int, field: Any) -> Rows:
    scale = evaluate(cofactor, value)
    if not scale:
        raise ValueError(f"point {value} is listed twice; points must be distinct")
    padded = cofactor + [field.zero] * (m + r - 1 - len(cofactor))
    if field.is_QQ and not value and scale < 0:
        scale, padded = -scale, [-entry for entry in padded]
    return powers(value, m, field.one), [power / scale for power in powers(value, r, field.one)], padded


def _infinite_rows(values: Sequence[Any], m: int, r: int, one: Any) -> Rows:
    zero = one - one
    return [*[zero] * (m - 1), one], [*[zero] * (r - 1), one], _master(values, one)
