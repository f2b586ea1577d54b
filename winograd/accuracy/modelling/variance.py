"""The variance of every output's error: the moments of the axes put together, part by part.

In: an algorithm, a format, an experiment, an order. Out: `Variances`, for independent zero-mean inputs.
Axes transformed earlier contribute their response to errors of the products, later ones r; in the inverse transform it
is the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce

import numpy as np

from winograd.accuracy.formats import FloatFormat, float_format, stored_format
from winograd.accuracy.linear import Matrix
from winograd.accuracy.modelling.accumulation import accumulation
from winograd.accuracy.modelling.moments import DEVIATIONS, KURTOSES, AxisMoments, axis_moments
from winograd.accuracy.modelling.rounding import PHI, rounding_variance
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import Experiment, FilterRounding
from winograd.algebra.nesting import NestedAlgorithm


@dataclass(frozen=True, slots=True, eq=False)
class Variances:
    """Parts of the variance of the error, per channel and per unit variance of inputs and taps.

    Parameters
    ----------
    axes : tuple of AxisMoments
    filter_storage, data_storage : ndarray of shape (*ranks,)
        Variance of the rounding of each transformed tap and datum before the products.
    accumulation : float
        Variance from rounded products and sums, relative to that of the sum.
    transforms : float
        Mean squared relative rounding error of the transforms, but for a factor of the size of what is rounded.
    outputs : float
        Variance from the rounding of the outputs to a narrower dtype, relative to that of the outputs.
    constants : ndarray of shape (*m,)
        Variance from the rounding of constants.
    """

    axes: tuple[AxisMoments, ...]
    filter_storage: Matrix
    data_storage: Matrix
    accumulation: float
    transforms: float
    outputs: float
    constants: Matrix

    @property
    def by_output(self) -> Matrix:
        """Variance of each output's error, of shape (*m,)."""
        filter_squares, data_squares = (
            outer([getattr(axis, name) for axis in self.axes]) for name in ("filter_squares", "data_squares")
        )
        products = (
            self.filter_storage * data_squares
            + filter_squares * self.data_storage
            + self.accumulation * filter_squares * data_squares
        )
        return self.through_inverse(products) + self.before + self.after + self.constants

    @property
    def before(self) -> Matrix:
        """Variance from the roundings of data and filter transforms, of shape (*m,)."""
        return self.transforms * _outer_diagonals(_before(self.axes))

    @property
    def after(self) -> Matrix:
        """Variance from the roundings of the inverse transform and of the outputs, of shape (*m,)."""
        return self.transforms * _outer_diagonals(_after(self.axes)) + self.outputs * self._exact

    @property
    def before_covariance(self) -> Matrix:
        """Covariance whose diagonal is `before`, of shape (outputs, outputs)."""
        return self.transforms * _kronecker(_before(self.axes))

    @property
    def after_covariance(self) -> Matrix:
        """Covariance whose diagonal is `after`, of shape (outputs, outputs)."""
        return self.transforms * _kronecker(_after(self.axes)) + self.outputs * np.diag(self._exact.ravel())

    @property
    def _exact(self) -> Matrix:
        return outer([np.diag(axis.exact) for axis in self.axes])

    def through_inverse(self, products: Matrix) -> Matrix:
        """Return the variances of the outputs, (*m, ...), for independent errors of products, (*ranks, ...)."""
        return contracted([axis.at**2 for axis in self.axes], products)


@lru_cache(maxsize=8)  # the arrays of a large nest have a million entries
def variances(nested: NestedAlgorithm, fmt: FloatFormat, experiment: Experiment, order: Order) -> Variances:
    """Return the parts of the variance. Arrays are shared: they are not to be written."""
    inside = float_format(experiment.transforms) if experiment.transforms else fmt
    axes = tuple(
        axis_moments(axis, order, inside, experiment.contraction, experiment.filter_rounding, experiment.inputs)
        for axis in nested.axes
    )
    filter_storage, data_storage = _storage(axes, fmt, experiment)
    return Variances(
        axes=axes,
        filter_storage=filter_storage,
        data_storage=data_storage,
        accumulation=PHI * fmt.roundoff**2 / 3 * accumulation(experiment, fmt),
        transforms=inside.roundoff**2 / 3,
        outputs=_output_rounding(fmt, experiment),
        constants=_constants(axes),
    )


