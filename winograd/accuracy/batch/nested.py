"""Figures of the axes put together: predicted relative L2 errors of nested algorithms with equal axes.

In: a batch, the number of axes, what is computed in which dtype. Out: one figure each. The same for one algorithm with
any axes, in full: `winograd.accuracy.modelling.variance`.
"""

from __future__ import annotations

from functools import reduce

import numpy as np

from winograd.accuracy.batch.axis import AxisFigures, axis_figures
from winograd.accuracy.batch.matrices import Batch
from winograd.accuracy.formats import FloatFormat, float_format, stored_format
from winograd.accuracy.linear import Matrix
from winograd.accuracy.modelling.accumulation import accumulation
from winograd.accuracy.modelling.moments import DEVIATIONS, KURTOSES
from winograd.accuracy.modelling.rounding import PHI, rounding_variance
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import Experiment, FilterRounding


def relative_l2(batch: Batch, ndim: int, fmt: FloatFormat, experiment: Experiment, order: Order) -> Matrix:
    """Return the predicted relative L2 errors of algorithms with ``ndim`` equal axes, nan where not finite."""
    inside = float_format(experiment.transforms) if experiment.transforms else fmt
    with np.errstate(all="ignore"):
        axis = axis_figures(batch, order, inside, experiment)
        rounding = inside.roundoff**2 / 3
        variance = (
            _storage(axis, ndim, fmt, experiment)
            + PHI * fmt.roundoff**2 / 3 * accumulation(experiment, fmt) * axis.products**ndim
            + rounding * _transforms(axis, ndim)
            + _output_rounding(fmt, experiment) * axis.r**ndim
            + _constants(axis, ndim)
        )
        found = np.sqrt(variance / axis.r**ndim)
    return np.where(np.isfinite(found), found, np.nan)


def _transforms(axis: AxisFigures, ndim: int) -> Matrix:
    total = np.zeros_like(axis.products)
    for place in range(ndim):
        data = axis.later if place else axis.first
        total += axis.products**place * data * axis.r ** (ndim - 1 - place)
        total += axis.r**place * axis.inverse * axis.products ** (ndim - 1 - place)
    return total


def _constants(axis: AxisFigures, ndim: int) -> Matrix:
    """Return the mean of the variance from rounded constants.

    With T the tensor and X its change, the squared norm of (T + X) (x) ... - T (x) ... has all three of their products.
    """
    exact, overlap, change = float(axis.r), axis.overlap, axis.change
    for _ in range(ndim - 1):
        change = (
            change * (axis.r + 2 * axis.overlap + axis.change)
            + (exact + 2 * overlap) * axis.change
            + 2 * overlap * axis.overlap
        )
        overlap = overlap * (axis.r + axis.overlap) + exact * axis.overlap
        exact *= axis.r
    return change


def _storage(axis: AxisFigures, ndim: int, fmt: FloatFormat, experiment: Experiment) -> Matrix:
    """Return the variance from rounding transformed taps and data before the products."""
    stored = stored_format(experiment.storage) if experiment.storage else fmt
    again = experiment.storage is not None or experiment.transforms is not None
    filter_rounds = again or experiment.filter_rounding is FilterRounding.ONCE
    scale, kurtosis = DEVIATIONS[experiment.inputs], KURTOSES[experiment.inputs]
    total = np.zeros_like(axis.products)
    kinds = (
        (filter_rounds, axis.filter_squares, axis.filter_peaks, axis.data_squares),
        (again, axis.data_squares, axis.data_peaks, axis.filter_squares),
    )
    for rounds, squares, peaks, others in kinds:
        if rounds:
            deviations = scale * np.sqrt(_outer(squares, ndim))
            rounded = rounding_variance(deviations, kurtosis * _outer(peaks, ndim), stored) / scale**2
            total += (_outer(others * axis.inverse_squares, ndim) * rounded).sum(axis=1)
    return total


def _outer(part: Matrix, ndim: int) -> Matrix:
    """Return all products of ``ndim`` entries of each row, of shape (candidates, rank ** ndim)."""
    return reduce(lambda a, b: (a[:, :, None] * b[:, None, :]).reshape(len(b), -1), [part] * ndim)


def _output_rounding(fmt: FloatFormat, experiment: Experiment) -> float:
    """Return the relative variance from rounding the outputs to a narrower dtype."""
    if experiment.interface is None and experiment.transforms is None:
        return 0.0
    outside = float_format(experiment.interface) if experiment.interface else fmt
    return PHI / 3 * outside.roundoff**2
