"""What rounding a random number adds to its variance: PHI u^2 / 3 on average, more or less for a given scale and shape.

In: standard deviations and excess kurtoses of independent sums. Out: mean squared rounding errors, underflow included.
Shapes are those of sums of n equal uniform numbers, which the kurtosis -1.2 / n orders, with the normal one at 0.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.linear import Matrix
from winograd.accuracy.protocol import Inputs

PHI = 3 / (8 * math.log(2))
"""E[4^floor(log2 |v|)] / E[v^2], averaged over the scale of v: rounding v adds PHI u^2 / 3 of its variance."""

UNIFORM_KURTOSIS: Final = -1.2
"""Excess kurtosis of a uniform number; a sum of n equal ones has one n-th of it."""

DEVIATIONS: Final = {Inputs.UNIFORM: 3**-0.5, Inputs.NORMAL: 1.0}
"""Standard deviations of inputs and taps."""

KURTOSES: Final = {Inputs.UNIFORM: UNIFORM_KURTOSIS, Inputs.NORMAL: 0.0}
"""Excess kurtoses of inputs and taps."""

_TERMS: Final = (1, 2, 3, 4, 6)
"""Uniform numbers in the sums that are tabulated, beside the normal distribution."""

_SCALES: Final = 1024
"""Scales that are tabulated between two powers of two."""

_BINADES: Final = np.arange(-26, 5)
"""Powers of two around the standard deviation that count: the least contributes less than 4^-25."""


_LIMITS: Final = np.arange(-20, 6)
"""Powers of two, relative to that below the deviation, up to which numbers are exact; the last stands for all numbers,
and the first for none, which it is within 1e-12."""


def phi(deviations: Matrix, kurtoses: Matrix, limits: Matrix | float = -np.inf) -> Matrix:
    """Return 3 / u^2 times the mean squared rounding error over E[v^2], 0 where the deviation is 0.

    For numbers on no grid that is E[4^floor(log2 |v|)] / E[v^2]. Numbers on a grid that holds all of the format below
    2^limit are exact there. Beyond it a unit of the last place has N = 2, 4, 8, ... places of the grid, and the mean
    square error is 1 + 2 / N^2 times the usual.

    Parameters
    ----------
    deviations : ndarray
        Standard deviations.
    kurtoses : ndarray of the same shape
        Excess kurtoses, from -1.2 (uniform) to 0; what is above counts as normal.
    limits : ndarray of the same shape
        Exponents of two; -inf where there is no grid. Between whole ones the figure is interpolated.

    Examples
    --------
    >>> import numpy as np
    >>> uniform = phi(np.array([3**-0.5]), np.array([-1.2]))  # on (-1, 1): (1/8 + 1/64 + ...) / (1 / 3)
    >>> round(float(uniform[0]), 3)
    0.429
    >>> exact = phi(np.array([3**-0.5]), np.array([-1.2]), np.array([0.0]))  # multiples of u below 1, all exact
    >>> round(float(exact[0]), 2)
    0.0
    """
    safe = np.where(deviations > 0, deviations, 1.0)
    exponent = np.floor(np.log2(safe))
    nodes, table = _phi_table()
    upper = np.clip(np.searchsorted(nodes, kurtoses), 1, len(nodes) - 1)
    weight = np.clip((kurtoses - nodes[upper - 1]) / (nodes[upper] - nodes[upper - 1]), 0.0, 1.0)
    limit, above = _place(np.clip(limits - exponent, _LIMITS[0], _LIMITS[-1]) - _LIMITS[0], len(_LIMITS))
    left, step = _place((np.log2(safe) - exponent) * _SCALES, _SCALES + 1)
    found = np.zeros(np.shape(deviations))
    for row, row_weight in ((upper - 1, 1 - weight), (upper, weight)):
        for place, place_weight in ((limit, 1 - above), (limit + 1, above)):
            low, high = table[place, row, left], table[place, row, left + 1]
            found += row_weight * place_weight * (low * (1 - step) + high * step)
    return np.where(deviations > 0, found, 0.0)


def _place(position: Matrix, size: int) -> tuple[NDArray[np.intp], Matrix]:
    """Return the entry before a position in a table, and how far it is to the next one."""
    before = np.clip(np.floor(position), 0, size - 2).astype(int)
    return before, position - before


def rounding_variance(
    deviations: Matrix, kurtoses: Matrix, fmt: FloatFormat, limits: Matrix | float = -np.inf
) -> Matrix:
    """Return the mean squared error of rounding zero-mean numbers to a format, subnormal numbers and zero included.

    Arguments are those of `phi`.

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
    usual = fmt.roundoff**2 / 3 * phi(deviations, kurtoses, limits) * deviations**2
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
    """Return the kurtoses in ascending order, and phi by limit, shape, and scale 2^(k / n), k = 0 .. n."""
    scales = 2.0 ** (np.arange(_SCALES + 1) / _SCALES)
    edges = 2.0 ** np.append(_BINADES, _BINADES[-1] + 1)[:, None] / scales
    below = [_uniform_sum_below(edges, terms) for terms in _TERMS] + [_normal_below(edges)]
    parts = np.stack([4.0 ** _BINADES[:, None] * np.diff(shape, axis=0) for shape in below])
    places = 2.0 ** (_BINADES - _LIMITS[:, None] + 1)
    weights = np.where(places >= 2, 1 + 2 / places**2, 0.0)
    weights[0], weights[-1] = 1.0, 0.0
    table = np.tensordot(weights, parts, axes=(1, 1))
    return np.array([UNIFORM_KURTOSIS / terms for terms in _TERMS] + [0.0]), table / scales**2


def _normal_below(sizes: Matrix) -> Matrix:
    return np.asarray(np.vectorize(math.erf, otypes=[float])(sizes / math.sqrt(2)))


def _uniform_sum_below(sizes: Matrix, terms: int) -> Matrix:
    """Return P(|v| < size) for the sum of equal uniform numbers of variance 1, by Irwin and Hall's formula."""
    place = np.clip(sizes * math.sqrt(terms / 12) + terms / 2, 0, terms)
    parts = [(-1) ** k * math.comb(terms, k) * np.maximum(place - k, 0.0) ** terms for k in range(terms)]
    return np.asarray(2 * np.sum(parts, axis=0) / math.factorial(terms) - 1)
