"""Bounds: what the error cannot exceed, derived instruction by instruction from the programs that are executed.

In: an algorithm, a dtype, channels or an experiment. Out: an `ErrorBound`. Assumed: rounding to nearest, no overflow.
Covered: the rounding of every instruction and constant, underflow, storage, channel sums, fused and separate
multiply-add. Without an experiment the sum may have any order, and the filter transform any precision.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from winograd.accuracy.arguments import checked_number
from winograd.accuracy.bounding.axis_transforms import follow_axis
from winograd.accuracy.bounding.largest_errors import (
    OWN_ROUNDING,
    AxisBound,
    as_outputs,
    exact_values,
    largest_error,
    norm_factor,
)
from winograd.accuracy.bounding.rounding_stages import RoundingStages, checked_stages, product_bound, stored_bound
from winograd.accuracy.bounding.transform_bounds import transform_bound, transformed
from winograd.accuracy.formats import FloatFormat, float_format
from winograd.accuracy.linear import Matrix
from winograd.accuracy.measuring.samples import real_array
from winograd.accuracy.model import kappa, predict_experiment
from winograd.accuracy.orders import Order, as_order
from winograd.accuracy.protocol import Experiment, FilterRounding, as_experiment
from winograd.accuracy.reference import direct_ref
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.codegen.interpret import Contraction


@lru_cache(maxsize=256)
def _axis_bound(algorithm: BilinearAlgorithm, order: Order, data: FloatFormat, filter_: FloatFormat) -> AxisBound:
    return follow_axis(transform_bound, algorithm, order, data, filter_)


def _axis_bounds(nested: NestedAlgorithm, order: Order, stages: RoundingStages) -> list[AxisBound]:
    return [_axis_bound(axis, order, stages.data, stages.filter) for axis in nested.axes]


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
    experiment : Experiment, optional
        What is bounded; None is every experiment that stays in the dtype.
    """

    algorithm: NestedAlgorithm
    dtype: str
    channels: int
    order: str
    max_abs: float
    norm_factor: float
    kappa: float
    predicted_relative_l2: float
    experiment: Experiment | None = None

    def componentwise(self, data: object, filters: object) -> Matrix:
        """Return the bound of the error of every output for given inputs.

        Parameters
        ----------
        data : array_like of shape (*tile, channels, ...)
            Numbers that the dtype represents; trailing axes are free.
        filters : array_like of shape (*taps, channels, ...)
            Likewise; its trailing axes broadcast with those of the data.

        Returns
        -------
        ndarray of shape (*m, ...)
            float64.

        Raises
        ------
        TypeError, ValueError
            If one holds no real numbers, or a shape does not fit.
        """
        stages = self._stages
        axes = _axis_bounds(self.algorithm, as_order(self.order), stages)
        tiles, taps = (exact_values(np.abs(values)) for values in self._checked(data, filters))
        size, error = product_bound(
            stored_bound(transformed([axis.filter for axis in axes], taps), stages.stored_filter),
            stored_bound(transformed([axis.data for axis in axes], tiles), stages.stored_data),
            stages,
        )
        ndim = self.algorithm.ndim
        summed = size.sum(axis=ndim), error.sum(axis=ndim)
        found = transformed([axis.inverse for axis in axes], summed)[1]
        if stages.outputs:
            found = as_outputs(found, direct_ref(tiles[0], taps[0], ndim), stages)
        return found * OWN_ROUNDING

    def up_to(self, data: float, weights: float) -> float:
        """Return what no output's error exceeds where inputs and taps are at most so large: ``max_abs`` is that of 1.

        Parameters
        ----------
        data, weights : float
            Largest absolute values, not negative. inf where one is unknown.

        Returns
        -------
        float
            inf where one of them is, or where the bound is beyond the largest float64.

        Raises
        ------
        TypeError
            If one is no real number.
        ValueError
            If one is negative or nan.

        Examples
        --------
        >>> from winograd import toom_cook
        >>> bound = error_bound(toom_cook(2, 3))
        >>> bound.up_to(1, 1) == bound.max_abs, round(bound.up_to(3, 0.5) / bound.max_abs, 6)
        (True, 1.5)
        """
        sizes = checked_number("data", data), checked_number("weights", weights)
        for name, size in zip(("data", "weights"), sizes, strict=True):
            if not size >= 0:
                raise ValueError(f"{name} is {size:g}, must not be negative")
        if math.inf in sizes:
            return math.inf
        stages = self._stages
        axes = _axis_bounds(self.algorithm, as_order(self.order), stages)
        with np.errstate(over="ignore", invalid="ignore"):
            found = largest_error(self.algorithm, axes, stages, *sizes)
        return found if math.isfinite(found) else math.inf

    def _checked(self, data: object, filters: object) -> tuple[Matrix, Matrix]:
        """Return data and filters in float64, with as many trailing axes each."""
        nested, ndim = self.algorithm, self.algorithm.ndim
        given = {"data": real_array("data", data), "filters": real_array("filters", filters)}
        for (name, array), sizes in zip(given.items(), (nested.tile, nested.r), strict=True):
            if array.shape[: ndim + 1] != (*sizes, self.channels):
                raise ValueError(f"{name} of shape {array.shape}, must begin with {(*sizes, self.channels)}")
        trailing = [array.shape[ndim + 1 :] for array in given.values()]
        try:
            count = len(np.broadcast_shapes(*trailing))
        except ValueError:
            raise ValueError(f"data ends in {trailing[0]}, filters in {trailing[1]}, must broadcast") from None
        found = []
        for array, rest in zip(given.values(), trailing, strict=True):
            spread = array.reshape(*array.shape[: ndim + 1], *(1,) * (count - len(rest)), *rest)
            found.append(spread.astype(np.float64))
        return found[0], found[1]

    @property
    def _stages(self) -> RoundingStages:
        return checked_stages(float_format(self.dtype), self.channels, self.experiment)

    @property
    def digest(self) -> str:
        """SHA-256 of all fields as hexadecimal text, the same in every process."""
        figures = (self.max_abs, self.norm_factor, self.kappa, self.predicted_relative_l2)
        conditions = [self.dtype, str(self.channels), self.order, *([repr(self.experiment)] if self.experiment else [])]
        spelled = [self.algorithm.digest, *conditions, *(x.hex() for x in figures)]
        return hashlib.sha256("|".join(spelled).encode()).hexdigest()

    def __repr__(self) -> str:
        of = f", {self.experiment.name}" if self.experiment else ""
        return (
            f"<ErrorBound {self.algorithm.label}, {self.dtype}, {self.channels} channels, {self.order}{of}: "
            f"max_abs {self.max_abs:.3g}, predicted relative_l2 {self.predicted_relative_l2:.3g}>"
        )


