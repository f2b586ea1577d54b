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
from typing import Final

import numpy as np
from numpy.typing import NDArray

from winograd.conv import roofline
from winograd.conv.choosing.candidates import Candidate, error_ratios
from winograd.conv.choosing.nests import Nests, nests_of
from winograd.conv.choosing.prediction import float32_error, float32_tolerance
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.limits import MemoryLimits
from winograd.conv.native.footprint import Footprint
from winograd.conv.native.schedule import Schedule, schedules
from winograd.conv.roofline import Algorithm

Array = NDArray[np.float64]

MAX_RANK: Final = 1024
"""Products of a tile at most: beyond, not even one tile of 16 channels stays in the innermost cache."""


_UNLIKE: Final = 0.03
"""Share of the time that another algorithm on another axis has to gain."""

_WORTH_MEMORY: Final = 0.02
"""Share of the time that larger blocks have to gain."""


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
    nests = nests_of(shape)
    best = int(np.argmin(np.where(nests.is_useful, nests.log_errors, np.inf)))
    return float32_error(shape, nests.candidate(best).algorithm)


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
    nests = nests_of(shape)
    work = _work(nests, shape)
    bounds = roofline.least_winograd_ms(shape, work, threads)
    if filters is Filters.LIVE:
        bounds = bounds + roofline.filter_ms_of(shape, work.rank, threads)
    kept = np.flatnonzero(
        nests.is_useful & (work.rank <= MAX_RANK) & (nests.log_errors <= math.log(max(estimate, 1e-300)))
    )
    for index in kept[np.argsort(bounds[kept], kind="stable")]:
        yield float(bounds[index]), nests.candidate(int(index))


def _work(nests: Nests, shape: ConvShape) -> roofline.Work:
    """Return what the tiles of all nests of the choices take."""
    return roofline.Work(
        tiles=nests.tiles(shape),
        rank=nests.total("rank"),
        data=nests.instructions("tile", "rank", nests.along("data")),
        inverse=nests.instructions("rank", "m", nests.along("inverse")),
    )
