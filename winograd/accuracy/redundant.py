"""Toom-Cook at more points than the product has coefficients: the interpolation with the least kappa among all.

In: sizes and rational points, more than m + r - 1. Out: a proved `BilinearAlgorithm` with one product per point.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import sympy
from sympy.polys.domains import QQ
from sympy.polys.matrices import DomainMatrix

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.points import Infinity


def redundant(m: int, r: int, points: Sequence[Fraction | Infinity]) -> BilinearAlgorithm:
    r"""Return F(m, r) at R > m + r - 1 distinct rational points, of rank R.

    Row t of E is (1, a_t, ..., a_t^(n-1)), n = m + r - 1, that of INFINITY (0, ..., 0, 1). Any B with E^T B = I
    interpolates; kappa weighs the square of row t by w_t = \|A_t\|^2 \|G_t\|^2, and the least one is
    B = W^-1 E (E^T W^-1 E)^-1, the generalised least squares solution, rational where the points are.

    Raises
    ------
    ValueError
        If there are fewer points than the product has coefficients.

    Examples
    --------
    >>> redundant(2, 2, [Fraction(0), Fraction(1), Fraction(-1), Fraction(2)])
    <F(2,2) at 0,1,-1,2, 4 multiplications>
    """
    tile = m + r - 1
    if len(points) < tile:
        raise ValueError(f"F({m},{r}) needs at least {tile} points, got {len(points)}")
    columns, taps, rows = ([_powers(point, size) for point in points] for size in (m, r, tile))
    weights = [_square(a) * _square(g) for a, g in zip(columns, taps, strict=True)]
    weighted = _matrix([[entry / weight for entry in row] for row, weight in zip(rows, weights, strict=True)])
    normal = weighted.transpose() * _matrix(rows)
    bt = weighted * normal.inv()
    return BilinearAlgorithm(
        m=m,
        r=r,
        at=sympy.ImmutableMatrix(columns).T,
        g=sympy.ImmutableMatrix(taps),
        bt=sympy.ImmutableMatrix(bt.to_Matrix()),
        points=tuple(p if isinstance(p, Infinity) else sympy.Rational(p.numerator, p.denominator) for p in points),
    )


def _powers(point: Fraction | Infinity, size: int) -> list[Fraction]:
    if isinstance(point, Infinity):
        return [Fraction(0)] * (size - 1) + [Fraction(1)]
    return [point**power for power in range(size)]


def _square(entries: Sequence[Fraction]) -> Fraction:
    return sum((entry * entry for entry in entries), start=Fraction(0))


def _matrix(rows: Sequence[Sequence[Fraction]]) -> DomainMatrix:
    elements = [[QQ(entry.numerator, entry.denominator) for entry in row] for row in rows]
    return DomainMatrix(elements, (len(rows), len(rows[0])), QQ)
