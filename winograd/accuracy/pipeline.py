"""The rounded pipeline: transforms, products, channel sums and inverse transform of many tiles at once, in a dtype.

In: data of shape (*tile, channels, trials) and filters of shape (*taps, channels, trials), in the dtype studied.
Out: outputs of shape (*m, trials), rounded as the experiment says. The spatial axes are transformed first to last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.orders import Order, axis_programs
from winograd.accuracy.protocol import Experiment, FilterRounding
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.interpret import Contraction, interpret
from winograd.codegen.program import Program

Array = NDArray[Any]


def transform(programs: Sequence[Program], values: Array, contraction: Contraction) -> Array:
    """Apply one program to each leading axis, the first axis first; return an array of the same dtype."""
    for axis, program in enumerate(programs):
        rows = list(np.moveaxis(values, axis, 0))
        values = np.stack(interpret(program, rows, contraction), axis=axis)
    return values


def run_tiles(nested: NestedAlgorithm, data: Array, filters: Array, order: Order, experiment: Experiment) -> Array:
    """Return the tiles' outputs as computed in the dtype of the data.

    Parameters
    ----------
    nested : NestedAlgorithm
    data : ndarray of shape (*tile, channels, trials)
        float16, float32 or float64.
    filters : ndarray of shape (*taps, channels, trials)
        Of the same dtype.
    order : Order
        Which programs the transforms are.
    experiment : Experiment
        Its channels must be those of the arrays.

    Returns
    -------
    ndarray of shape (*m, trials)
        Rounded, of the dtype of the data.
    """
    axes = [axis_programs(axis, order) for axis in nested.axes]
    v = transform([programs.data for programs in axes], data, experiment.contraction)
    u = _transform_filters([programs.filter for programs in axes], filters, experiment)
    products = sum_channels(u, v, experiment)
    return transform([programs.inverse for programs in axes], products, experiment.contraction)


def _transform_filters(programs: Sequence[Program], filters: Array, experiment: Experiment) -> Array:
    if experiment.filter_rounding is FilterRounding.EVERY_INSTRUCTION:
        return transform(programs, filters, experiment.contraction)
    wide = transform(programs, filters.astype(np.float64), Contraction.SEPARATE)
    return wide.astype(filters.dtype)


def sum_channels(u: Array, v: Array, experiment: Experiment) -> Array:
    """Return the sum over axis -2 of u * v, rounded as the experiment says."""
    partial_sums = []
    for block in experiment.blocks:
        total = u[..., block[0], :] * v[..., block[0], :]
        for channel in block[1:]:
            total = _multiply_add(u[..., channel, :], v[..., channel, :], total, experiment.contraction)
        partial_sums.append(total)
    total = partial_sums[0]
    for partial_sum in partial_sums[1:]:
        total = total + partial_sum
    return total


def _multiply_add(a: Array, b: Array, total: Array, contraction: Contraction) -> Array:
    if contraction is Contraction.SEPARATE:
        return a * b + total
    # The product of two numbers of at most 24 bits is exact in float64.
    return (a.astype(np.float64) * b.astype(np.float64) + total.astype(np.float64)).astype(total.dtype)
