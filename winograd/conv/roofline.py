"""A small cost model: how many milliseconds direct and Winograd convolution take, from operations and bytes.

In: a `ConvShape`, an algorithm, a schedule, threads and a `Machine`. Out: predicted milliseconds. It ranks candidates
and schedules and decides whether Winograd is worth it; it is no promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.tiling import Tiling, tile_axes
from winograd.codegen.nested import count_passes, lower_nested
from winograd.codegen.targets.c import CHANNEL_BLOCK
from winograd.conv.candidates import Candidate
from winograd.conv.footprint import Footprint
from winograd.conv.machine import NOMINAL, Machine
from winograd.conv.schedule import NOMINAL_PANEL, Schedule, ScheduleKind, choose_schedule
from winograd.conv.shape import ConvShape

Algorithm = Candidate | NestedAlgorithm
Array = NDArray[np.float64]

NOMINAL_THREADS: Final = 2
"""Threads that a plan is made for where nobody says how many there are."""

_FLOAT_BYTES: Final = 4
_STORED_BYTES: Final = {"float16": 2, "bfloat16": 2}

_DIRECT_RATES: Final = {"bfloat16": 2.0, "float16": 0.01}
"""Of direct convolution over that of float32: products of bfloat16 have instructions, float16 has no fast kernel."""
_LANES: Final = NOMINAL_PANEL // 2
_ROWS: Final = 14
_LARGE_RANK: Final = 300


def direct_ms(shape: ConvShape, threads: int = NOMINAL_THREADS, machine: Machine = NOMINAL) -> float:
    """Return the predicted milliseconds of direct convolution with prepacked weights.

    Taps that meet padding are left out by it, except along the last axis.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((1, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32")
    >>> round(direct_ms(shape))
    43
    """
    narrow = min(1.0, shape.channels / shape.groups / machine.full_channels)
    rate = machine.direct_core_gflops * narrow * _DIRECT_RATES.get(shape.dtype, 1.0)
    compute = _ms(2 * shape.macs * _unpadded(shape), threads * rate)
    weight = _ms(_weight_bytes(shape), machine.stream_gbs)
    return max(compute, _ms(_plain_bytes(shape), machine.plain_gbs)) + weight + machine.direct_call_ms


def winograd_ms(
    shape: ConvShape,
    algorithm: Algorithm,
    schedule: Schedule | None = None,
    threads: int = NOMINAL_THREADS,
    machine: Machine = NOMINAL,
) -> float:
    """Return the predicted milliseconds of a Winograd convolution whose filter is transformed already.

    Parameters
    ----------
    shape : ConvShape
    algorithm : Candidate or NestedAlgorithm
    schedule : Schedule, optional
        None takes `choose_schedule`.
    threads : int
    machine : Machine
    """
    chosen = schedule or default_schedule(shape, algorithm, threads)
    tiles = tile_count(shape, algorithm)
    blocks = -(-tiles // chosen.block)
    transforms = transforms_ms(shape, algorithm, chosen, machine) / threads
    sums = _product_ms(shape, algorithm, tiles / blocks, machine)
    if chosen.kind is ScheduleKind.FUSED:
        rounds = -(-blocks // threads)
        streamed = _stream_ms(shape, algorithm, 1, threads, machine)
        compute = rounds * (_together(sums, streamed, machine) + transforms * threads / blocks)
    else:
        streamed = _stream_ms(shape, algorithm, threads, 1, machine)
        compute = blocks * _together(sums / threads, streamed, machine) + transforms
    return compute + _ms(_plain_bytes(shape), machine.plain_gbs) + machine.winograd_call_ms


@dataclass(frozen=True, slots=True)
class Work:
    """What tiles of many algorithms take, one array entry an algorithm; see `winograd.conv.candidates.Candidate`.

    Parameters
    ----------
    tiles, rank : ndarray
        Tiles of a shape, and products of one.
    data, inverse : ndarray
        Instructions of the transforms of one tile.
    """

    tiles: Array
    rank: Array
    data: Array
    inverse: Array


def least_winograd_ms(
    shape: ConvShape, work: Work, threads: int = NOMINAL_THREADS, machine: Machine = NOMINAL
) -> Array:
    """Return times that `winograd_ms` does not undercut, for many algorithms at once: all that needs no schedule."""
    weights = _summed_channels(shape, machine) * _padded_outputs(shape)
    rows = work.tiles * (1 + machine.lost_rows / _ROWS)
    products = 2 * weights / (threads * machine.core_gflops * 1e6) * work.rank * rows
    fastest = max(threads * machine.core_cache_gbs, machine.stream_gbs)
    streamed = _FLOAT_BYTES * shape.channels * _padded_outputs(shape) / (fastest * 1e6) * work.rank
    data = work.data * machine.instruction_ns + work.rank * min(machine.own_data_ns, machine.shared_data_ns)
    inverse = work.inverse * machine.instruction_ns + work.rank * min(machine.own_inverse_ns, machine.shared_inverse_ns)
    transforms = _vectors(shape.channels) * data + _vectors(shape.outputs) * inverse
    plain = _ms(_plain_bytes(shape), machine.plain_gbs) + machine.winograd_call_ms
    return np.maximum(products, streamed) + work.tiles * transforms / (threads * 1e6) + plain


def transforms_ms(shape: ConvShape, algorithm: Algorithm, schedule: Schedule, machine: Machine = NOMINAL) -> float:
    """Return the predicted milliseconds of the transforms of data and products on one core."""
    share = _shared_share(shape, algorithm, schedule, machine)
    written = machine.own_data_ns + share * (machine.shared_data_ns - machine.own_data_ns)
    read = machine.own_inverse_ns + share * (machine.shared_inverse_ns - machine.own_inverse_ns)
    spread = 1 + machine.large_tile_share * min(max(algorithm.rank / _LARGE_RANK - 1, 0), 1)
    data = data_instructions(algorithm) * machine.instruction_ns * spread + algorithm.rank * written
    inverse = inverse_instructions(algorithm) * machine.instruction_ns * spread + algorithm.rank * read
    vectors = _vectors(shape.channels) * data + _vectors(shape.outputs) * inverse
    return tile_count(shape, algorithm) * vectors * 1e-6


def _shared_share(shape: ConvShape, algorithm: Algorithm, schedule: Schedule, machine: Machine) -> float:
    """Return how far V and M are in the cache that all cores share."""
    if schedule.kind is ScheduleKind.STAGED:
        return 1.0
    held = _FLOAT_BYTES * algorithm.rank * schedule.block * (shape.channels + NOMINAL_PANEL)
    return min(held / machine.held_bytes, 1.0)


def _product_ms(shape: ConvShape, algorithm: Algorithm, held: float, machine: Machine) -> float:
    """Return the milliseconds of a core for the products of a block of so many tiles."""
    groups = -(-held // _ROWS)
    rows = held + groups * machine.lost_rows
    weights = _summed_channels(shape, machine) * _padded_outputs(shape)
    return _ms(2 * algorithm.rank * rows * weights, machine.core_gflops)


def _summed_channels(shape: ConvShape, machine: Machine) -> float:
    """Return the channels, and what beginning and storing their partial sums takes in channels."""
    return shape.channels + machine.sum_channels * -(-shape.channels // CHANNEL_BLOCK)


def _vectors(channels: int) -> int:
    return -(-channels // _LANES)


def _stream_ms(shape: ConvShape, algorithm: Algorithm, readers: int, rivals: int, machine: Machine) -> float:
    """Return the milliseconds in which so many cores read the filter together while others read it too."""
    size = native_filter_bytes(shape, algorithm)
    cached = min(size, machine.cache_bytes)
    return _ms(cached, readers * machine.core_cache_gbs) + _ms(size - cached, machine.stream_gbs / rivals)


def _together(computed: float, streamed: float, machine: Machine) -> float:
    return float((computed**machine.overlap + streamed**machine.overlap) ** (1 / machine.overlap))


def multiplications(shape: ConvShape, algorithm: Algorithm) -> int:
    """Return the multiplications of transformed data with transformed filters, ragged tiles counted whole."""
    return algorithm.rank * tile_count(shape, algorithm) * shape.channels * shape.outputs


def filter_ms(
    shape: ConvShape, algorithm: Algorithm, threads: int = NOMINAL_THREADS, machine: Machine = NOMINAL
) -> float:
    """Return the predicted milliseconds of transforming and packing the filter."""
    return float(filter_ms_of(shape, np.float64(algorithm.rank), threads, machine))


def filter_ms_of(
    shape: ConvShape, ranks: Array | np.float64, threads: int = NOMINAL_THREADS, machine: Machine = NOMINAL
) -> Array:
    """Return what `filter_ms` does for algorithms of so many products of a tile, for many at once."""
    return np.asarray(shape.channels * shape.outputs / (threads * machine.filter_core_gops * 1e6) * ranks)


def filter_bytes(shape: ConvShape, algorithm: Algorithm) -> int:
    """Return the bytes of the transformed filter U in float32."""
    return _FLOAT_BYTES * algorithm.rank * shape.channels * shape.outputs


def native_filter_bytes(shape: ConvShape, algorithm: Algorithm) -> int:
    """Return the bytes of the transformed filter as the native backend packs it, outputs filled up to whole panels."""
    return filter_bytes_of(shape, algorithm.rank)


def filter_bytes_of(shape: ConvShape, rank: int) -> int:
    """Return what `native_filter_bytes` does for an algorithm of so many products of a tile."""
    return _FLOAT_BYTES * rank * shape.channels * _padded_outputs(shape)


def footprint(shape: ConvShape, algorithm: Algorithm) -> Footprint:
    """Return what the native backend takes in memory for a layer."""
    return Footprint(shape.channels, shape.outputs, algorithm.rank, algorithm.m, algorithm.tile)


def transformed_bytes(shape: ConvShape, algorithm: Algorithm) -> int:
    """Return the bytes of the transformed data V and the products M of all tiles in float32."""
    return _FLOAT_BYTES * algorithm.rank * tile_count(shape, algorithm) * (shape.channels + shape.outputs)


def data_instructions(algorithm: Algorithm) -> int:
    """Return the instructions of the data transform of one tile of one channel.

    Examples
    --------
    >>> from winograd.algebra.nesting import nest
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> data_instructions(nest(toom_cook(2, 3), toom_cook(2, 3)))
    32
    """
    if isinstance(algorithm, Candidate):
        return algorithm.data_instructions
    return count_passes(lower_nested(algorithm).data).instructions


def inverse_instructions(algorithm: Algorithm) -> int:
    """Return the instructions of the inverse transform of one tile of one output channel."""
    if isinstance(algorithm, Candidate):
        return algorithm.inverse_instructions
    return count_passes(lower_nested(algorithm).inverse).instructions


def tiling_of(shape: ConvShape, algorithm: Algorithm) -> Tiling:
    """Return the tiles of a shape."""
    return tile_axes(shape.sizes, algorithm.m, algorithm.r, shape.padding)


def tile_count(shape: ConvShape, algorithm: Algorithm) -> int:
    """Return the number of tiles of a shape, all images together."""
    return shape.batch * prod(-(-size // m) for size, m in zip(shape.output, algorithm.m, strict=True))


def default_schedule(shape: ConvShape, algorithm: Algorithm, threads: int = NOMINAL_THREADS) -> Schedule:
    """Return the schedule that a kernel takes by itself."""
    return choose_schedule(
        tiling_of(shape, algorithm),
        batch=shape.batch,
        channels=shape.channels,
        outputs=shape.outputs,
        rank=algorithm.rank,
        threads=threads,
    )


def _unpadded(shape: ConvShape) -> float:
    """Return the fraction of taps that meet no padding along all axes but the last."""
    fraction = 1.0
    for axis in range(shape.ndim - 1):
        real = sum(_outputs_of_tap(shape, axis, tap) for tap in range(shape.taps[axis]))
        fraction *= real / (shape.output[axis] * shape.taps[axis])
    return fraction


def _outputs_of_tap(shape: ConvShape, axis: int, tap: int) -> int:
    """Return for how many outputs a tap meets an input."""
    stride, offset = shape.stride[axis], shape.padding[axis][0] - tap * shape.dilation[axis]
    first, end = -(-offset // stride), (shape.sizes[axis] - 1 + offset) // stride + 1
    return max(min(end, shape.output[axis]) - max(first, 0), 0)


def _padded_outputs(shape: ConvShape) -> int:
    return -(-shape.outputs // NOMINAL_PANEL) * NOMINAL_PANEL


def _plain_bytes(shape: ConvShape) -> int:
    values = shape.channels * prod(shape.sizes) + shape.outputs * prod(shape.output)
    return _STORED_BYTES.get(shape.dtype, _FLOAT_BYTES) * shape.batch * values


def _weight_bytes(shape: ConvShape) -> int:
    return _FLOAT_BYTES * prod(shape.weight_sizes)


def _ms(amount: float, giga_per_second: float) -> float:
    return amount / (giga_per_second * 1e6)
