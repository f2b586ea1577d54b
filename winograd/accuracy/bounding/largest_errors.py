"""The largest error of any output: where inputs and taps are limited one by one, or by their norms.

In: the bounds of the axes' transforms, where an experiment rounds, the limits. Out: one figure for all outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod

import numpy as np

from winograd.accuracy.bounding.axis_transforms import AxisTransforms
from winograd.accuracy.bounding.rounding_stages import RoundingStages, product_bound, stored_bound
from winograd.accuracy.bounding.transform_bounds import (
    Bounded,
    TransformBound,
    outer_bounds,
    rounded_to,
    transformed,
)
from winograd.accuracy.linear import Matrix
from winograd.algebra.nesting import NestedAlgorithm

AxisBound = AxisTransforms[TransformBound]

OWN_ROUNDING = 1 + 2.0**-28
"""Covers the rounding of the bounds themselves, sums of up to a million float64 numbers, and of a fused multiply-add
that is emulated in float64, which rounds twice."""


def exact_values(sizes: Matrix) -> Bounded:
    """Return values of these sizes that have no error."""
    return sizes, np.zeros_like(sizes)


def as_outputs(error: Matrix, sizes: Matrix, stages: RoundingStages) -> Matrix:
    """Return the errors of the outputs, which have these sizes, after their rounding."""
    for fmt in stages.outputs:
        error = rounded_to((sizes, error), fmt.roundoff, fmt.underflow)[1]
    return error


def largest_error(
    nested: NestedAlgorithm, axes: Sequence[AxisBound], stages: RoundingStages, data: float = 1.0, weights: float = 1.0
) -> float:
    """Return what no output's error exceeds, where no input and no tap is larger than this."""
    tile, taps = (
        exact_values(np.full(shape, float(size))) for shape, size in ((nested.tile, data), (nested.r, weights))
    )
    v = stored_bound(transformed([axis.data for axis in axes], tile), stages.stored_data)
    u = stored_bound(transformed([axis.filter for axis in axes], taps), stages.stored_filter)
    size, error = product_bound(u, v, stages)
    summed = stages.channels * size, stages.channels * error
    found = transformed([axis.inverse for axis in axes], summed)[1]
    largest = np.full(nested.m, data * weights * stages.channels * prod(nested.r))
    return float(as_outputs(found, largest, stages).max() * OWN_ROUNDING)


def norm_factor(axes: Sequence[AxisBound], stages: RoundingStages) -> float:
    """Bound by Cauchy and Schwarz: over taps and inputs in each product, then over the channels in their sum."""
    v = reduce(outer_bounds, (axis.data.row_norms for axis in axes))
    u = reduce(outer_bounds, (axis.filter.row_norms for axis in axes))
    stored = [
        values if fmt is None else rounded_to(values, fmt.roundoff, 0.0)
        for values, fmt in ((u, stages.stored_filter), (v, stages.stored_data))
    ]
    inverse = [TransformBound(axis.inverse.size, axis.inverse.error, 0 * axis.inverse.underflow) for axis in axes]
    found = transformed(inverse, product_bound(stored[0], stored[1], stages, underflow=False))[1]
    for fmt in stages.outputs:
        found = rounded_to((np.ones_like(found), found), fmt.roundoff, 0.0)[1]
    return float(found.max() * OWN_ROUNDING)
