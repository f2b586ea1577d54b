"""`StageCost`: what one stage of a convolution takes, and the roofline that bounds it.

In: operations and bytes at each level of memory, counted elsewhere. Out: one record a stage, with the time that the
measured peaks allow at least, and what limits it. The copies of strided layers are a stage too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from winograd.conv.machine import NOMINAL, Machine

LIMITS = ("operations", "own cache", "shared cache", "memory")


@dataclass(frozen=True, slots=True)
class StageCost:
    """One stage of a convolution.

    Parameters
    ----------
    name : str
        Such as "products".
    operations : float
        Of floating point in all lanes that run, an FMA of the products counted as two.
    own_bytes, shared_bytes, memory_bytes : float
        That cross into the registers from a core's own cache, into the cores from the shared cache, and into the shared
        cache from memory, both ways; those that go further count at every level on their way.
    buffer_bytes : float
        Of memory on the chip that the schedule wants for the stage: V and M of all blocks that are held.
    milliseconds : float
        Predicted.
    bound_ms : float
        What the measured peaks allow at least: the largest of operations / peak and bytes / bandwidth.
    limited_by : str
        Which of `LIMITS` that is.
    """

    name: str
    operations: float
    own_bytes: float
    shared_bytes: float
    memory_bytes: float
    buffer_bytes: float
    milliseconds: float
    bound_ms: float
    limited_by: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that cross each level of memory; see `StageCost`."""

    own: float = 0.0
    shared: float = 0.0
    memory: float = 0.0


def stage(
    name: str, operations: float, traffic: Traffic, buffer: float, milliseconds: float, threads: int, machine: Machine
) -> StageCost:
    """Return the record of a stage, with its bound."""
    peaks = machine.peaks
    times = (
        milliseconds_of(operations, threads * peaks.core_gflops),
        milliseconds_of(traffic.own, threads * peaks.own_gbs),
        milliseconds_of(traffic.shared, threads * peaks.shared_gbs),
        milliseconds_of(traffic.memory, peaks.memory_gbs),
    )
    bound = max(times)
    limit = LIMITS[times.index(bound)]
    return StageCost(name, operations, traffic.own, traffic.shared, traffic.memory, buffer, milliseconds, bound, limit)


def total_ms(stages: Iterable[StageCost]) -> float:
    """Return the predicted time of stages that follow each other."""
    return sum(one.milliseconds for one in stages)


def bound_ms(stages: Iterable[StageCost]) -> float:
    """Return the time that the measured peaks allow at least, stages one after the other."""
    return sum(one.bound_ms for one in stages)


def copies_ms(copied_bytes: float, threads: int = 2, machine: Machine = NOMINAL) -> float:
    """Return the predicted milliseconds of copying so many bytes, read and written, such as those of phases.

    Examples
    --------
    >>> copies_ms(0)
    0.0
    """
    return copies_cost(copied_bytes, threads, machine).milliseconds


def copies_cost(copied_bytes: float, threads: int = 2, machine: Machine = NOMINAL) -> StageCost:
    """Return the stage of copying so many bytes, each read and written once and counted twice."""
    taken = milliseconds_of(copied_bytes, machine.plain_gbs)
    traffic = Traffic(copied_bytes, copied_bytes, copied_bytes)
    return stage("copies", 0.0, traffic, 0.0, taken, threads, machine)


def milliseconds_of(amount: float, giga_per_second: float) -> float:
    """Return the milliseconds of an amount at a rate of 10^9 per second."""
    return amount / (giga_per_second * 1e6)
