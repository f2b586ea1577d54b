"""Toom-Cook matrices at many sets of points at once, in float64.

In: sizes, sets of points, where the inverses go. Out: arrays at, g, bt. The coefficients in bt are computed in
integers, so that nothing cancels and every exact 0 is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.linear import Matrix
from winograd.accuracy.recipe import Scaling
from winograd.algebra.points import Infinity

Integers = NDArray[Any]
"""int64 where all results fit, else Python integers."""


def toom_cook_values(
    m: int, r: int, sets: Sequence[Sequence[Fraction | Infinity]], scaling: Scaling
) -> tuple[Matrix, Matrix, Matrix]:
    """Return at, g and bt of Toom-Cook F(m, r) at sets of m + r - 1 points, within a few units in the last place.

    Parameters
    ----------
    m, r : int
    sets : sequence of sequences of Fraction and INFINITY
        Each of m + r - 1 distinct points; INFINITY in all of them or in none, where its product comes last.
    scaling : Scaling

    Returns
    -------
    tuple of ndarray
        Of shapes (sets, m, rank), (sets, rank, r), (sets, rank, m + r - 1), the products in the order of the points.

    Raises
    ------
    ValueError
        If the sets are not all of m + r - 1 distinct points, or INFINITY is in some only.

    Examples
    --------
    >>> at, g, bt = toom_cook_values(2, 2, [[Fraction(0), Fraction(1, 2), Fraction(-1, 2)]], Scaling.INTEGER)
    >>> bt[0].tolist()
    [[1.0, 0.0, -4.0], [0.0, 1.0, 2.0], [0.0, -1.0, 2.0]]
    """
    finite = [[point for point in points if not isinstance(point, Infinity)] for points in sets]
    _check(m, r, sets, finite)
    numerators, denominators = _integers(finite)
    polynomials, leading = _polynomials(numerators, denominators, m + r - 1)
    inverse = np.ones(leading.shape)
    inverse[:, : numerators.shape[1]] /= _scales(numerators, denominators)
    signs = np.ones(leading.shape, numerators.dtype)  # as in toom_cook: no negative inverse at the point 0
    signs[:, : numerators.shape[1]][(numerators == 0) & (inverse[:, : numerators.shape[1]] < 0)] = -1
    inverse, polynomials = inverse * signs, polynomials * signs[:, :, None]
    points = (numerators / denominators).astype(np.float64)
    at, g = (_powers(points, size, m + r - 1) for size in (m, r))
    if scaling is Scaling.INTEGER:
        common = np.gcd.reduce(polynomials, axis=2)
        g_factor, bt = inverse * (common / leading), polynomials // common[:, :, None]
    else:
        g_factor, bt = inverse, polynomials / leading[:, :, None]
    if scaling is Scaling.DATA:
        g_factor, bt = np.ones(inverse.shape), bt * inverse[:, :, None]
    return at.swapaxes(1, 2), g * g_factor.astype(np.float64)[:, :, None], bt.astype(np.float64)


def _check(m: int, r: int, sets: Sequence[Sequence[object]], finite: Sequence[Sequence[object]]) -> None:
    if any(len(points) != m + r - 1 for points in sets):
        raise ValueError(f"sets of {sorted({len(points) for points in sets})} points, F({m},{r}) needs {m + r - 1}")
    if len({len(points) for points in finite}) > 1:
        raise ValueError("sets with and without INFINITY, must be all with it or all without")


def _integers(finite: Sequence[Sequence[Fraction]]) -> tuple[Integers, Integers]:
    numerators = np.array([[point.numerator for point in points] for points in finite], dtype=object)
    denominators = np.array([[point.denominator for point in points] for points in finite], dtype=object)
    largest = (abs(numerators) + denominators).max(axis=0)
    fits = all(value < 2**31 for value in largest) and np.prod(largest) < 2**62
    kind = np.int64 if fits else object
    return numerators.astype(kind), denominators.astype(kind)


def _polynomials(numerators: Integers, denominators: Integers, rank: int) -> tuple[Integers, Integers]:
    """Return prod (d_b x - n_b) over the other points, of shape (sets, rank, rank), and their leading coefficients.

    Coefficients ascend. The product of INFINITY, beyond the finite points, has all of them.
    """
    count, finite = numerators.shape
    found = np.zeros((count, rank, rank), dtype=numerators.dtype)
    found[:, :, 0] = 1
    for place in range(finite):
        others = np.arange(rank) != place
        factor, constant = denominators[:, place, None, None], numerators[:, place, None, None]
        product = -constant * found[:, others]
        product[..., 1:] += factor * found[:, others, :-1]
        found[:, others] = product
    whole = np.prod(denominators, axis=1, keepdims=True)
    leading = np.concatenate([whole // denominators, np.repeat(whole, rank - finite, axis=1)], axis=1)
    return found, leading


def _scales(numerators: Integers, denominators: Integers) -> Matrix:
    """Return N_t = prod_{b != t} (a_t - a_b); every difference is exact before it is rounded."""
    differences = numerators[:, :, None] * denominators[:, None, :] - numerators[:, None, :] * denominators[:, :, None]
    quotients = (differences / (denominators[:, :, None] * denominators[:, None, :])).astype(np.float64)
    diagonal = np.arange(numerators.shape[1])
    quotients[:, diagonal, diagonal] = 1.0
    twice = np.flatnonzero((quotients == 0).any(axis=(1, 2)))
    if len(twice):
        raise ValueError(f"set {twice[0]} has a point twice; points must be distinct")
    return np.asarray(quotients.prod(axis=2))


def _powers(points: Matrix, size: int, rank: int) -> Matrix:
    """Return the powers of every point, of shape (sets, rank, size); of INFINITY, beyond them, the highest only."""
    found = np.zeros((len(points), rank, size))
    found[:, : points.shape[1]] = points[:, :, None] ** np.arange(size)
    found[:, points.shape[1] :, -1] = 1.0
    return found
