"""The figures of one axis that its predicted error depends on, for many candidates at once.

In: matrices and how they are evaluated. Out: `AxisFigures`. Means over outputs are enough, as those of a nested
algorithm are products of those of its axes. For one candidate, in full: `winograd.accuracy.modelling.moments`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from winograd.accuracy.batch.lowered import LoweredTransform
from winograd.accuracy.batch.matrices import Batch, MatrixBatch
from winograd.accuracy.batch.ordered import OrderedTransform
from winograd.accuracy.batch.transform import Transform
from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.linear import Matrix
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import Experiment, FilterRounding


@dataclass(frozen=True, slots=True, eq=False)
class AxisFigures:
    """Means over the outputs of one axis, per unit variance of inputs and taps; see `AxisMoments` for each.

    Parameters
    ----------
    r : int
        Taps.
    products, first, later, inverse, overlap, change : ndarray of shape (candidates,)
        Variances from errors of the products and from the roundings of the transforms, and what rounded constants do.
    filter_squares, data_squares, filter_peaks, data_peaks : ndarray of shape (candidates, rank)
        Of the rows of g and bt.
    inverse_squares : ndarray of shape (candidates, rank)
        Mean over the rows of at of its squared entries.
    """

    r: int
    products: Matrix
    first: Matrix
    later: Matrix
    inverse: Matrix
    overlap: Matrix
    change: Matrix
    filter_squares: Matrix
    data_squares: Matrix
    filter_peaks: Matrix
    data_peaks: Matrix
    inverse_squares: Matrix


def axis_figures(batch: Batch, order: Order, fmt: FloatFormat, experiment: Experiment) -> AxisFigures:
    """Return the figures of candidates whose transforms run in ``fmt``."""
    at, g, bt = batch.at.values, batch.g.values, batch.bt.values
    data, inverse = (_transform(matrix, order, experiment) for matrix in (batch.bt, batch.at))
    filter_ = None
    if experiment.filter_rounding is FilterRounding.EVERY_INSTRUCTION:
        filter_ = _transform(batch.g, order, experiment)
    gram = at.swapaxes(1, 2) @ at / batch.m
    gg, bb = (matrix @ matrix.swapaxes(1, 2) for matrix in (g, bt))
    first, later = ((gram * gg * covariance).sum(axis=(1, 2)) for covariance in data.covariances(experiment.inputs))
    if filter_ is not None:
        more = [(gram * bb * covariance).sum(axis=(1, 2)) for covariance in filter_.covariances(experiment.inputs)]
        first, later = first + more[0], later + more[1]
    (filter_squares, filter_peaks), (data_squares, data_peaks) = _squares_and_peaks(g), _squares_and_peaks(bt)
    inverse_squares = (at**2).mean(axis=1)
    overlap, change = _changed_tensor(batch, (inverse, filter_, data), fmt)
    return AxisFigures(
        r=batch.r,
        products=(inverse_squares * filter_squares * data_squares).sum(axis=1),
        first=first,
        later=later,
        inverse=inverse.variances(gg * bb),
        overlap=overlap,
        change=change,
        filter_squares=filter_squares,
        data_squares=data_squares,
        filter_peaks=filter_peaks,
        data_peaks=data_peaks,
        inverse_squares=inverse_squares,
    )


def _transform(matrix: MatrixBatch, order: Order, experiment: Experiment) -> Transform:
    if order is Order.LOWERED:
        return LoweredTransform.of(matrix, experiment.contraction)
    return OrderedTransform.of(matrix.values, order)


def _squares_and_peaks(matrix: Matrix) -> tuple[Matrix, Matrix]:
    squares = (matrix**2).sum(axis=2)
    peaks = (matrix**4).sum(axis=2) / np.where(squares > 0, squares, 1.0) ** 2
    return squares, np.where(squares > 0, peaks, 1.0)


def _changed_tensor(
    batch: Batch, transforms: tuple[Transform, Transform | None, Transform], fmt: FloatFormat
) -> tuple[Matrix, Matrix]:
    """Return the inner product of the change of rounded constants with the tensor, and its square, a mean each."""
    at, g, bt = batch.at.values, batch.g.values, batch.bt.values
    at_change, g_change, bt_change = (
        np.zeros_like(matrix) if transform is None else transform.change(fmt)
        for matrix, transform in zip((at, g, bt), transforms, strict=True)
    )
    rounded_at, rounded_g = at + at_change, g + g_change
    inverses = np.concatenate([at_change, rounded_at, rounded_at], axis=2)
    products = np.concatenate([_outer(g, bt), _outer(g_change, bt), _outer(rounded_g, bt_change)], axis=1)
    change = (inverses @ products).reshape(len(at), batch.m, batch.r, -1)
    outputs, taps = np.arange(batch.m), np.arange(batch.r)
    overlap = change[:, outputs[:, None], taps, outputs[:, None] + taps].sum(axis=(1, 2))
    return overlap / batch.m, (change**2).sum(axis=(1, 2, 3)) / batch.m


def _outer(g: Matrix, bt: Matrix) -> Matrix:
    return (g[:, :, :, None] * bt[:, :, None, :]).reshape(*g.shape[:2], -1)
