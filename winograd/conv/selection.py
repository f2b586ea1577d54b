"""Selection: the fastest candidate of the cost model whose predicted error is tolerated and whose memory is allowed.

In: a shape, a tolerance, whether the transformed filter is kept, limits on memory, threads. Out: a `Selection` or None.
Candidates are taken in the order of a lower bound on their time until none that is left can win; errors, which take
longer to predict, are predicted in the order of time until one is tolerated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from winograd.conv import roofline
from winograd.conv.candidates import AxisChoice, Candidate, axis_choices, error_ratios, nested_instructions
from winograd.conv.footprint import Footprint
from winograd.conv.limits import MemoryLimits
from winograd.conv.prediction import float32_error, float32_tolerance
from winograd.conv.roofline import Algorithm
from winograd.conv.schedule import Schedule, schedules
from winograd.conv.shape import ConvShape

Array = NDArray[np.float64]

MAX_RANK: Final = 1024
"""Products of a tile at most: beyond, not even one tile of 16 channels stays in the innermost cache."""


_UNLIKE: Final = 0.03
"""Share of the time that another algorithm on another axis has to gain."""

_WORTH_MEMORY: Final = 0.02
"""Share of the time that larger blocks have to gain."""

Axes = list[tuple[AxisChoice, ...]]


class Filters(Enum):
    """Whether the transformed filter is kept from call to call or made anew in every call."""

    FROZEN = "frozen"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Timing:
    """How an algorithm is to run, and how long that is predicted to take.

    Parameters
    ----------
    milliseconds : float
        Of a call, the transform of the filter included where it is made in every call.
    schedule : Schedule
    filters : Filters
        LIVE as well where a transformed filter above the limit would have been kept.
    """

    milliseconds: float
    schedule: Schedule
    filters: Filters


@dataclass(frozen=True, slots=True)
class Selection:
    """A candidate with its timing and its predicted error in float32."""

    candidate: Candidate
    timing: Timing
    error: float


def best_timing(
    shape: ConvShape, algorithm: Algorithm, filters: Filters, limits: MemoryLimits, threads: int
) -> Timing | None:
    """Return the schedule with the least predicted time within the limits, or None where not one tile fits.

    Where the model can hardly tell, the smallest block wins.
    """
    allowed = allowed_schedules(shape, algorithm, limits.workspace, threads)
    if not allowed:
        return None
    times = {schedule: roofline.winograd_ms(shape, algorithm, schedule, threads) for schedule in allowed}
    enough = min(times.values()) * (1 + _WORTH_MEMORY)
    schedule = next(one for one in allowed if times[one] <= enough)
    kept = limits.filters is None or roofline.native_filter_bytes(shape, algorithm) <= limits.filters
    settled = filters if kept else Filters.LIVE
    extra = roofline.filter_ms(shape, algorithm, threads) if settled is Filters.LIVE else 0.0
    return Timing(times[schedule] + extra, schedule, settled)


def allowed_schedules(
    shape: ConvShape, algorithm: Algorithm, workspace_cap: int | None, threads: int
) -> tuple[Schedule, ...]:
    """Return the schedules worth comparing, in smaller blocks where their workspace would be above the cap."""
    found = schedules(
        roofline.tile_count(shape, algorithm),
        channels=shape.channels,
        outputs=shape.outputs,
        rank=algorithm.rank,
        threads=threads,
        number_bytes=roofline.footprint(shape, algorithm).number_bytes,
    )
    if workspace_cap is None:
        return found
    footprint = roofline.footprint(shape, algorithm)
    fitting = (_within(one, footprint, workspace_cap, threads) for one in found)
    return tuple(dict.fromkeys(one for one in fitting if one.block))


def _within(schedule: Schedule, footprint: Footprint, workspace_cap: int, threads: int) -> Schedule:
    """Return the schedule in blocks that fit; of no tiles where not even one does."""
    if footprint.workspace_bytes(schedule, threads) <= workspace_cap:
        return schedule
    return replace(schedule, block=footprint.largest_block(schedule.kind, threads, workspace_cap))


def select(
    shape: ConvShape, tolerance: float, filters: Filters, limits: MemoryLimits, threads: int
) -> Selection | None:
    """Return the fastest candidate that is tolerated and fits into the limits, or None where there is none."""
    allowed = float32_tolerance(shape, tolerance)
    for timing, candidate in _timed(shape, allowed, filters, limits, threads):
        error = float32_error(shape, candidate.algorithm)
        if error <= allowed:
            return Selection(candidate, timing, error)
    return None


def by_bound(shape: ConvShape, filters: Filters, threads: int) -> Iterator[Candidate]:
    """Yield all candidates in the order of a lower bound on their time, whatever their error."""
    return (candidate for _, candidate in _shortlist(shape, math.inf, filters, threads))


def is_filter_capped(shape: ConvShape, limits: MemoryLimits) -> bool:
    """Return whether the limit on kept filters is below what a candidate may have."""
    largest = roofline.filter_bytes_of(shape, MAX_RANK)
    return limits.filters is not None and largest > limits.filters


def least_error(shape: ConvShape) -> float:
    """Return the `float32_error` of the candidate that is estimated to have the least."""
    axes = _axes(shape)
    best = int(np.argmin(np.where(_is_useful(axes), _log_errors(axes, shape), np.inf)))
    return float32_error(shape, _candidate(axes, best).algorithm)


def _timed(
    shape: ConvShape, allowed: float, filters: Filters, limits: MemoryLimits, threads: int
) -> list[tuple[Timing, Candidate]]:
    """Return candidates that may be tolerated, the fastest first; no faster one is left out."""
    least, most = error_ratios(shape.channels)
    found: list[tuple[Timing, Candidate]] = []
    sure = math.inf
    for bound, candidate in _shortlist(shape, allowed / least, filters, threads):
        if bound >= sure:
            break
        timing = best_timing(shape, candidate, filters, limits, threads)
        if timing is None or timing.milliseconds >= sure:
            continue
        found.append((timing, candidate))
        if candidate.estimated_error * most <= allowed:
            sure = min(sure, _preferred_ms(timing, candidate))
    return sorted(found, key=lambda one: (_preferred_ms(*one), one[1].ranks))


def _preferred_ms(timing: Timing, candidate: Candidate) -> float:
    """Return the time, and a little on top for every further algorithm: where the model can hardly tell, fewer win."""
    different = {axis for axis in candidate.axes if axis.r > 1}
    return timing.milliseconds * (1 + _UNLIKE * (len(different) - 1))


def _shortlist(shape: ConvShape, estimate: float, filters: Filters, threads: int) -> Iterator[tuple[float, Candidate]]:
    """Yield lower bounds of time and candidates whose estimated error is at most so large, in the order of bounds."""
    axes = _axes(shape)
    work = _work(axes, shape)
    bounds = roofline.least_winograd_ms(shape, work, threads)
    if filters is Filters.LIVE:
        bounds = bounds + roofline.filter_ms_of(shape, work.rank, threads)
    kept = np.flatnonzero(
        _is_useful(axes) & (work.rank <= MAX_RANK) & (_log_errors(axes, shape) <= math.log(max(estimate, 1e-300)))
    )
    for index in kept[np.argsort(bounds[kept], kind="stable")]:
        yield float(bounds[index]), _candidate(axes, int(index))


def _work(axes: Axes, shape: ConvShape) -> roofline.Work:
    """Return what the tiles of all nests of the choices take."""
    names = ("m", "tile", "rank", "data", "inverse")
    m, inputs, ranks, data, inverse = ([_along(axes, axis, name) for axis in range(len(axes))] for name in names)
    tiles = [-(-size // outputs) for size, outputs in zip(shape.output, m, strict=True)]
    return roofline.Work(
        tiles=shape.batch * prod(tiles).ravel(),
        rank=prod(ranks).ravel(),
        data=nested_instructions(inputs, ranks, data).ravel(),
        inverse=nested_instructions(ranks, m, inverse).ravel(),
    )


def _along(axes: Axes, axis: int, name: str) -> Any:
    """Return a figure of the choices of one axis as an array that broadcasts against those of the others."""
    values = np.array([float(getattr(choice, name)) for choice in axes[axis]])
    return values.reshape([-1 if other == axis else 1 for other in range(len(axes))])


def _is_useful(axes: Axes) -> Any:
    return np.asarray(prod(_along(axes, axis, "m") for axis in range(len(axes)))).ravel() > 1


def _log_errors(axes: Axes, shape: ConvShape) -> Array:
    """Return the logarithms of the estimated errors of all nests of the choices."""
    counted = sum(taps > 1 for taps in shape.taps)
    total = np.zeros(1)
    for axis in axes:
        errors = [math.log(choice.errors[counted - 1]) / counted if choice.r > 1 else 0.0 for choice in axis]
        total = np.add.outer(total, errors).ravel()
    return total


def _axes(shape: ConvShape) -> Axes:
    return [axis_choices(taps, outputs) for taps, outputs in zip(shape.taps, shape.output, strict=True)]


def _candidate(axes: Axes, index: int) -> Candidate:
    places = np.unravel_index(index, [len(axis) for axis in axes])
    return Candidate(tuple(axis[int(place)] for axis, place in zip(axes, places, strict=True)))
