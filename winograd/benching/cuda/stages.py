"""Stages of a plan on a GPU, each timed by itself: data, products, inverse or all in one, filter, and Python's share.

In: a plan of the backend "gpu", a callable that runs it. Out: milliseconds of each stage of a call. Events are recorded
around the launches of each stage while the card is held back, so that it finds all of them waiting, and nothing that
Python takes is in their times; that is timed apart, as what a call takes to return. Refused: plans of other backends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import fsum
from statistics import median
from time import perf_counter
from types import MappingProxyType, ModuleType
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from winograd.conv.gpu.run import module_of, try_pack_on_card
from winograd.conv.gpu.schedule import FUSED, STAGED
from winograd.conv.gpu.trial import events
from winograd.conv.plan.record import Plan

CALLS: Final = 9
"""That are timed; medians count."""

HELD_BACK: Final = 3.0
"""Times of what a call takes to return for which the card is held back."""

CYCLES_PER_MS: Final = 2_000_000
"""Of a card's clock, about, and not fewer."""

FILTER: Final = "filter"

LAUNCHERS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        STAGED: {"data": "_transform_data", "products": "_multiply", "inverse": "_transform_back"},
        FUSED: {"fused": "run"},
    }
)
"""Functions of emitted files that launch the stages, by kind of kernels, as the cost model names them."""


@dataclass(frozen=True, slots=True)
class StageTimes:
    """What the stages of a call take.

    Parameters
    ----------
    stages : tuple of (str, float)
        Milliseconds on the card, all launches of a stage together; the transform of the filter is the last one.
    host_ms : float
        What a call takes to return, while the card computes.
    """

    stages: tuple[tuple[str, float], ...]
    host_ms: float


class Marker(Protocol):
    """Marks places in what a device has to do, and tells the time between two of them."""

    def mark(self) -> Any:
        """Return a place."""

    def between(self, before: Any, behind: Any) -> float:
        """Return the milliseconds between two places."""

    def hold(self, milliseconds: float) -> None:
        """Hold the device back for about as long."""

    def wait(self) -> None:
        """Wait until the device has nothing to do."""


class EventMarker:
    """Events of a GPU."""

    def mark(self) -> torch.cuda.Event:
        """Record an event."""
        event, _ = events()
        event.record()
        return event

    def between(self, before: torch.cuda.Event, behind: torch.cuda.Event) -> float:
        """Return the milliseconds between two events."""
        return float(before.elapsed_time(behind))

    def hold(self, milliseconds: float) -> None:
        """Let the card spin."""
        spin: Callable[[int], None] = torch.cuda._sleep
        spin(int(milliseconds * CYCLES_PER_MS))

    def wait(self) -> None:
        """Wait for the card."""
        torch.cuda.synchronize()


class ProcessMarker:
    """The clock of the process, for the CPU."""

    def mark(self) -> float:
        """Return the time."""
        return perf_counter()

    def between(self, before: float, behind: float) -> float:
        """Return the milliseconds between two times."""
        return (behind - before) * 1e3

    def hold(self, milliseconds: float) -> None:
        """Do nothing: calls are done when they return."""

    def wait(self) -> None:
        """Do nothing."""


def marker_of(device: torch.device) -> Marker:
    """Return what marks places on a device."""
    return EventMarker() if device.type == "cuda" else ProcessMarker()


def stage_times(plan: Plan, weight: Tensor, call: Callable[[int], object], buffers: int, marker: Marker) -> StageTimes:
    """Return what the stages of a plan take, and what Python takes for a call.

    Parameters
    ----------
    plan : Plan
        Of the backend "gpu".
    weight : Tensor
        Whose transform is timed, too.
    call : callable
        Runs the plan with the buffers of a number; it was warmed up.
    buffers : int
        That take turns.
    marker : Marker
    """
    assert plan.gpu is not None
    launchers = LAUNCHERS[plan.gpu.kind]
    host_ms = median(_host_ms(call, number % buffers, marker) for number in range(CALLS))
    held_ms = HELD_BACK * host_ms
    found: dict[str, list[float]] = {name: [] for name in (*launchers, FILTER)}
    for number in range(CALLS):
        with _marked(module_of(plan), launchers, marker) as places:
            marker.hold(held_ms)
            call(number % buffers)
            marker.wait()
        for name, pairs in places.items():
            found[name].append(fsum(marker.between(*pair) for pair in pairs))
        found[FILTER].append(_filter_ms(plan, weight, held_ms, marker))
    return StageTimes(tuple((name, median(times)) for name, times in found.items()), host_ms)


def _host_ms(call: Callable[[int], object], number: int, marker: Marker) -> float:
    marker.wait()
    start = perf_counter()
    call(number)
    return (perf_counter() - start) * 1e3


def _filter_ms(plan: Plan, weight: Tensor, held_ms: float, marker: Marker) -> float:
    marker.hold(held_ms)
    before = marker.mark()
    try_pack_on_card(plan, weight)
    behind = marker.mark()
    marker.wait()
    return marker.between(before, behind)


@contextmanager
def _marked(
    module: ModuleType, launchers: Mapping[str, str], marker: Marker
) -> Iterator[dict[str, list[tuple[Any, Any]]]]:
    """Mark the places around every call of these functions of a module, by stage, as long as this lasts."""
    places: dict[str, list[tuple[Any, Any]]] = {name: [] for name in launchers}
    former = {function: getattr(module, function) for function in launchers.values()}

    def around(name: str, launch: Callable[..., Any]) -> Callable[..., Any]:
        def launched(*given: Any, **options: Any) -> Any:
            before = marker.mark()
            result = launch(*given, **options)
            places[name].append((before, marker.mark()))
            return result

        return launched

    for name, function in launchers.items():
        setattr(module, function, around(name, former[function]))
    try:
        yield places
    finally:
        for function, launch in former.items():
            setattr(module, function, launch)