def outer(parts: Sequence[Matrix]) -> Matrix:
    """Return the outer product of arrays."""
    return reduce(np.multiply.outer, parts)


def contracted(matrices: Sequence[Matrix], values: Matrix) -> Matrix:
    """Apply one matrix to each leading axis of an array."""
    for axis, matrix in enumerate(matrices):
        values = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
    return values


Term = list[Matrix]
"""A covariance of outputs as one factor per axis, each of shape (m, m)."""


def _before(axes: Sequence[AxisMoments]) -> list[Term]:
    """Return the terms from the transforms before the products, one per axis."""
    found = []
    for place, axis in enumerate(axes):
        own = axis.later if place else axis.first
        found.append([*(x.products for x in axes[:place]), own, *(x.exact for x in axes[place + 1 :])])
    return found


def _after(axes: Sequence[AxisMoments]) -> list[Term]:
    """Return the terms from the inverse transform, one per axis."""
    return [
        [*(x.exact for x in axes[:place]), axis.inverse, *(x.products for x in axes[place + 1 :])]
        for place, axis in enumerate(axes)
    ]


def _outer_diagonals(terms: Sequence[Term]) -> Matrix:
    return np.asarray(np.sum([outer([np.diag(factor) for factor in term]) for term in terms], axis=0))


def _kronecker(terms: Sequence[Term]) -> Matrix:
    return np.asarray(np.sum([reduce(_kron, term) for term in terms], axis=0))


def _kron(first: Matrix, second: Matrix) -> Matrix:
    return np.asarray(np.kron(first, second), dtype=np.float64)


def _storage(axes: Sequence[AxisMoments], fmt: FloatFormat, experiment: Experiment) -> tuple[Matrix, Matrix]:
    """Return the variance of the rounding of each transformed tap and datum, per unit variance of the inputs."""
    stored = stored_format(experiment.storage) if experiment.storage else fmt
    again = experiment.storage is not None or experiment.transforms is not None
    filter_rounds = again or experiment.filter_rounding is FilterRounding.ONCE
    scale, kurtosis = DEVIATIONS[experiment.inputs], KURTOSES[experiment.inputs]
    found = []
    for kind, rounds in (("filter", filter_rounds), ("data", again)):
        squares, peaks = (outer([getattr(axis, f"{kind}_{name}") for axis in axes]) for name in ("squares", "peaks"))
        if rounds:
            found.append(rounding_variance(scale * np.sqrt(squares), kurtosis * peaks, stored) / scale**2)
        else:
            found.append(np.zeros_like(squares))
    return found[0], found[1]


def _output_rounding(fmt: FloatFormat, experiment: Experiment) -> float:
    """Return the relative variance from rounding the outputs to a narrower dtype."""
    if experiment.interface is None and experiment.transforms is None:
        return 0.0
    outside = float_format(experiment.interface) if experiment.interface else fmt
    return PHI / 3 * outside.roundoff**2


def _constants(axes: Sequence[AxisMoments]) -> Matrix:
    """Return what rounded constants contribute: the squared norm of what they change in the tensor, shape (*m,).

    With T the exact tensor of an axis and X its change, the change over two axes is X (x) T + T (x) X + X (x) X.
    """
    exact, overlap, change = np.diag(axes[0].exact), axes[0].overlap, axes[0].change
    for axis in axes[1:]:
        t, c, x, axis_exact = exact, overlap, change, np.diag(axis.exact)
        change = (
            outer([x, axis_exact + 2 * axis.overlap + axis.change])
            + outer([t + 2 * c, axis.change])
            + 2 * outer([c, axis.overlap])
        )
        overlap = outer([c, axis_exact + axis.overlap]) + outer([t, axis.overlap])
        exact = outer([t, axis_exact])
    return change
