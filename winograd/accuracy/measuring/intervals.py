"""Means and ratios over trials with their 95 % confidence intervals, from the spread over the trials.

In: one figure per trial. Out: the estimate and its interval; inf where a trial is not finite.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.report import Interval

_NORMAL_95 = 1.959964
"""Quantile of the normal distribution for two-sided 95 %."""

Estimate = tuple[float, Interval]


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
    half = _NORMAL_95 * float(values.std(ddof=1)) / math.sqrt(len(values))
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
    half = _NORMAL_95 * spread / (math.sqrt(len(squares)) * float(sizes.mean()))
    return _root((ratio, (max(0.0, ratio - half), ratio + half)))


def _root(estimate: Estimate) -> Estimate:
    found, (low, high) = estimate
    return math.sqrt(found), (math.sqrt(low), math.sqrt(high))


def _everywhere(value: float) -> Estimate:
    return value, (value, value)
