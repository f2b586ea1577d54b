"""The gradient of the filter stage by stage: bytes, and predicted time, of many algorithms at once.

In: a `ConvShape`, what tiles of many algorithms take, tiles of a block, threads and a `Machine`. Out: times, one an
algorithm, and that of torch's own. Stages: transforms of inputs and of gradients, their products summed over tiles, the
transform of the sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from winograd.codegen.targets.c import CHANNEL_BLOCK
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.machine import NOMINAL, Machine
from winograd.conv.roofline.counts import (
    FLOAT_BYTES,
    NOMINAL_THREADS,
    input_bytes,
    output_bytes,
    padded_outputs,
    value_bytes,
    vectors,
    weight_bytes,
)
from winograd.conv.roofline.direct import direct_ms
from winograd.conv.roofline.stages import milliseconds_of
from winograd.conv.roofline.winograd import ROWS

Array = NDArray[np.float64]

TILE_BLOCK: Final = 64
"""Tiles of one partial sum; the constant of the C target's ``gradient_product.c``."""

_LARGE_RANK: Final = 300

_SCATTERED: Final = 0.75
"""Share of what a vector of V costs a convolution where it leaves a core's own caches: blocks are larger here, and
their tiles lie next to each other."""

_SUM_INSTRUCTIONS: Final = 4.5
"""Vector instructions of the last transform for each sum of a tile, in float64: a little more than those of F(4,3)."""

_DOUBLES: Final = 8
"""Of a vector."""

_VECTOR: Final = 16
"""Numbers of one in float32."""

_WAITS: Final = 3
"""Times that threads wait for each other in a block."""

_DIRECT_SPEED: Final = 0.8
"""Of torch's own gradient of a filter over its convolution: measured 0.7 to 1.0 of what is predicted for that."""

_STRIDED_SPEED: Final = 0.55
"""The same with a stride and enough channels to fill vectors: measured 0.5 to 0.7."""

_SCATTERING_SPEED: Final = 0.65
"""Of torch's own gradient of an input with a stride over its convolution: measured 0.5 to 0.8, less for 3 channels."""

_FRESH_FILTERS: Final = 3
"""Times that fresh memory of the size of the filter is touched: the sums of a second thread, their total in the order
of vectors, the gradient."""


@dataclass(frozen=True, slots=True)
class GradientWork:
    """What tiles of many algorithms take, one array entry an algorithm.

    Parameters
    ----------
    tiles, rank : ndarray
        Tiles of a shape, and products of one.
    data, gradient : ndarray
        Instructions of the transforms of one tile of inputs, and of gradients.
    """

    tiles: Array
    rank: Array
    data: Array
    gradient: Array


def direct_weight_gradient_ms(shape: ConvShape, threads: int = NOMINAL_THREADS, machine: Machine = NOMINAL) -> float:
    """Return the predicted milliseconds of torch's own gradient of a filter, in the faster memory format.

    Within a third of what was measured for most layers of C3D and R3D-18. For large filters and few outputs it is too
    small by up to 2.5, with a stride too large by up to 1.7.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((4, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32")
    >>> 220 < direct_weight_gradient_ms(shape) < 280
    True
    """
    strided = set(shape.stride) != {1} and shape.channels // shape.groups >= _VECTOR
    computed = direct_ms(shape, threads, machine) / (_STRIDED_SPEED if strided else _DIRECT_SPEED)
    return computed + milliseconds_of(_FRESH_FILTERS * weight_bytes(shape), machine.fresh_gbs)


def direct_input_gradient_ms(shape: ConvShape, threads: int = NOMINAL_THREADS, machine: Machine = NOMINAL) -> float:
    """Return the predicted milliseconds of torch's own gradient of an input, of a convolution with a stride.

    Within a third of what was measured in the faster memory format; for 3 channels it is too small by up to 3.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> arguments = ConvArguments(stride=(1, 2, 2), padding=(1, 3, 3))
    >>> shape = arguments.shape((2, 16, 16, 112, 112), (64, 16, 3, 7, 7), dtype="float32")
    >>> 70 < direct_input_gradient_ms(shape) < 120
    True
    """
    return direct_ms(shape, threads, machine) / _SCATTERING_SPEED


