"""Direct convolution by the framework, in the fastest of its variants, as one stage.

In: a `ConvShape` with any stride, dilation and groups. Out: a `StageCost`. Fitted to oneDNN with prepacked weights.
"""

from __future__ import annotations

from math import prod
from typing import Final

from winograd.conv.geometry.shape import ConvShape
from winograd.conv.machine import NOMINAL, Machine
from winograd.conv.roofline.counts import (
    FLOAT_BYTES,
    NOMINAL_THREADS,
    input_bytes,
    output_bytes,
    unpadded,
    value_bytes,
    weight_bytes,
)
from winograd.conv.roofline.stages import StageCost, Traffic, milliseconds_of, stage

_RATES: Final = {"bfloat16": 1.8, "float16": 0.01, "float64": 0.18}
"""Of direct convolution over that of float32: products of bfloat16 have instructions, float16 has no fast kernel, and
float64 unfolds its input into a matrix first."""

_UNFOLDING: Final = 0.4
"""Speed of that unfolding over that of touching fresh memory."""

_ONE_AXIS: Final = 0.67
"""Rate over one axis, where no variant keeps channels last or the weight packed, over that of more."""


def direct_ms(shape: ConvShape, threads: int = NOMINAL_THREADS, machine: Machine = NOMINAL) -> float:
    """Return the predicted milliseconds of direct convolution with prepacked weights.

    Taps that meet padding are left out by it, except along the last axis.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((1, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32")
    >>> 38 < direct_ms(shape) < 50
    True
    """
    return direct_cost(shape, threads, machine).milliseconds


def direct_cost(shape: ConvShape, threads: int = NOMINAL_THREADS, machine: Machine = NOMINAL) -> StageCost:
    """Return the only stage of direct convolution."""
    unfolded = _unfolded_bytes(shape)
    operations = 2.0 * shape.macs * (1.0 if unfolded else unpadded(shape))
    computed = milliseconds_of(operations, threads * _core_gflops(shape, machine))
    moved = milliseconds_of(input_bytes(shape), machine.direct_input_gbs)
    moved += milliseconds_of(output_bytes(shape), machine.direct_output_gbs)
    moved += milliseconds_of(_fresh_bytes(shape, machine), machine.fresh_gbs)
    moved += milliseconds_of(unfolded, _UNFOLDING * machine.fresh_gbs)
    cached = min(weight_bytes(shape), machine.cache_bytes)
    weight = milliseconds_of(cached, threads * machine.core_cache_gbs)
    weight += milliseconds_of(weight_bytes(shape) - cached, machine.direct_weight_gbs)
    everything = float(input_bytes(shape) + output_bytes(shape) + weight_bytes(shape) + 2 * unfolded)
    traffic = Traffic(everything, everything, everything)
    taken = computed + moved + weight + machine.direct_call_ms
    return stage("direct", operations, traffic, 0.0, taken, threads, machine)


def _fresh_bytes(shape: ConvShape, machine: Machine) -> float:
    """Return the bytes of fresh memory: as measured, all of a large output over three axes, and over two the excess."""
    excess = output_bytes(shape) - machine.fresh_bytes
    return output_bytes(shape) if excess > 0 and shape.ndim == 3 else max(excess, 0)


def _unfolded_bytes(shape: ConvShape) -> int:
    """Return the bytes of the matrix that the input becomes, one column an output, where there is no kernel."""
    if shape.dtype != "float64" or prod(shape.taps) == 1:
        return 0
    return value_bytes(shape) * shape.batch * shape.channels * prod(shape.taps) * prod(shape.output)


def _core_gflops(shape: ConvShape, machine: Machine) -> float:
    """Return the rate of a core: the vectors are of output channels, or of channels where each has its own group."""
    rate = machine.direct_core_gflops * _RATES.get(shape.dtype, 1.0)
    channels, outputs = shape.channels // shape.groups, shape.outputs // shape.groups
    if shape.groups > 1 and channels == outputs == 1:
        return machine.depthwise_core_gflops * FLOAT_BYTES / value_bytes(shape)
    rate *= _ONE_AXIS if shape.ndim == 1 else 1.0
    row = channels * shape.taps[-1] * shape.stride[-1]
    narrow = min(1.0, row / machine.full_row) if shape.ndim == 3 and shape.taps[-1] > 1 else 1.0
    return rate * narrow * min(1.0, outputs / machine.full_outputs)
