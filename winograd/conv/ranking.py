"""Ranking: which candidates a plan had to choose from, the fastest by the model first, and what speaks against each.

In: a shape and the terms of a plan. Out: candidates with timing, error and obstacle. Nothing is chosen here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from winograd.conv import roofline
from winograd.conv.candidates import Candidate, error_ratios
from winograd.conv.plan_record import Terms
from winograd.conv.prediction import float32_error, float32_tolerance, rounded_to
from winograd.conv.schedule import Schedule, ScheduleKind
from winograd.conv.selection import Timing, best_timing, by_bound
from winograd.conv.shape import ConvShape

LOOKED_AT: Final = 2000
"""Candidates of which the model is asked at most, in the order of a lower bound on their time."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate, as a plan sees it.

    Parameters
    ----------
    candidate : Candidate
    timing : Timing or None
        None where not one tile fits into the workspace.
    error : float
        Predicted for the output, its rounding to 16 bits included.
    obstacle : str
        Why it may not be taken; empty where it may.
    """

    candidate: Candidate
    timing: Timing | None
    error: float
    obstacle: str


def ranked(shape: ConvShape, terms: Terms, *, allowed: int, rejected: int) -> tuple[Ranked, ...]:
    """Return the fastest candidates by the model: so many that may be taken, and so many faster ones that may not.

    Parameters
    ----------
    shape : ConvShape
        Of stride, dilation and groups 1.
    terms : Terms
    allowed, rejected : int
        How many of each at most.
    """
    fit: list[Ranked] = []
    unfit: list[Ranked] = []
    for candidate in islice(by_bound(shape, terms.filters, terms.threads), LOOKED_AT):
        if len(fit) == allowed:
            break
        if len(unfit) >= rejected and _is_surely_above(shape, candidate, terms):
            continue
        one = _rank(shape, candidate, terms)
        if not one.obstacle:
            fit.append(one)
        elif len(unfit) < rejected:
            unfit.append(one)
    return tuple(sorted(fit + unfit, key=_milliseconds))


def schedules_by_kind(shape: ConvShape, candidate: Candidate, terms: Terms) -> Iterator[Schedule]:
    """Yield the fastest schedule of each kind by the model, those that fit into the workspace."""
    from winograd.conv.selection import allowed_schedules

    found = allowed_schedules(shape, candidate, terms.limits.workspace, terms.threads)
    for kind in ScheduleKind:
        of_kind = [schedule for schedule in found if schedule.kind is kind]
        if of_kind:
            yield min(of_kind, key=lambda one: roofline.winograd_ms(shape, candidate, one, terms.threads))


def error_obstacle(shape: ConvShape, error: float, terms: Terms) -> str:
    """Return that a float32 error is not tolerated, or nothing."""
    limit = float32_tolerance(shape, terms.tolerance)
    if error <= limit:
        return ""
    margin = "" if error > terms.tolerance else f" less the model's margin of {terms.tolerance / limit:.3g}"
    return f"error {error:.2g} above the tolerance {terms.tolerance:.2g}{margin}"


def _rank(shape: ConvShape, candidate: Candidate, terms: Terms) -> Ranked:
    timing = best_timing(shape, candidate, terms.filters, terms.limits, terms.threads)
    error = float32_error(shape, candidate.algorithm)
    unfit = "" if timing is not None else f"not one tile fits into the workspace of {terms.limits.workspace} bytes"
    return Ranked(candidate, timing, rounded_to(shape.dtype, error), error_obstacle(shape, error, terms) or unfit)


def _is_surely_above(shape: ConvShape, candidate: Candidate, terms: Terms) -> bool:
    least, _ = error_ratios(shape.channels)
    return candidate.estimated_error * least > float32_tolerance(shape, terms.tolerance)


def _milliseconds(one: Ranked) -> float:
    return float("inf") if one.timing is None else one.timing.milliseconds
