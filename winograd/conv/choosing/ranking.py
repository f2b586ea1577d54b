"""Ranking: which candidates a plan has to choose from, the fastest by the model first, and what speaks against each.

In: a `Task`. Out: candidates with timing, error and obstacle. Nothing is chosen here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from winograd.conv import roofline
from winograd.conv.choosing.candidates import Candidate, error_ratios
from winograd.conv.choosing.prediction import float32_error, float32_tolerance, scaled_to
from winograd.conv.choosing.selection import Filters, Timing, allowed_schedules, best_timing, by_bound, is_filter_capped
from winograd.conv.choosing.task import Task
from winograd.conv.native.schedule import Schedule, ScheduleKind
from winograd.conv.wording import apart

LOOKED_AT: Final = 2000
"""Candidates of which the model is asked at most, in the order of a lower bound on their time."""

_SPARE, _SPARE_CAPPED = 2, 20
"""Times as many candidates are timed as are wanted: the order of the bounds is not that of the times, less so where the
filters of many are above the cap."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate, as a plan sees it.

    Parameters
    ----------
    candidate : Candidate
    timing : Timing or None
        Of one run of the task's core; None where not one tile fits into the workspace.
    milliseconds : float
        Of the whole task; infinite without a timing.
    error : float
        Predicted for the output before its rounding to 16 bits: what the tolerance is compared with.
    obstacle : str
        Why it may not be taken; empty where it may.
    """

    candidate: Candidate
    timing: Timing | None
    milliseconds: float
    error: float
    obstacle: str


def ranked(task: Task, *, allowed: int, rejected: int = 0) -> tuple[Ranked, ...]:
    """Return the fastest candidates by the model: so many that may be taken, and so many others that may not.

    Examples
    --------
    >>> import winograd
    >>> from winograd.conv.choosing.task import core_task
    >>> plan = winograd.plan_conv((1, 64, 16, 56, 56), (128, 64, 3, 3, 3), padding=1, tolerance=2e-6, threads=2)
    >>> found = ranked(core_task(plan.shape, plan.terms), allowed=2, rejected=1)
    >>> [one.obstacle == "" for one in found]
    [False, True, True]
    """
    fit: list[Ranked] = []
    unfit: list[Ranked] = []
    terms = task.terms
    spare = _SPARE_CAPPED if is_filter_capped(task.core, terms.limits) else _SPARE
    for candidate in islice(by_bound(task.core, terms.filters, terms.threads), LOOKED_AT):
        if len(fit) >= spare * allowed:
            break
        if len(unfit) >= rejected and _is_surely_above(task, candidate):
            continue
        timing = best_timing(task.core, candidate, terms.filters, terms.limits, terms.threads)
        if len(unfit) >= rejected and timing is None:  # the last of all: its error need not be known
            continue
        one = _rank(task, candidate, timing)
        (unfit if one.obstacle else fit).append(one)
    fastest = [sorted(group, key=lambda one: one.milliseconds) for group in (fit, unfit)]
    both = fastest[0][:allowed] + fastest[1][:rejected]
    return tuple(sorted(both, key=lambda one: one.milliseconds))


def unlike(found: Iterable[Ranked], own: Ranked | None = None) -> list[Ranked]:
    """Return the fastest of each set of axes: the same sizes and products in another order say nothing new.

    Parameters
    ----------
    found : iterable of Ranked
        The fastest first.
    own : Ranked, optional
        Stands for its set, whatever its time.
    """
    kept: dict[tuple[tuple[int, int, int], ...], Ranked] = {} if own is None else {_set_of_axes(own): own}
    for one in found:
        kept.setdefault(_set_of_axes(one), one)
    return sorted(kept.values(), key=lambda one: one.milliseconds)


def _set_of_axes(one: Ranked) -> tuple[tuple[int, int, int], ...]:
    return tuple(sorted((axis.m, axis.r, axis.rank) for axis in one.candidate.axes))


def tolerated(task: Task, candidate: Candidate) -> bool:
    """Return whether a candidate is useful, and its predicted error within the tolerance."""
    return max(candidate.m) > 1 and not error_obstacle(task, float32_error(task.core, candidate.algorithm))


def kinds_of_schedule(task: Task, candidate: Candidate) -> tuple[Schedule, ...]:
    """Return the fastest schedule of each kind by the model, of those that fit into the workspace."""
    found = allowed_schedules(task.core, candidate, task.terms.limits.workspace, task.terms.threads)
    groups = ([one for one in found if one.kind is kind] for kind in ScheduleKind)
    return tuple(min(group, key=lambda one: core_ms(task, candidate, one)) for group in groups if group)


def core_ms(task: Task, candidate: roofline.Algorithm, schedule: Schedule) -> float:
    """Return the predicted time of one run of the core, the filter transformed beforehand."""
    return roofline.winograd_ms(task.core, candidate, schedule, task.terms.threads)


def scheduled_ms(task: Task, candidate: roofline.Algorithm, schedule: Schedule, filters: Filters) -> float:
    """Return the predicted time of the whole task by one schedule."""
    anew = roofline.filter_ms(task.core, candidate, task.terms.threads) if filters is Filters.LIVE else 0.0
    timing = Timing(core_ms(task, candidate, schedule) + anew, schedule, filters)
    return task.milliseconds(candidate, timing)


def _rank(task: Task, candidate: Candidate, timing: Timing | None) -> Ranked:
    milliseconds = math.inf if timing is None else task.milliseconds(candidate, timing)
    error = float32_error(task.core, candidate.algorithm)
    unfit = "" if timing is not None else f"not one tile fits into the workspace of {task.terms.limits.workspace} bytes"
    obstacle = error_obstacle(task, error) or unfit
    return Ranked(candidate, timing, milliseconds, scaled_to(task.shape.dtype, error), obstacle)


def error_obstacle(task: Task, error: float) -> str:
    """Return that a `float32_error` is not tolerated, or nothing."""
    tolerance, limit = task.terms.tolerance, float32_tolerance(task.core, task.terms.tolerance)
    if error <= limit:
        return ""
    predicted, asked = apart(scaled_to(task.core.dtype, error), tolerance)
    if scaled_to(task.core.dtype, error) > tolerance:
        return f"error {predicted} above the tolerance {asked}"
    margin = tolerance / scaled_to(task.core.dtype, limit) - 1
    return f"error {predicted} within {100 * margin:.2g} % of the tolerance {asked}"


def _is_surely_above(task: Task, candidate: Candidate) -> bool:
    least, _ = error_ratios(task.core.channels)
    return candidate.estimated_error * least > float32_tolerance(task.core, task.terms.tolerance)
