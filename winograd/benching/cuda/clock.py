"""Clocks: how long a call keeps a GPU busy, by its own events; on the CPU by the clock of the process.

In: callables that take the number of a buffer. Out: milliseconds per call. Calls are enqueued without waiting, as a
network does it, so that what Python takes shows where the GPU would have to wait for it. Buffers take turns: what one
call has read is not in the level-2 cache any more when it comes by again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter
from typing import Final, Protocol

import torch

from winograd.conv.gpu.trial import events

Call = Callable[[int], object]
"""Computes with the buffers of that number."""

ROUND_MS: Final = 10.0
"""Of a round of calls, at least: events are good to a microsecond."""

MOST_CALLS: Final = 200
"""Calls of a round, at most."""


class Clock(Protocol):
    """Times calls that are enqueued."""

    def milliseconds(self, calls: Callable[[], None]) -> float:
        """Return how long all that the calls enqueue takes."""


class EventClock:
    """The clock of a GPU: an event before, one behind."""

    def milliseconds(self, calls: Callable[[], None]) -> float:
        """Return how long all that the calls enqueue takes on the current stream."""
        before, behind = events()
        torch.cuda.synchronize()
        before.record()
        calls()
        behind.record()
        behind.synchronize()
        return float(before.elapsed_time(behind))


class ProcessClock:
    """The clock of the process, for the CPU: calls are done when they return."""

    def milliseconds(self, calls: Callable[[], None]) -> float:
        """Return how long the calls take."""
        start = perf_counter()
        calls()
        return (perf_counter() - start) * 1e3


def clock_of(device: torch.device) -> Clock:
    """Return the clock of a device."""
    return EventClock() if device.type == "cuda" else ProcessClock()


def take_turns(
    callables: Mapping[str, Call],
    rounds: int,
    buffers: int,
    clock: Clock,
    *,
    round_ms: float = ROUND_MS,
) -> dict[str, list[float]]:
    """Time callables in turns, each round in another random order (seeded).

    Parameters
    ----------
    callables : mapping of name to callable
    rounds : int
        At least 1; before them each is called for as long as a round, which is not counted.
    buffers : int
        That take turns.
    clock : Clock
    round_ms : float
        Of a round of one of them.

    Returns
    -------
    dict of name to list of float
        Milliseconds per call, one per round.

    Raises
    ------
    ValueError
        If rounds is below 1.
    """
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}, must be at least 1")
    counts = {name: _calls_of_a_round(call, buffers, clock, round_ms) for name, call in callables.items()}
    times: dict[str, list[float]] = {name: [] for name in callables}
    for call in callables.values():  # capturing graphs has emptied what the allocator kept for those before
        call(0)
    order, generator = list(callables), random.Random(0)
    for _ in range(rounds):
        for name in order:
            times[name].append(_per_call(callables[name], counts[name], buffers, clock))
        generator.shuffle(order)
    return times


def _calls_of_a_round(call: Call, buffers: int, clock: Clock, round_ms: float) -> int:
    """Warm up, and return how many calls fill a round."""
    for number in range(max(buffers, 2)):  # compiles, loads and lets libraries choose
        call(number % buffers)
    once = median(_per_call(call, 1, buffers, clock) for _ in range(3))
    count = int(max(1, min(MOST_CALLS, round_ms / max(once, 1e-6))))
    _per_call(call, count, buffers, clock)
    return count


def _per_call(call: Call, count: int, buffers: int, clock: Clock) -> float:
    def calls() -> None:
        for number in range(count):
            call(number % buffers)

    return clock.milliseconds(calls) / count
