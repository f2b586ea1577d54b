"""Winograd convolution stage by stage: operations, bytes at each level of memory, and predicted time.

In: a `ConvShape`, an algorithm, a schedule, threads and a `Machine`. Out: a `StageCost` for each stage; `winograd_ms` is
their sum. It ranks candidates and schedules and decides whether Winograd is worth it; it is no promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final

from winograd.codegen.targets.c import CHANNEL_BLOCK
from winograd.conv.machine import NOMINAL, Machine
from winograd.conv.roofline.counts import (
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
from winograd.conv.roofline.stages import StageCost, Traffic, milliseconds_of, stage, total_ms
from winograd.conv.schedule import Schedule, ScheduleKind
from winograd.conv.shape import ConvShape

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
    """Return the predicted milliseconds of a Winograd convolution whose filter is transformed already."""
    return total_ms(stage_costs(shape, algorithm, schedule, threads, machine))


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
    >>> [(stage.name, stage.limited_by) for stage in stage_costs(shape, winograd.nest(f43, f43, f43))]
    [('input transform', 'memory'), ('products', 'operations'), ('inverse transform', 'memory'), ('call', 'operations')]
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


def _input_stage(run: _Run) -> StageCost:
    shape, machine = run.shape, run.machine
    count = run.tiles * vectors(shape.channels, shape)
    inside = machine.own_data_ns + run.outside * machine.shared_data_ns + run.spilled * machine.spilled_ns
    each = data_instructions(run.algorithm) * _instruction_ns(run) + run.reals.data * inside
    share = run.uneven if run.is_fused else _uneven(run.held, 1, run.threads)
    taken = 1e-6 * count * each * share / run.threads + milliseconds_of(input_bytes(shape), machine.plain_gbs)
    read = value_bytes(shape) * prod(run.algorithm.tile) * run.tiles * shape.channels
    traffic = Traffic(
        own=read + run.data_bytes,
        shared=input_bytes(shape) + run.outside * run.data_bytes,
        memory=input_bytes(shape) + run.spilled * run.data_bytes,
    )
    operations = data_instructions(run.algorithm) * count * lanes(shape)
    return _stage(run, "input transform", operations, traffic, run.held_data, taken)


def _product_stage(run: _Run) -> StageCost:
    shape, size = run.shape, native_filter_bytes(run.shape, run.algorithm)
    cached = min(size, run.machine.cache_bytes)
    again = run.blocks * (size - cached)
    rows = -(-run.held // ROWS) * run.blocks
    reads = panels(shape) * run.data_bytes
    traffic = Traffic(
        own=rows * size + reads + 2 * -(-shape.channels // CHANNEL_BLOCK) * run.product_bytes,
        shared=run.blocks * size + run.outside * (reads if run.is_fused else run.data_bytes + run.product_bytes),
        memory=again + run.spilled * (reads if run.is_fused else run.data_bytes + run.product_bytes),
    )
    operations = 2.0 * run.algorithm.rank * run.tiles * shape.channels * padded_outputs(shape)
    buffer = run.held_data + run.held_products
    return _stage(run, "products", operations, traffic, buffer, _product_ms(run, traffic.shared, traffic.memory))


def _product_ms(run: _Run, shared: float, memory: float) -> float:
    """Return the time of the products while so many bytes come from the shared cache and from memory."""
    machine, threads = run.machine, run.threads
    parts = -(-run.held // ROWS)
    rows = run.blocks * parts * (max(run.held / parts, machine.least_rows) + machine.lost_rows)
    weights = summed_channels(run.shape.channels, machine) * padded_outputs(run.shape)
    computed = milliseconds_of(2 * run.algorithm.rank * rows * weights, threads * _core_gflops(run))
    streamed = milliseconds_of(max(shared - memory, 0.0), threads * machine.core_cache_gbs)
    streamed += milliseconds_of(memory, machine.stream_gbs)
    return run.uneven * float((computed**machine.overlap + streamed**machine.overlap) ** (1 / machine.overlap))


def _inverse_stage(run: _Run) -> StageCost:
    shape, machine = run.shape, run.machine
    count = run.tiles * vectors(shape.outputs, shape)
    inside = machine.own_inverse_ns + run.outside * machine.shared_inverse_ns + run.spilled * machine.spilled_ns
    each = inverse_instructions(run.algorithm) * _instruction_ns(run) + run.reals.products * inside
    share = run.uneven if run.is_fused else _uneven(run.held * panels(shape), _SPREADING, run.threads)
    taken = 1e-6 * count * each * share / run.threads + milliseconds_of(output_bytes(shape), machine.output_gbs)
    traffic = Traffic(
        own=run.product_bytes + output_bytes(shape),
        shared=run.outside * run.product_bytes + output_bytes(shape),
        memory=run.spilled * run.product_bytes + output_bytes(shape),
    )
    operations = inverse_instructions(run.algorithm) * count * lanes(shape)
    return _stage(run, "inverse transform", operations, traffic, run.held_products, taken)


def _call_stage(run: _Run) -> StageCost:
    """Return what a call costs, and what threads wait for each other between the stages of shared blocks."""
    waits = 0 if run.is_fused else run.blocks
    return _stage(run, "call", 0, Traffic(), 0, run.machine.winograd_call_ms + waits * run.machine.wait_ms)


def _stage(run: _Run, name: str, operations: float, traffic: Traffic, buffer: float, taken: float) -> StageCost:
    return stage(name, operations, traffic, buffer, taken, run.threads, run.machine)


def _uneven(pieces: float, chunk: int, threads: int) -> float:
    """Return the time of the busiest thread over that of all alike, where they take pieces so many at a time."""
    chunks = -(-pieces // chunk)
    return max(-(-chunks // threads) * threads * min(chunk, pieces) / pieces, 1.0)


def _instruction_ns(run: _Run) -> float:
    large = min(max(run.algorithm.rank / _LARGE_RANK - 1, 0), 1)
    return run.machine.instruction_ns * (1 + run.machine.large_tile_share * large)


def _core_gflops(run: _Run) -> float:
    return run.machine.core_gflops * 4 / value_bytes(run.shape)


def summed_channels(channels: int, machine: Machine) -> float:
    """Return the channels, and what beginning and storing their partial sums takes in channels."""
    return channels + machine.sum_channels * -(-channels // CHANNEL_BLOCK)
