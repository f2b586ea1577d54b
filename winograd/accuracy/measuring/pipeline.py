"""The rounded pipeline: transforms, products, channel sums and inverse transform of many tiles at once.

In: data of shape (*tile, channels, trials) and filters of shape (*taps, channels, trials), in the dtype studied.
Out: outputs of shape (*m, trials), rounded as the experiment says. The spatial axes are transformed first to last.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from winograd.accuracy.formats import FloatFormat, float_format, stored_format
from winograd.accuracy.measuring.sums import Array, sum_channels
from winograd.accuracy.orders import Order, axis_programs
from winograd.accuracy.protocol import Experiment, FilterRounding
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.interpret import Contraction, interpret
from winograd.codegen.program import Program


def transform(programs: Sequence[Program], values: Array, contraction: Contraction) -> Array:
    """Apply one program to each leading axis, the first axis first; return an array of the same dtype.

    float64 is transformed without fused instructions, which would move nothing that narrower products can show.
    """
    separate = values.dtype == np.float64
    for axis, program in enumerate(programs):
        rows = list(np.moveaxis(values, axis, 0))
        values = np.stack(interpret(program, rows, Contraction.SEPARATE if separate else contraction), axis=axis)
    return values


def run_tiles(nested: NestedAlgorithm, data: Array, filters: Array, order: Order, experiment: Experiment) -> Array:
    """Return the tiles' outputs as computed in the dtype of the data.

    Parameters
    ----------
    nested : NestedAlgorithm
    data : ndarray of shape (*tile, channels, trials)
        float16, bfloat16, float32 or float64. With a narrower interface they are its numbers, held in this dtype.
    filters : ndarray of shape (*taps, channels, trials)
        Likewise.
    order : Order
        Which programs the transforms are.
    experiment : Experiment
        Its channels must be those of the arrays.

    Returns
    -------
    ndarray of shape (*m, trials)
        Rounded, held in the dtype of the data.
    """
    fmt = float_format(data.dtype)
    inside = float_format(experiment.transforms or fmt.name)
    stored = stored_format(experiment.storage) if experiment.storage else fmt
    outside = float_format(experiment.interface or fmt.name)
    axes = [axis_programs(axis, order) for axis in nested.axes]
    v = transform([programs.data for programs in axes], _held(data, inside), experiment.contraction)
    u = _transform_filters([programs.filter for programs in axes], filters, inside, experiment)
    total = sum_channels(_held(_rounded(u, stored), fmt), _held(_rounded(v, stored), fmt), experiment)
    outputs = transform([programs.inverse for programs in axes], _held(total, inside), experiment.contraction)
    return _held(_rounded(outputs, outside), fmt)


def _transform_filters(
    programs: Sequence[Program], filters: Array, inside: FloatFormat, experiment: Experiment
) -> Array:
    if experiment.filter_rounding is FilterRounding.EVERY_INSTRUCTION:
        return transform(programs, _held(filters, inside), experiment.contraction)
    return transform(programs, filters.astype(np.float64), Contraction.SEPARATE)


def _held(values: Array, fmt: FloatFormat) -> Array:
    """Return numbers that are in the format already in its dtype."""
    return values.astype(fmt.dtype, copy=False)


def _rounded(values: Array, fmt: FloatFormat) -> Array:
    return values if values.dtype == fmt.dtype and fmt.name != "tf32" else fmt.round(values)
