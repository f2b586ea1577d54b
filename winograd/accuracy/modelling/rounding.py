"""What rounding a random number adds to its variance: PHI u^2 / 3 on average, more or less for a given scale and shape.

In: standard deviations and excess kurtoses of independent sums. Out: mean squared rounding errors, underflow included.
Shapes are those of sums of n equal uniform numbers, which the kurtosis -1.2 / n orders, with the normal one at 0.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np

from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.linear import Matrix

PHI = 3 / (8 * math.log(2))
"""E[4^floor(log2 |v|)] / E[v^2], averaged over the scale of v: rounding v adds PHI u^2 / 3 of its variance."""

UNIFORM_KURTOSIS: Final = -1.2
"""Excess kurtosis of a uniform number; a sum of n equal ones has one n-th of it."""

_TERMS: Final = (1, 2, 3, 4, 6)
"""Uniform numbers in the sums that are tabulated, beside the normal distribution."""

_SCALES: Final = 1024
"""Scales that are tabulated between two powers of two."""

_BINADES: Final = np.arange(-26, 5)
"""Powers of two around the standard deviation that count: the least contributes less than 4^-25."""


def phi(deviations: Matrix, kurtoses: Matrix) -> Matrix:
    """Return E[4^floor(log2 |v|)] / E[v^2] of zero-mean numbers, 0 where the deviation is 0.

    Parameters
    ----------
    deviations : ndarray
        Standard deviations.
    kurtoses : ndarray of the same shape
        Excess kurtoses, from -1.2 (uniform) to 0; what is above counts as normal.

    Examples
    --------
    >>> import numpy as np
    >>> uniform = phi(np.array([3**-0.5]), np.array([-1.2]))  # on (-1, 1): (1/8 + 1/64 + ...) / (1 / 3)
    >>> round(float(uniform[0]), 3)
    0.429
    """
    safe = np.where(deviations > 0, deviations, 1.0)
    fraction = np.mod(np.log2(safe), 1.0) * _SCALES
    left = np.floor(fraction).astype(int) % _SCALES
    nodes, table = _phi_table()
    upper = np.clip(np.searchsorted(nodes, kurtoses), 1, len(nodes) - 1)
    weight = np.clip((kurtoses - nodes[upper - 1]) / (nodes[upper] - nodes[upper - 1]), 0.0, 1.0)
    step = fraction - np.floor(fraction)
    low, high = (table[row, left] * (1 - step) + table[row, left + 1] * step for row in (upper - 1, upper))
    return np.asarray(np.where(deviations > 0, low * (1 - weight) + high * weight, 0.0))


def rounding_variance(deviations: Matrix, kurtoses: Matrix, fmt: FloatFormat) -> Matrix:
    """Return the mean squared error of rounding zero-mean numbers to a format, subnormal numbers and zero included.

    Examples
    --------
    >>> import numpy as np
    >>> from winograd.accuracy.formats import float_format
    >>> half = float_format("float16")
    >>> normal = np.zeros(3)
    >>> deviations = np.array([1.0, 2.0**-16, 2.0**-40])
    >>> relative = rounding_variance(deviations, normal, half) / deviations**2
    >>> [f"{x:.1e}" for x in relative]  # as usual, with a coarser grid, and all lost
    ['4.3e-08', '1.3e-06', '1.0e+00']
    """
    usual = fmt.roundoff**2 / 3 * phi(deviations, kurtoses) * deviations**2
    small = (deviations > 0) & (deviations < math.ldexp(1.0, fmt.least_exponent + 8))
    if small.any():
        usual[small] = [_variance_with_underflow(float(deviation), fmt) for deviation in deviations[small]]
    return usual


def _variance_with_underflow(deviation: float, fmt: FloatFormat) -> float:
    """Return the figure for a normal number: a grid of fixed width below the least normal number, binades above.

    On a grid of width q the mean squared error is q^2 (1/12 + sum_j (-1)^j exp(-2 (pi j s)^2) / (pi j)^2), with
    s = sigma / q.
    """
    quantum = 2 * fmt.underflow
    ratio = deviation / quantum
    if ratio < 1 / 16:
        return deviation**2
    waves = np.arange(1, 64)
    lattice = 1 / 12 + float(((-1.0) ** waves * np.exp(-2 * (np.pi * waves * ratio) ** 2) / (np.pi * waves) ** 2).sum())
    exponents = np.arange(fmt.least_exponent, fmt.least_exponent + 12)
    shares = np.diff(_normal_below(np.ldexp(1.0, exponents) / deviation))
    coarser = float((shares * (4.0 ** np.arange(len(shares)) - 1)).sum())
    return quantum**2 * (lattice + coarser / 12)


@lru_cache(maxsize=1)
def _phi_table() -> tuple[Matrix, Matrix]:
    """Return the kurtoses in ascending order, and phi of each shape at scales 2^(k / n), k = 0 .. n."""
    scales = 2.0 ** (np.arange(_SCALES + 1) / _SCALES)
    edges = 2.0 ** np.append(_BINADES, _BINADES[-1] + 1)[:, None] / scales
    below = [_uniform_sum_below(edges, terms) for terms in _TERMS] + [_normal_below(edges)]
    table = np.stack([(4.0 ** _BINADES[:, None] * np.diff(shape, axis=0)).sum(axis=0) for shape in below])
    return np.array([UNIFORM_KURTOSIS / terms for terms in _TERMS] + [0.0]), table / scales**2


def _normal_below(sizes: Matrix) -> Matrix:
    return np.asarray(np.vectorize(math.erf, otypes=[float])(sizes / math.sqrt(2)))


def _uniform_sum_below(sizes: Matrix, terms: int) -> Matrix:
    """Return P(|v| < size) for the sum of equal uniform numbers of variance 1, by Irwin and Hall's formula."""
    place = np.clip(sizes * math.sqrt(terms / 12) + terms / 2, 0, terms)
    parts = [(-1) ** k * math.comb(terms, k) * np.maximum(place - k, 0.0) ** terms for k in range(terms)]
    return np.asarray(2 * np.sum(parts, axis=0) / math.factorial(terms) - 1)