def error_bound(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    dtype: object = "float32",
    channels: int = 1,
    order: object = "lowered",
    experiment: str | Experiment | None = None,
) -> ErrorBound:
    r"""Return what the error of one output tile cannot exceed, and what is expected of it.

    With A, G, B the absolute matrices of all axes and E_A, E_G, E_B the errors of their programs, the componentwise
    bound is (A + E_A) (1 + channels u) sum ((G + E_G) |w|) o ((B + E_B) |d|) less the same with u and E 0, plus
    underflow. It holds for filters transformed in any precision, with fused multiply-adds or without, and any order of
    the sum over channels, as long as nothing overflows (see `winograd.safe_range`); ``max_abs`` is for inputs of
    magnitude at most 1.

    ``predicted_relative_l2`` is for the generated kernels: filters transformed in float64 and rounded once, fused
    multiply-adds elsewhere, one running sum over channels. Its measured counterpart is
    ``measure_error(algorithm, experiment="layer", order="lowered")``, a preset of 64 channels; the preset
    "standard" transforms the filter in the dtype, too, and comes out somewhat larger.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
    dtype : dtype
        float16, bfloat16, float32 or float64: of everything that the experiment does not put elsewhere.
    channels : int
        Input channels that are summed, at least 1. An experiment brings its own.
    order : str or Order
        Order of the transforms: "lowered" (the generated programs), "huffman" or "sequential".
    experiment : str or Experiment, optional
        What `winograd.measure_error` takes: storage, transforms, interface and channel sum are then those, and the
        bound is the sharper for it. None covers every experiment that stays in the dtype.

    Returns
    -------
    ErrorBound

    Raises
    ------
    TypeError, ValueError
        For something that is no algorithm, another dtype, order or experiment, formats that do not contain each
        other, channels that are no integer, below 1 or not those of the experiment, and constants that overflow.
    NotImplementedError
        If an entry of the matrices is not rational.

    Examples
    --------
    >>> from winograd import toom_cook
    >>> bound = error_bound(toom_cook(2, 3))
    >>> bound
    <ErrorBound F(2,3), float32, 1 channels, lowered: max_abs 2.38e-06, predicted relative_l2 6.25e-08>
    >>> bool(bound.componentwise(np.ones((4, 1)), np.ones((3, 1))).max() == bound.max_abs)
    True
    """
    nested, fmt, chosen = as_nested(algorithm), float_format(dtype), as_order(order)
    stages = checked_stages(fmt, channels, experiment)
    protocol = None if experiment is None else as_experiment(experiment)
    axes = _axis_bounds(nested, chosen, stages)
    return ErrorBound(
        algorithm=nested,
        dtype=fmt.name,
        channels=stages.channels,
        order=chosen.value,
        max_abs=largest_error(nested, axes, stages),
        norm_factor=norm_factor(axes, stages),
        kappa=kappa(nested),
        predicted_relative_l2=predict_experiment(
            nested, protocol or _usual(stages.channels, chosen), dtype=fmt.name, order=chosen
        ),
        experiment=protocol,
    )


def _usual(channels: int, order: Order) -> Experiment:
    """Return what is expected of an order if nothing else is said: the generated kernels, or the textbook."""
    if order is not Order.LOWERED:
        return Experiment("bound", channels=channels)
    return Experiment("bound", channels=channels, contraction=Contraction.FUSED, filter_rounding=FilterRounding.ONCE)
