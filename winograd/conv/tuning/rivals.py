"""Rivals: the native plans that are timed beside direct convolution.

In: a `Plan` that knows its terms, its `Task`. Out: plans, each of an algorithm by a schedule. Refused: nothing; what
cannot be compiled or does not fit into the limits is left out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from winograd.conv import roofline
from winograd.conv.choosing.candidates import Candidate
from winograd.conv.choosing.ranking import Ranked, kinds_of_schedule, ranked, scheduled_ms
from winograd.conv.choosing.selection import best_timing
from winograd.conv.choosing.task import Task
from winograd.conv.native.schedule import Schedule
from winograd.conv.plan.record import Plan
from winograd.conv.planning.make import make_plan
from winograd.conv.running.runnable import lack_of_code

ALGORITHMS: Final = 4
"""Algorithms that are timed, unlike ones: the same sizes and products on other axes count as one."""


_LOOKED_AT: Final = 24


def rivals_of(planned: Plan, task: Task) -> list[Plan]:
    """Return native plans: of each algorithm by its best schedule, and by the best of the other kind."""
    plans = []
    for one in _unlike(ranked(task, allowed=_LOOKED_AT)):
        assert one.timing is not None
        for schedule in dict.fromkeys([one.timing.schedule, *kinds_of_schedule(task, one.candidate)]):
            plan = scheduled_plan(planned, task, one.candidate, schedule, "to be timed")
            if plan is not None:
                plans.append(plan)
    return plans


def _unlike(found: tuple[Ranked, ...]) -> list[Ranked]:
    kept: dict[tuple[Any, ...], Ranked] = {}
    for one in found:
        kept.setdefault(tuple(sorted((axis.m, axis.rank) for axis in one.candidate.axes)), one)
    return list(kept.values())[:ALGORITHMS]


def _compiles(plan: Plan) -> bool:
    return lack_of_code(plan) is None


def scheduled_plan(planned: Plan, task: Task, candidate: Candidate, schedule: Schedule, reason: str) -> Plan | None:
    """Return the native plan of an algorithm by a schedule, or None where it does not fit or cannot be compiled."""
    terms = planned.terms
    assert terms is not None
    if best_timing(task.core, candidate, terms.filters, task.terms.limits, terms.threads) is None:
        return None
    plan = make_plan(
        planned.shape,
        tolerance=terms.tolerance,
        algorithm=candidate.algorithm,
        filters=terms.filters,
        threads=terms.threads,
        workspace_cap=terms.limits.workspace,
        filter_cap=terms.limits.filters,
    )
    footprint = roofline.footprint(task.core, candidate)
    workspace = footprint.workspace_bytes(schedule, terms.threads)
    if task.terms.limits.workspace is not None and workspace > task.terms.limits.workspace:
        return None
    made = replace(
        plan,
        reason=reason,
        schedule=schedule,
        workspace_bytes=workspace + task.held_bytes,
        predicted_ms=scheduled_ms(task, candidate, schedule, plan.filters),
    )
    return made if _compiles(made) else None