def sums_bytes(shape: ConvShape, rank: Any) -> Any:
    """Return the bytes of the sums over all tiles, the transformed gradient of the filter."""
    return value_bytes(shape) * rank * shape.channels * padded_outputs(shape)


def held_bytes(shape: ConvShape, rank: Any, block: Any) -> Any:
    """Return the bytes of the transformed inputs and gradients of a block of tiles."""
    return value_bytes(shape) * rank * block * (shape.channels + padded_outputs(shape))


def weight_gradient_ms(
    shape: ConvShape, work: GradientWork, block: Array, threads: int = NOMINAL_THREADS, machine: Machine = NOMINAL
) -> Array:
    """Return the predicted milliseconds of the gradient of a filter by many algorithms, in blocks of so many tiles.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((4, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32")
    >>> one = GradientWork(*(np.array([float(count)]) for count in (3136, 216, 1296, 800)))
    >>> bool(60 < weight_gradient_ms(shape, one, np.array([98.0]))[0] < 150)
    True
    """
    blocks = np.ceil(work.tiles / block)
    transforms = _transforms_ms(shape, work, block, threads, machine)
    products = _products_ms(shape, work, block, blocks, threads, machine)
    waits = machine.winograd_call_ms + _WAITS * blocks * machine.wait_ms
    return transforms + products + _filter_ms(shape, work.rank, threads, machine) + waits


def _transforms_ms(shape: ConvShape, work: GradientWork, block: Array, threads: int, machine: Machine) -> Array:
    held = held_bytes(shape, work.rank, block)
    spilled = np.maximum(1 - machine.shared_held_bytes / held, 0)
    inside = machine.own_data_ns + _SCATTERED * machine.shared_data_ns + spilled * machine.spilled_ns
    large = np.clip(work.rank / _LARGE_RANK - 1, 0, 1)
    instruction = machine.instruction_ns * (1 + machine.large_tile_share * large)
    data = vectors(shape.channels, shape) * (work.data * instruction + work.rank * inside)
    gradient = vectors(shape.outputs, shape) * (work.gradient * instruction + work.rank * inside)
    plain = milliseconds_of(input_bytes(shape) + output_bytes(shape), machine.plain_gbs)
    return np.asarray(1e-6 * work.tiles * (data + gradient) / threads + plain)


def _products_ms(
    shape: ConvShape, work: GradientWork, block: Array, blocks: Array, threads: int, machine: Machine
) -> Array:
    """Return the time of the products, which hides that of V and M, and not that of sums in memory.

    The sums are read and written for every block, in no cache where they are large; the first block writes them only.
    """
    width, channels = padded_outputs(shape), shape.channels
    rows = channels * (1 + machine.lost_rows / ROWS)
    sums = blocks * np.ceil(block / TILE_BLOCK)
    counted = work.tiles + machine.sum_channels * sums
    gflops = threads * machine.core_gflops * FLOAT_BYTES / value_bytes(shape)
    computed = 2 * work.rank * counted * rows * width / (gflops * 1e6)
    size, held = sums_bytes(shape, work.rank), held_bytes(shape, work.rank, block)
    spilled = np.maximum(1 - machine.shared_held_bytes / held, 0)
    moved = value_bytes(shape) * work.rank * work.tiles * (channels + -(-channels // CHANNEL_BLOCK) * width)
    cached = (2 * sums * np.minimum(size, machine.cache_bytes) + (1 - spilled) * moved) / machine.core_cache_gbs
    hidden = 1e-6 * (cached / threads + spilled * moved / machine.stream_gbs)
    waited = (2 * blocks - 1) * np.maximum(size - machine.cache_bytes, 0) / (machine.stream_gbs * 1e6)
    return np.asarray((computed**machine.overlap + hidden**machine.overlap) ** (1 / machine.overlap) + waited)


def _filter_ms(shape: ConvShape, rank: Array, threads: int, machine: Machine) -> Array:
    """Return the time of the last transform: every sum is read once, and the gradient is fresh memory."""
    sums = rank * shape.channels * padded_outputs(shape)
    computed = 1e-6 * sums * _SUM_INSTRUCTIONS / _DOUBLES * machine.instruction_ns / threads
    written = milliseconds_of(weight_bytes(shape), machine.fresh_gbs)
    return np.asarray(computed + sums_bytes(shape, rank) / (machine.stream_gbs * 1e6) + written)
