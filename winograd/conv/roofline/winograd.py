"""Winograd convolution stage by stage: operations, bytes at each level of memory, and predicted time.

In: a `ConvShape`, an algorithm, a schedule, threads and a `Machine`. Out: a `StageCost` for each stage, and their sum,
`winograd_ms`. It ranks candidates and schedules and decides whether Winograd is worth it; it is no promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final

from winograd.codegen.targets.c import CHANNEL_BLOCK
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.machine import NOMINAL, Machine
from winograd.conv.native.schedule import Schedule, ScheduleKind
from winograd.conv.roofline.counts import (
    FLOAT_BYTES,
    NOMINAL_THREADS,
    Algorithm,
    Reals,
    data_instructions,
    default_schedule,
    input_bytes,
    inverse_instructions,
    lanes,
    native_filter_bytes,
    output_bytes,
    padded_outputs,
    panels,
    reals_of,
    tile_count,
    value_bytes,
    vectors,
)
from winograd.conv.roofline.stages import StageCost, Traffic, milliseconds_of, stage

ROWS: Final = 14
"""Tiles whose sums a core holds in registers."""

_SPREADING: Final = 4
"""Inverse transforms that a thread takes at a time in the staged schedule."""

_LARGE_RANK: Final = 300


def winograd_ms(
    shape: ConvShape,
    algorithm: Algorithm,
    schedule: Schedule | None = None,
    threads: int = NOMINAL_THREADS,
    machine: Machine = NOMINAL,
) -> float:
    """Return the predicted milliseconds of a Winograd convolution whose filter is transformed already.

    The sum of those of `stage_costs`, without its bytes: plans ask for it many hundred times.
    """
    chosen = schedule or default_schedule(shape, algorithm, threads)
    run = _run_of(shape, algorithm, chosen, threads, machine)
    return _input_ms(run) + _product_ms(run) + _inverse_ms(run) + _call_ms(run)


def stage_costs(
    shape: ConvShape,
    algorithm: Algorithm,
    schedule: Schedule | None = None,
    threads: int = NOMINAL_THREADS,
    machine: Machine = NOMINAL,
) -> tuple[StageCost, ...]:
    """Return what the stages of a Winograd convolution take, whose filter is transformed already.

    Parameters
    ----------
    shape : ConvShape
        With stride, dilation and groups 1.
    algorithm : Candidate or NestedAlgorithm
        Or another one with the same attributes, see `winograd.conv.roofline.counts`.
    schedule : Schedule, optional
        None takes `choose_schedule`.
    threads : int
    machine : Machine

    Returns
    -------
    tuple of StageCost
        Input transform, products, inverse transform, and the call.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> import winograd
    >>> shape = ConvArguments(padding=1).shape((1, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32")
    >>> f43 = winograd.toom_cook(4, 3, "0,5/8,-5/8,3/2,-3/2,inf")
    >>> stages = stage_costs(shape, winograd.nest(f43, f43, f43))
    >>> [stage.name for stage in stages], stages[1].limited_by
    (['input transform', 'products', 'inverse transform', 'call'], 'operations')
    """
    chosen = schedule or default_schedule(shape, algorithm, threads)
    run = _run_of(shape, algorithm, chosen, threads, machine)
    return (_input_stage(run), _product_stage(run), _inverse_stage(run), _call_stage(run))


@dataclass(frozen=True, slots=True)
class _Run:
    """A layer by an algorithm and a schedule, and where its V and M are.

    Parameters
    ----------
    tiles, blocks : int
    held : float
        Tiles of a block.
    uneven : float
        Time of the busiest thread over that of all threads alike, where threads take whole blocks.
    data_bytes, product_bytes : float
        Of V and M of all tiles.
    held_data, held_products : float
        Of V and M on the chip at a time.
    outside : float
        Share of V and M that leaves the core's own cache on its way.
    spilled : float
        Share of them that leaves the shared cache.
    """

    shape: ConvShape
    algorithm: Algorithm
    threads: int
    machine: Machine
    is_fused: bool
    reals: Reals
    tiles: int
    blocks: int
    held: float
    uneven: float
    data_bytes: float
    product_bytes: float
    held_data: float
    held_products: float
    outside: float
    spilled: float


def _run_of(shape: ConvShape, algorithm: Algorithm, schedule: Schedule, threads: int, machine: Machine) -> _Run:
    is_fused, reals = schedule.kind is ScheduleKind.FUSED, reals_of(algorithm)
    tiles = tile_count(shape, algorithm)
    blocks = -(-tiles // schedule.block)
    held, size, width = tiles / blocks, value_bytes(shape), padded_outputs(shape)
    busy = min(threads, blocks) if is_fused else 1
    held_data = busy * size * reals.data * held * shape.channels
    held_products = busy * size * reals.products * held * (2 * lanes(shape) if is_fused else width)
    everything = held_data + held_products
    return _Run(
        shape=shape,
        algorithm=algorithm,
        threads=threads,
        machine=machine,
        is_fused=is_fused,
        reals=reals,
        tiles=tiles,
        blocks=blocks,
        held=held,
        uneven=-(-blocks // threads) * threads / blocks if is_fused else 1.0,
        data_bytes=size * reals.data * tiles * shape.channels,
        product_bytes=size * reals.products * tiles * width,
        held_data=held_data,
        held_products=held_products,
        outside=_beyond(everything / busy, machine.own_held_bytes) if is_fused else 1.0,
        spilled=_beyond(everything, machine.shared_held_bytes),
    )


def _beyond(size: float, capacity: float) -> float:
    """Return which share of so many bytes a cache has no place for."""
    return max(1 - capacity / size, 0.0) if size else 0.0


def _input_ms(run: _Run) -> float:
    machine, count = run.machine, run.tiles * vectors(run.shape.channels, run.shape)
    inside = machine.own_data_ns + run.outside * machine.shared_data_ns + run.spilled * machine.spilled_ns
    each = data_instructions(run.algorithm) * _instruction_ns(run) + run.reals.data * inside
    share = run.uneven if run.is_fused else _uneven(run.held, 1, run.threads)
    return 1e-6 * count * each * share / run.threads + milliseconds_of(input_bytes(run.shape), machine.plain_gbs)


def _input_stage(run: _Run) -> StageCost:
    shape, plain = run.shape, input_bytes(run.shape)
    read = value_bytes(shape) * prod(run.algorithm.tile) * run.tiles * shape.channels
    traffic = Traffic(
        own=read + run.data_bytes,
        shared=plain + run.outside * run.data_bytes,
        memory=plain + run.spilled * run.data_bytes,
    )
    operations = data_instructions(run.algorithm) * run.tiles * vectors(shape.channels, shape) * lanes(shape)
    return _stage(run, "input transform", operations, traffic, run.held_data, _input_ms(run))


def _product_ms(run: _Run) -> float:
    """Return the time of the products while filter, V and M come from the shared cache and from memory."""
    machine, threads = run.machine, run.threads
    parts = -(-run.held // ROWS)
    rows = run.blocks * parts * (max(run.held / parts, machine.least_rows) + machine.lost_rows)
    weights = summed_channels(run.shape.channels, machine) * padded_outputs(run.shape)
    gflops = machine.core_gflops * FLOAT_BYTES / value_bytes(run.shape)
    computed = milliseconds_of(2 * run.algorithm.rank * rows * weights, threads * gflops)
    shared, memory = _streamed_bytes(run)
    streamed = milliseconds_of(max(shared - memory, 0.0), threads * machine.core_cache_gbs)
    streamed += milliseconds_of(memory, machine.stream_gbs)
    return run.uneven * float((computed**machine.overlap + streamed**machine.overlap) ** (1 / machine.overlap))


def _streamed_bytes(run: _Run) -> tuple[float, float]:
    """Return the bytes of the products that come from the shared cache, and those of them that come from memory.

    U is read for every block. V is read for every panel by the fused schedule; by the other one V and M pass once.
    """
    size = native_filter_bytes(run.shape, run.algorithm)
    held = panels(run.shape) * run.data_bytes if run.is_fused else run.data_bytes + run.product_bytes
    rest = max(size - run.machine.cache_bytes, 0.0)
    return run.blocks * size + run.outside * held, run.blocks * rest + run.spilled * held


def _product_stage(run: _Run) -> StageCost:
    shape, (shared, memory) = run.shape, _streamed_bytes(run)
    sums = -(-shape.channels // CHANNEL_BLOCK)
    rows = run.blocks * -(-run.held // ROWS)
    reads = rows * native_filter_bytes(shape, run.algorithm) + panels(shape) * run.data_bytes
    traffic = Traffic(own=reads + (2 * sums - 1) * run.product_bytes, shared=shared, memory=memory)
    operations = 2.0 * run.algorithm.rank * run.tiles * shape.channels * padded_outputs(shape)
    return _stage(run, "products", operations, traffic, run.held_data + run.held_products, _product_ms(run))


def _inverse_ms(run: _Run) -> float:
    machine, count = run.machine, run.tiles * vectors(run.shape.outputs, run.shape)
    inside = machine.own_inverse_ns + run.outside * machine.shared_inverse_ns + run.spilled * machine.spilled_ns
    each = inverse_instructions(run.algorithm) * _instruction_ns(run) + run.reals.products * inside
    share = run.uneven if run.is_fused else _uneven(run.held * panels(run.shape), _SPREADING, run.threads)
    return 1e-6 * count * each * share / run.threads + milliseconds_of(output_bytes(run.shape), machine.output_gbs)


def _inverse_stage(run: _Run) -> StageCost:
    shape, plain = run.shape, output_bytes(run.shape)
    traffic = Traffic(
        own=run.product_bytes + plain,
        shared=run.outside * run.product_bytes + plain,
        memory=run.spilled * run.product_bytes + plain,
    )
    operations = inverse_instructions(run.algorithm) * run.tiles * vectors(shape.outputs, shape) * lanes(shape)
    return _stage(run, "inverse transform", operations, traffic, run.held_products, _inverse_ms(run))


def _call_ms(run: _Run) -> float:
    """Return what a call costs, and what threads wait for each other between the stages of shared blocks."""
    return run.machine.winograd_call_ms + (0 if run.is_fused else run.blocks) * run.machine.wait_ms


def _call_stage(run: _Run) -> StageCost:
    return _stage(run, "call", 0.0, Traffic(), 0.0, _call_ms(run))


def _stage(run: _Run, name: str, operations: float, traffic: Traffic, buffer: float, taken: float) -> StageCost:
    return stage(name, operations, traffic, buffer, taken, run.threads, run.machine)


def _uneven(pieces: float, chunk: int, threads: int) -> float:
    """Return the time of the busiest thread over that of all alike, where they take pieces so many at a time."""
    chunks = -(-pieces // chunk)
    return max(-(-chunks // threads) * threads * min(chunk, pieces) / pieces, 1.0)


def _instruction_ns(run: _Run) -> float:
    large = min(max(run.algorithm.rank / _LARGE_RANK - 1, 0), 1)
    return run.machine.instruction_ns * (1 + run.machine.large_tile_share * large)


def summed_channels(channels: int, machine: Machine) -> float:
    """Return the channels, and what beginning and storing their partial sums takes in channels."""
    return channels + machine.sum_channels * -(-channels // CHANNEL_BLOCK)
