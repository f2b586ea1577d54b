"""A small cost model: how many milliseconds direct and Winograd convolution take, from operations and bytes.

In: a `ConvShape`, an algorithm and a `Machine`. Out: predicted milliseconds. It ranks candidates and decides whether
Winograd is worth it; it is no promise. Every constant of the model is a field of `Machine`; those of `NOMINAL` were
fitted to measurements.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.tiling import Tiling, tile_axes
from winograd.codegen.nested import count_passes, lower_nested
from winograd.conv.schedule import NOMINAL_PANEL, choose_schedule, workspace_values
from winograd.conv.shape import ConvShape

_FLOAT_BYTES = 4
_THREADS = 2


@dataclass(frozen=True, slots=True)
class Machine:
    """Speeds of a machine, all its threads together.

    Parameters
    ----------
    gflops : float
        Peak float32 rate, an FMA counted as two.
    direct_efficiency, gemm_efficiency : float
        Fraction of the peak that direct convolution and the products of a Winograd convolution reach.
    sum_channels : int
        Channels that the products could add up in the time that it takes to begin and to store a sum.
    full_channels : int
        Input channels per group from which direct convolution reaches its efficiency; below, it falls in proportion.
    transform_gops : float
        Vector instructions of the transforms times their lanes, 10^9 per second, loads and stores included.
    dram_gbs, cache_gbs : float
        Bandwidth of memory and of the last-level cache, 10^9 bytes per second.
    cache_bytes : int
        Transformed data up to this size stays in the last-level cache.
    filter_gops : float
        Values of transformed filters computed, rounded and packed, 10^9 per second.
    direct_call_ms, winograd_call_ms : float
        What a call costs before it computes anything.
    position_call_ms : float
        What each position of the transformed tile, each matrix product that is, adds to that.
    """

    gflops: float
    direct_efficiency: float
    gemm_efficiency: float
    sum_channels: int
    full_channels: int
    transform_gops: float
    dram_gbs: float
    cache_gbs: float
    cache_bytes: int
    filter_gops: float
    direct_call_ms: float
    winograd_call_ms: float
    position_call_ms: float


NOMINAL = Machine(
    gflops=250.0,
    direct_efficiency=0.9,
    gemm_efficiency=0.9,
    sum_channels=6,
    full_channels=9,
    transform_gops=25.0,
    dram_gbs=35.0,
    cache_gbs=80.0,
    cache_bytes=24 << 20,
    filter_gops=0.7,
    direct_call_ms=0.01,
    winograd_call_ms=0.1,
    position_call_ms=0.0005,
)
"""What plans assume, so that a plan depends on the shape only: two cores with AVX-512, 1 MB L2 each and 32 MB L3.

