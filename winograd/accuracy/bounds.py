"""Bounds: what the error cannot exceed, derived instruction by instruction from the programs that are executed.

In: an algorithm, a dtype, a number of channels. Out: an `ErrorBound`. Assumed: rounding to nearest and no overflow.
Covered: the rounding of every instruction and of every constant, underflow, sums of the channels in any order, fused
and separate multiply-add, filters transformed in the dtype or in float64 and rounded once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, reduce

import numpy as np

from winograd.accuracy.arguments import checked_integer
from winograd.accuracy.formats import FloatFormat, float_format
from winograd.accuracy.linear import Matrix, as_float, forms_exact, is_power_of_two
from winograd.accuracy.model import kappa, predict_experiment
from winograd.accuracy.orders import Order, as_order, axis_programs
from winograd.accuracy.pipeline import Array
from winograd.accuracy.protocol import Experiment, FilterRounding
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.codegen.interpret import Contraction
from winograd.codegen.program import Program

_OWN_ROUNDING = 1 + 2.0**-30
"""The bounds are sums of nonnegative float64 numbers; this covers the rounding of a million of them."""


@dataclass(frozen=True, slots=True)
class TransformBound:
    """The bound of one program: |computed - matrix @ x| <= error @ |x| + underflow, for numbers x of the format.

    Parameters
    ----------
    size : ndarray of shape (outputs, inputs)
        Absolute values of the exact matrix.
    error : ndarray of shape (outputs, inputs)
        What rounding adds for each input.
    underflow : ndarray of shape (outputs,)
        What underflow adds.
    """

    size: Matrix
    error: Matrix
    underflow: Matrix


def transform_bound(program: Program, fmt: FloatFormat) -> TransformBound:
    """Return the bound of a program, following the error of every value through its instructions."""
    sizes = np.abs(as_float(forms_exact(program)))
    error, underflow = np.zeros_like(sizes), np.zeros(len(sizes))
    u = fmt.roundoff
    for number, node in enumerate(program.nodes, start=program.inputs):
        for place, argument in enumerate(node.args):
            term = error[argument], underflow[argument]
            if node.constant is not None and place == 0:
                term = _multiplied(node.constant, sizes[argument], *term, fmt)
            error[number] += term[0]
            underflow[number] += term[1]
        if len(node.args) == 2:
            error[number] += u * (sizes[number] + error[number])
            underflow[number] *= 1 + u
    kept = list(program.outputs)
    return TransformBound(size=sizes[kept], error=error[kept], underflow=underflow[kept])


def _multiplied(
    constant: Fraction, size: Matrix, error: Matrix, underflow: float, fmt: FloatFormat
) -> tuple[Matrix, float]:
    """Return error and underflow of a value after its multiplication by a constant, which is rounded, too."""
    rounded = fmt.rounded(constant)
    factor, deviation = abs(float(rounded)), abs(float(rounded - constant))
    error = factor * error + deviation * size
    underflow = factor * underflow
    if not is_power_of_two(rounded):
        error = error + fmt.roundoff * (float(abs(constant)) * size + error)
        underflow *= 1 + fmt.roundoff
    return error, underflow + fmt.underflow


@dataclass(frozen=True, slots=True)
class _AxisBound:
    data: TransformBound
    filter: TransformBound
    inverse: TransformBound


@lru_cache(maxsize=256)
def _axis_bound(algorithm: BilinearAlgorithm, order: Order, fmt: FloatFormat) -> _AxisBound:
    programs = axis_programs(algorithm, order)
    return _AxisBound(
        data=transform_bound(programs.data, fmt),
        filter=transform_bound(programs.filter, fmt),
        inverse=transform_bound(programs.inverse, fmt),
    )


Bounded = tuple[Matrix, Matrix]
"""Bounds of the sizes of exact values, and of the errors of the computed ones."""


def _apply(bounds: Sequence[TransformBound], values: Bounded) -> Bounded:
    """Follow sizes and errors through one transform of each leading axis, the first axis first."""
    size, error = values
    for axis, bound in enumerate(bounds):
        underflow = bound.underflow.reshape(-1, *(1,) * (size.ndim - axis - 1))
        error = _along(bound.size, error, axis) + _along(bound.error, size + error, axis) + underflow
        size = _along(bound.size, size, axis)
    return size, error


def _along(matrix: Matrix, values: Matrix, axis: int) -> Matrix:
    return np.asarray(np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis))


def _products(u: Bounded, v: Bounded, channels: int, roundoff: float, underflow: float) -> Bounded:
    """Follow sizes and errors through product and channel sum: at most ``channels`` roundings on the way of each."""
    growth = float(np.expm1(channels * np.log1p(roundoff)))
    size = u[0] * v[0]
    error = u[1] * v[0] + (u[0] + u[1]) * v[1]
    return size, error + growth * (size + error) + (1 + growth) * underflow


@dataclass(frozen=True, slots=True)
class ErrorBound:
    """The worst case of an algorithm in a dtype, and beside it the statistical figures.

    Parameters
    ----------
    algorithm : NestedAlgorithm
    dtype : str
    channels : int
    order : str
        The order of the transforms: "lowered" for the generated programs, or "huffman" or "sequential".
    max_abs : float
        No output is further from the exact one, where all inputs and taps are at most 1 in absolute value.
    norm_factor : float
        No output is further from the exact one than this times the Euclidean norms of its tile's data and of its
        filter, over all channels, where nothing underflows.
    kappa : float
        Mean squared amplification of independent relative errors of the products.
    predicted_relative_l2 : float
        What is expected for independent zero-mean inputs, orders of magnitude below the worst case.
    """

    algorithm: NestedAlgorithm
    dtype: str
    channels: int
    order: str
    max_abs: float
    norm_factor: float
    kappa: float
    predicted_relative_l2: float

    def componentwise(self, data: Array, filters: Array) -> Matrix:
        """Return the bound of the error of every output for given inputs.

        Parameters
        ----------
        data : ndarray of shape (*tile, channels, ...)
            Numbers that the dtype represents; trailing axes are free.
        filters : ndarray of shape (*taps, channels, ...)
            Likewise.

        Returns
        -------
        ndarray of shape (*m, ...)
            float64.

        Raises
        ------
        ValueError
            If a shape does not fit.
        """
        nested, ndim = self.algorithm, self.algorithm.ndim
        for name, array, sizes in (("data", data, nested.tile), ("filters", filters, nested.r)):
            if array.shape[: ndim + 1] != (*sizes, self.channels):
                raise ValueError(f"{name} of shape {array.shape}, must begin with {(*sizes, self.channels)}")
        axes = _axis_bounds(nested, as_order(self.order), float_format(self.dtype))
        v = _apply([axis.data for axis in axes], _exact_values(data))
        u = _apply([axis.filter for axis in axes], _exact_values(filters))
        fmt = float_format(self.dtype)
        size, error = _products(u, v, self.channels, fmt.roundoff, fmt.underflow)
        summed = size.sum(axis=ndim), error.sum(axis=ndim)
        return _apply([axis.inverse for axis in axes], summed)[1] * _OWN_ROUNDING

    @property
    def digest(self) -> str:
        """SHA-256 of all fields as hexadecimal text, the same in every process."""
        figures = (self.max_abs, self.norm_factor, self.kappa, self.predicted_relative_l2)
        spelled = [self.algorithm.digest, self.dtype, str(self.channels), self.order, *(x.hex() for x in figures)]
        return hashlib.sha256("|".join(spelled).encode()).hexdigest()

    def __repr__(self) -> str:
        return (
            f"<ErrorBound {self.algorithm.label}, {self.dtype}, {self.channels} channels, {self.order}: "
            f"max_abs {self.max_abs:.3g}, predicted relative_l2 {self.predicted_relative_l2:.3g}>"
        )


def error_bound(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    dtype: object = "float32",
    channels: int = 1,
    order: object = "lowered",
) -> ErrorBound:
    r"""Return what the error of one output tile cannot exceed, and what is expected of it.

    With A, G, B the absolute matrices of all axes and E_A, E_G, E_B the errors of their programs, the componentwise
    bound is (A + E_A) (1 + u)^channels sum ((G + E_G) |w|) o ((B + E_B) |d|) less the same with u and E 0, plus
    underflow. It holds for filters transformed in any precision, with fused multiply-adds or without, and any order of
    the sum over channels; ``max_abs`` is for inputs of magnitude at most 1.

    ``predicted_relative_l2`` is for the generated kernels: filters transformed in float64 and rounded once, fused
    multiply-adds elsewhere, one running sum over channels. Its measured counterpart is
    ``measure_error(algorithm, experiment="layer", order="lowered")``, a preset of 64 channels; the preset
    "standard" transforms the filter in the dtype, too, and comes out somewhat larger.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
    dtype : dtype
        float16, float32 or float64: the dtype of the data and inverse transforms, the products and the sums.
    channels : int
        Input channels that are summed, at least 1.
    order : str or Order
        Order of the transforms: "lowered" (the generated programs), "huffman" or "sequential".

    Returns
    -------
    ErrorBound

    Raises
    ------
    TypeError, ValueError
        For something that is no algorithm, another dtype or order, channels that are no integer or below 1, and
        constants that overflow.
    NotImplementedError
        If an entry of the matrices is not rational.

    Examples
    --------
    >>> from winograd import toom_cook
    >>> bound = error_bound(toom_cook(2, 3))
    >>> bound
    <ErrorBound F(2,3), float32, 1 channels, lowered: max_abs 2.38e-06, predicted relative_l2 6.66e-08>
    >>> bool(bound.componentwise(np.ones((4, 1)), np.ones((3, 1))).max() == bound.max_abs)
    True
    """
    nested, fmt, chosen = as_nested(algorithm), float_format(dtype), as_order(order)
    channels = checked_integer("channels", channels, 1)
    axes = _axis_bounds(nested, chosen, fmt)
    experiment = Experiment("bound", channels=channels)
    if chosen is Order.LOWERED:
        experiment = Experiment(
            "bound", channels=channels, contraction=Contraction.FUSED, filter_rounding=FilterRounding.ONCE
        )
    return ErrorBound(
        algorithm=nested,
        dtype=fmt.name,
        channels=channels,
        order=chosen.value,
        max_abs=_max_abs(nested, axes, channels, fmt),
        norm_factor=_norm_factor(axes, channels, fmt),
        kappa=kappa(nested),
        predicted_relative_l2=predict_experiment(nested, experiment, dtype=fmt.name, order=chosen),
    )


def _axis_bounds(nested: NestedAlgorithm, order: Order, fmt: FloatFormat) -> list[_AxisBound]:
    return [_axis_bound(axis, order, fmt) for axis in nested.axes]


def _exact_values(values: Array) -> Bounded:
    sizes = np.abs(values.astype(np.float64))
    return sizes, np.zeros_like(sizes)


def _max_abs(nested: NestedAlgorithm, axes: Sequence[_AxisBound], channels: int, fmt: FloatFormat) -> float:
    v = _apply([axis.data for axis in axes], _exact_values(np.ones(nested.tile)))
    u = _apply([axis.filter for axis in axes], _exact_values(np.ones(nested.r)))
    size, error = _products(u, v, channels, fmt.roundoff, fmt.underflow)
    summed = channels * size, channels * error
    return float(_apply([axis.inverse for axis in axes], summed)[1].max() * _OWN_ROUNDING)


def _norm_factor(axes: Sequence[_AxisBound], channels: int, fmt: FloatFormat) -> float:
    """Bound by Cauchy and Schwarz: over taps and inputs in each product, then over the channels in their sum."""
    v = reduce(_outer, (_row_norms(axis.data) for axis in axes))
    u = reduce(_outer, (_row_norms(axis.filter) for axis in axes))
    inverse = [TransformBound(axis.inverse.size, axis.inverse.error, 0 * axis.inverse.underflow) for axis in axes]
    return float(_apply(inverse, _products(u, v, channels, fmt.roundoff, 0.0))[1].max() * _OWN_ROUNDING)


def _row_norms(bound: TransformBound) -> Bounded:
    return np.linalg.norm(bound.size, axis=1), np.linalg.norm(bound.error, axis=1)


def _outer(first: Bounded, second: Bounded) -> Bounded:
    size = np.multiply.outer(first[0], second[0])
    error = np.multiply.outer(first[1], second[0]) + np.multiply.outer(first[0] + first[1], second[1])
    return size, error
