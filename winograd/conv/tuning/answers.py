"""Answers: what was measured, as plain data, and read again; whoever has written it, only what there could be is taken.

In: plans, answers of the cache. Out: plain data, figures and choices, or None. Refused: nothing.
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import Any

from winograd.conv.choosing.candidates import Candidate, axis_choices
from winograd.conv.choosing.ranking import tolerated
from winograd.conv.choosing.selection import allowed_schedules
from winograd.conv.choosing.task import Task
from winograd.conv.measuring import tuning_cache
from winograd.conv.native.schedule import Schedule, ScheduleKind
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.tuning.heats import DIRECT
from winograd.conv.tuning.rivals import scheduled_plan


def spelled(plan: Plan) -> dict[str, Any]:
    """Return algorithm and schedule of a plan as plain data."""
    assert plan.algorithm is not None
    assert plan.schedule is not None
    return {
        "m": list(plan.algorithm.m),
        "products": list(plan.algorithm.ranks),
        "schedule": plan.schedule.kind.name,
        "block": plan.schedule.block,
    }


def answered_plan(planned: Plan, task: Task, answer: tuning_cache.Answer | None) -> Plan | None:
    """Return the plan that an answer names, or None where it names none that there could be."""
    if answer is None:
        return None
    measured = _read_measured(answer.get("measured"))
    if measured is None:
        return None
    fastest = "; ".join([f"{label} {ms:.3g} ms" for label, ms in measured if _is_counted(label)][:2])
    if answer.get("chosen", 0) is None:
        reason = f"measured: {fastest}"
        return Plan(
            planned.shape,
            Backend.DIRECT,
            None,
            reason,
            predicted_ms=planned.direct_ms,
            direct_ms=planned.direct_ms,
            filters=task.terms.filters,
            terms=planned.terms,
            measured=measured,
        )
    candidate = _read_candidate(task, answer["chosen"])
    schedule = _read_schedule(task, candidate, answer["chosen"]) if candidate is not None else None
    if candidate is None or schedule is None:
        return None
    plan = scheduled_plan(planned, task, candidate, schedule, f"measured: {fastest}")
    return None if plan is None else replace(plan, measured=measured)


def _is_counted(label: str) -> bool:
    """Return whether plans run this: no variant of direct convolution, such as "direct onednn"."""
    return not label.startswith(f"{DIRECT} ")


def _read_measured(given: Any) -> tuple[tuple[str, float], ...] | None:
    if not isinstance(given, list) or not 0 < len(given) <= 100:
        return None
    for pair in given:
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and _is_time(pair[1])):
            return None
    pairs = tuple((str(label), float(ms)) for label, ms in given)
    return pairs if DIRECT in dict(pairs) else None


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value > 0


def _read_candidate(task: Task, given: Any) -> Candidate | None:
    """Return the candidate of these sizes and products, if the catalogue has it and it is within the tolerance."""
    if not isinstance(given, dict):
        return None
    m, products = given.get("m"), given.get("products")
    if not (isinstance(m, list) and isinstance(products, list) and len(m) == len(products) == task.core.ndim):
        return None
    axes = []
    for position, wanted in enumerate(zip(m, products, strict=True)):
        choices = axis_choices(task.core.taps[position], task.core.output[position])
        found = next((choice for choice in choices if (choice.m, choice.rank) == wanted), None)
        if found is None:
            return None
        axes.append(found)
    candidate = Candidate(tuple(axes))
    return candidate if tolerated(task, candidate) else None


def _read_schedule(task: Task, candidate: Candidate, given: Any) -> Schedule | None:
    block = given.get("block")
    if given.get("schedule") not in ScheduleKind.__members__ or type(block) is not int:
        return None
    schedule = Schedule(ScheduleKind[given["schedule"]], block)
    allowed = allowed_schedules(task.core, candidate, task.terms.limits.workspace, task.terms.threads)
    return schedule if schedule in allowed else None