Fitted to the times of C3D's stack (``python -m winograd.bench --suite c3d``) on such a machine (AMD EPYC, family 25
model 17, 2026-11-20).
"""


def direct_ms(shape: ConvShape, machine: Machine = NOMINAL) -> float:
    """Return the predicted milliseconds of direct convolution with prepacked weights.

    Taps that meet padding are left out by it, except along the last axis.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((1, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32")
    >>> round(direct_ms(shape))
    93
    """
    narrow = min(1.0, shape.channels / shape.groups / machine.full_channels)
    compute = _ms(2 * shape.macs * _unpadded(shape), machine.gflops * machine.direct_efficiency * narrow)
    return max(compute, _ms(_plain_bytes(shape) + _weight_bytes(shape), machine.dram_gbs)) + machine.direct_call_ms


def winograd_ms(shape: ConvShape, algorithm: NestedAlgorithm, machine: Machine = NOMINAL) -> float:
    """Return the predicted milliseconds of a Winograd convolution whose filter is transformed already."""
    tiles = shape.batch * _tiling(shape, algorithm).count
    begun = 1 + machine.sum_channels / max(shape.channels, 1)
    products = _ms(2 * begun * multiplications(shape, algorithm), machine.gflops * machine.gemm_efficiency)
    streamed = _ms(filter_bytes(shape, algorithm), machine.dram_gbs)
    transforms = _ms(
        tiles * (shape.channels * data_instructions(algorithm) + shape.outputs * inverse_instructions(algorithm)),
        machine.transform_gops,
    )
    passed = 2 * transformed_bytes(shape, algorithm)
    rate = machine.cache_gbs if passed <= 2 * machine.cache_bytes else machine.dram_gbs
    traffic = _ms(passed, rate) + _ms(_plain_bytes(shape), machine.dram_gbs)
    calls = machine.winograd_call_ms + machine.position_call_ms * algorithm.rank
    return max(products, streamed) + transforms + traffic + calls


def multiplications(shape: ConvShape, algorithm: NestedAlgorithm) -> int:
    """Return the multiplications of transformed data with transformed filters, ragged tiles counted whole."""
    tiles = shape.batch * _tiling(shape, algorithm).count
    return algorithm.rank * tiles * shape.channels * shape.outputs


def filter_ms(shape: ConvShape, algorithm: NestedAlgorithm, machine: Machine = NOMINAL) -> float:
    """Return the predicted milliseconds of transforming and packing the filter."""
    return _ms(algorithm.rank * shape.channels * shape.outputs, machine.filter_gops)


def filter_bytes(shape: ConvShape, algorithm: NestedAlgorithm) -> int:
    """Return the bytes of the transformed filter U in float32."""
    return _FLOAT_BYTES * algorithm.rank * shape.channels * shape.outputs


def native_filter_bytes(shape: ConvShape, algorithm: NestedAlgorithm) -> int:
    """Return the bytes of the transformed filter as the native backend packs it, outputs filled up to whole panels."""
    return filter_bytes(replace(shape, outputs=-(-shape.outputs // NOMINAL_PANEL) * NOMINAL_PANEL), algorithm)


def native_workspace_bytes(shape: ConvShape, algorithm: NestedAlgorithm) -> int:
    """Return about how many bytes the native backend holds beside the filter, on two threads."""
    sizes = {"channels": shape.channels, "outputs": shape.outputs, "rank": algorithm.rank, "threads": _THREADS}
    schedule = choose_schedule(_tiling(shape, algorithm), batch=shape.batch, **sizes)
    return _FLOAT_BYTES * workspace_values(schedule, **sizes)


def transformed_bytes(shape: ConvShape, algorithm: NestedAlgorithm) -> int:
    """Return the bytes of the transformed data V and the products M of all tiles in float32."""
    tiles = shape.batch * _tiling(shape, algorithm).count
    return _FLOAT_BYTES * algorithm.rank * tiles * (shape.channels + shape.outputs)


def data_instructions(algorithm: NestedAlgorithm) -> int:
    """Return the instructions of the data transform of one tile of one channel.

    Examples
    --------
    >>> from winograd.algebra.nesting import nest
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> data_instructions(nest(toom_cook(2, 3), toom_cook(2, 3)))
    32
    """
    return count_passes(lower_nested(algorithm).data).instructions


def inverse_instructions(algorithm: NestedAlgorithm) -> int:
    """Return the instructions of the inverse transform of one tile of one output channel."""
    return count_passes(lower_nested(algorithm).inverse).instructions


def _unpadded(shape: ConvShape) -> float:
    """Return the fraction of taps that meet no padding along all axes but the last."""
    fraction = 1.0
    for axis in range(shape.ndim - 1):
        reads = (
            output * shape.stride[axis] + tap * shape.dilation[axis] - shape.padding[axis][0]
            for output in range(shape.output[axis])
            for tap in range(shape.taps[axis])
        )
        real = sum(0 <= read < shape.sizes[axis] for read in reads)
        fraction *= real / (shape.output[axis] * shape.taps[axis])
    return fraction


def _tiling(shape: ConvShape, algorithm: NestedAlgorithm) -> Tiling:
    return tile_axes(shape.sizes, algorithm.m, algorithm.r, shape.padding)


def _plain_bytes(shape: ConvShape) -> int:
    values = shape.channels * prod(shape.sizes) + shape.outputs * prod(shape.output)
    return _FLOAT_BYTES * shape.batch * values


def _weight_bytes(shape: ConvShape) -> int:
    return _FLOAT_BYTES * prod(shape.weight_sizes)


def _ms(amount: float, giga_per_second: float) -> float:
    return amount / (giga_per_second * 1e6)
