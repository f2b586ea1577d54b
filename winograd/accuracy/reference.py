"""References: direct convolution of tiles, exactly or with an error that is known to be small.

In: data of shape (*tile, channels, trials) and filters of shape (*taps, channels, trials), of any dtype.
Out: outputs of shape (*m, trials): Fractions, mpmath numbers of a context of our own, or float64 with a bound.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.measuring.sums import Array

SHORTCUT_MARGIN = 2.0**-10
"""The float64 reference is used where its own error is at most this fraction of the error that is measured."""


def direct_ref(data: Array, filters: Array) -> Array:
    """Return sum over channels and taps of filters[k] * data[o + k], in the arithmetic of the dtype.

    Examples
    --------
    >>> data, filters = np.arange(4.0).reshape(4, 1, 1), np.ones((3, 1, 1))
    >>> direct_ref(data, filters).ravel()
    array([3., 6.])
    """
    ndim = data.ndim - 2
    taps = filters.shape[:ndim]
    m = [size - tap + 1 for size, tap in zip(data.shape, taps, strict=False)]
    total: Any = 0
    for offset in product(*map(range, taps)):
        window = data[tuple(slice(start, start + size) for start, size in zip(offset, m, strict=True))]
        total = total + window * filters[offset]
    return np.asarray(total.sum(axis=-2))


def direct_exact(data: Array, filters: Array) -> Array:
    """Return the exact outputs as an object array of Fractions. Slow."""
    as_fractions = np.frompyfunc(lambda value: Fraction(float(value)), 1, 1)
    return direct_ref(as_fractions(data), as_fractions(filters))


def direct_mpmath(data: Array, filters: Array, digits: int = 50) -> Array:
    """Return the outputs as an object array of mpmath numbers of ``digits`` decimal digits, in a context of their own.

    Examples
    --------
    >>> before = mpmath.mp.dps
    >>> third = direct_mpmath(np.full((1, 1, 1), 1 / 3), np.full((1, 1, 1), 3.0), digits=40).item()
    >>> print(third, mpmath.mp.dps == before)
    0.9999999999999999444888487687421729788184 True
    """
    context = mpmath.MPContext()
    context.dps = digits
    as_mpf = np.frompyfunc(lambda value: context.mpf(float(value)), 1, 1)
    return direct_ref(as_mpf(data), as_mpf(filters))


def float64_error(data: Array, filters: Array) -> NDArray[np.float64]:
    """Return a bound of the error of `direct_ref` in float64 for each output: n 2^-53 sum |w| |d|, n products each.

    Every product is rounded once and takes part in at most n - 1 sums, and one more 2^-53 covers the second order.
    """
    ndim = data.ndim - 2
    terms = int(np.prod(filters.shape[: ndim + 1]))
    sizes = direct_ref(np.abs(data).astype(np.float64), np.abs(filters).astype(np.float64))
    return np.asarray((terms + 1) * 2.0**-53 * sizes, dtype=np.float64)


def errors_of(result: Array, data: Array, filters: Array) -> NDArray[np.float64]:
    """Return ``result`` minus the exact outputs; see `compare`."""
    return compare(result, data, filters)[0]


def compare(result: Array, data: Array, filters: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``result`` minus the exact outputs, to within `SHORTCUT_MARGIN` of its mean size, and the outputs.

    The float64 reference is tried first. Where its bound is not far enough below what it finds, Fractions decide.
    Errors are inf where the result is not finite.
    """
    finite = np.isfinite(result)
    known = np.where(finite, result, result.dtype.type(0)).astype(np.float64)
    wide = data.astype(np.float64), filters.astype(np.float64)
    outputs = direct_ref(*wide)
    errors = known - outputs
    if not _far_below(*wide, errors):
        as_fractions = np.frompyfunc(Fraction, 1, 1)
        errors = (as_fractions(known) - direct_exact(*wide)).astype(np.float64)
    errors[~finite] = np.inf
    return errors, outputs


def _far_below(data: Array, filters: Array, errors: Array) -> bool:
    """Whether the float64 reference is accurate enough: judged by the largest numbers, else by all of them."""
    allowed = SHORTCUT_MARGIN * float(np.abs(errors).mean())
    terms = int(np.prod(filters.shape[: data.ndim - 1]))
    if (terms + 1) * 2.0**-53 * terms * np.abs(data).max() * np.abs(filters).max() <= allowed:
        return True
    return bool(float64_error(data, filters).mean() <= allowed)
