"""Means and ratios over trials with their 95 % confidence intervals, from the spread over the trials.

In: one figure per trial. Out: the estimate and its interval; inf where a trial is not finite.
The intervals are Student's, exact for normal figures. Errors are skewed: below about 100 trials they hold less often.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.report import Interval

_FEW: Final = (12.706205, 4.302653, 3.182446, 2.776445)
"""Quantiles of Student's distribution for two-sided 95 %, of 1 to 4 degrees of freedom."""

_EXPANSION: Final = (1.959964, 2.372271, 2.822499, 2.555850, 1.589534)
"""Those of n degrees are these times 1, 1/n, ..., 1/n^4 (Abramowitz and Stegun, 26.7.5)."""

Estimate = tuple[float, Interval]


def student_95(degrees: int) -> float:
    """Return how many standard errors a two-sided 95 % interval reaches to either side, within 2e-4 of itself.

    Examples
    --------
    >>> [round(student_95(degrees), 2) for degrees in (1, 10, 10**6)]
    [12.71, 2.23, 1.96]
    """
    if degrees <= len(_FEW):
        return _FEW[degrees - 1]
    return math.fsum(coefficient / degrees**power for power, coefficient in enumerate(_EXPANSION))


def mean(values: NDArray[np.float64]) -> Estimate:
    """Return the mean of nonnegative figures.

    Examples
    --------
    >>> mean(np.array([1.0, 1.0, 1.0]))
    (1.0, (1.0, 1.0))
    """
    found = float(values.mean())
    if not math.isfinite(found):
        return _everywhere(math.inf)
    half = student_95(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return found, (max(0.0, found - half), found + half)


def root_mean(values: NDArray[np.float64]) -> Estimate:
    """Return the square root of the mean of nonnegative figures."""
    return _root(mean(values))


def root_ratio(squares: NDArray[np.float64], sizes: NDArray[np.float64]) -> Estimate:
    """Return sqrt(sum squares / sum sizes); its interval is that of the ratio, linearised around it.

    Where all sizes are 0, that is inf, and nan if all squares are 0 too: there is nothing that it would be relative to.

    Examples
    --------
    >>> root_ratio(np.zeros(2), np.zeros(2))
    (nan, (nan, nan))
    """
    total, size = float(squares.sum()), float(sizes.sum())
    if size == 0:
        return _everywhere(math.inf if total else math.nan)
    ratio = total / size
    if not math.isfinite(ratio):
        return _everywhere(math.inf)
    spread = float((squares - ratio * sizes).std(ddof=1))
    half = student_95(len(squares) - 1) * spread / (math.sqrt(len(squares)) * float(sizes.mean()))
    return _root((ratio, (max(0.0, ratio - half), ratio + half)))


def _root(estimate: Estimate) -> Estimate:
    found, (low, high) = estimate
    return math.sqrt(found), (math.sqrt(low), math.sqrt(high))


def _everywhere(value: float) -> Estimate:
    return value, (value, value)
