"""Tuning by measurement: the candidates that are predicted to be fastest, run on this machine, and the fastest taken.

In: a shape and the terms of a plan. Out: a `Plan` that knows the measured times. The fastest algorithms by the model
within the tolerance, each by its best schedule of each kind, and direct convolution as a direct plan runs it take turns
on random data, see `winograd.conv.tuning.heats`; direct convolution wins unless it is beaten by `MEASURED_GAIN`. What
was found is kept on disk, see `winograd.conv.measuring.tuning_cache`, for this machine, these versions, this shape and
these terms; it names algorithms by their sizes and products, and is built again from the catalogue. The model decides
in a forked child, and where torch hands every operation to a mode. Refused: nothing that `make_plan` does not refuse.
"""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from functools import partial
from math import isfinite
from typing import Any, Final

import torch

from winograd.codegen.compiler import BuildError, cpu_features, find_compiler
from winograd.conv import roofline
from winograd.conv.choosing.candidates import Candidate, axis_choices
from winograd.conv.choosing.ranking import Ranked, kinds_of_schedule, ranked, scheduled_ms, tolerated
from winograd.conv.choosing.selection import Filters, allowed_schedules, best_timing
from winograd.conv.choosing.task import Task, core_task
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.measuring import tuning_cache
from winograd.conv.measuring.timing import measured_on
from winograd.conv.native.schedule import Schedule, ScheduleKind
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.plan.verdict import MEASURED_GAIN
from winograd.conv.planning.explanation import had_candidates
from winograd.conv.planning.make import make_plan
from winograd.conv.running.run import lack_of_code, runnable_plan
from winograd.conv.tensors.forked import has_lost_threads
from winograd.conv.tuning.heats import DIRECT, run_heats

ALGORITHMS: Final = 4
"""Algorithms that are timed, unlike ones: the same sizes and products on other axes count as one."""

_LOOKED_AT: Final = 24


def tuned_plan(
    shape: ConvShape,
    *,
    tolerance: float | None = None,
    filters: Filters = Filters.LIVE,
    threads: int | None = None,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
) -> Plan:
    """Return the plan that was fastest when it was run on this machine; measured now, unless that was done before.

    Parameters
    ----------
    shape : ConvShape
    tolerance, filters, workspace_cap, filter_cap
        As in `winograd.conv.planning.make.make_plan`.
    threads : int, optional
        None takes what torch uses now.

    Raises
    ------
    TypeError, ValueError
        As `make_plan` does.
    """
    used = torch.get_num_threads() if threads is None else threads
    planned = make_plan(
        shape,
        tolerance=tolerance,
        filters=filters,
        threads=used,
        workspace_cap=workspace_cap,
        filter_cap=filter_cap,
    )
    assert planned.terms is not None
    if shape.card is not None:
        from winograd.conv.gpu.tuning import tuned_on_card

        return planned if _is_intercepted() else tuned_on_card(planned)
    task = core_task(shape, planned.terms)
    predicted = partial(
        runnable_plan,
        shape,
        tolerance=tolerance,
        algorithm=None,
        filters=filters,
        obstacle=None,
        threads=used,
        workspace_cap=workspace_cap,
        filter_cap=filter_cap,
    )
    question = _question(planned) if had_candidates(planned) else None
    if question is None or has_lost_threads() or _is_intercepted() or not ranked(task, allowed=1):
        return predicted()
    answered = _answered(planned, task, tuning_cache.find(question))
    if answered is not None:
        return answered
    with tuning_cache.alone():
        answered = _answered(planned, task, tuning_cache.find(question))  # somebody else may have measured meanwhile
        if answered is not None:
            return answered
        answer = _measured(planned, task)
        tuning_cache.keep(question, answer)
    found = _answered(planned, task, answer)
    return predicted() if found is None else found


def clear() -> int:
    """Forget all that was measured, in this process and on disk, and return how many files were removed."""
    return tuning_cache.clear()


def forget(
    shape: ConvShape,
    *,
    tolerance: float | None = None,
    filters: Filters = Filters.LIVE,
    threads: int | None = None,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
) -> None:
    """Forget what was measured for one shape and these terms, so that `tuned_plan` measures again."""
    planned = make_plan(
        shape,
        tolerance=tolerance,
        filters=filters,
        threads=torch.get_num_threads() if threads is None else threads,
        workspace_cap=workspace_cap,
        filter_cap=filter_cap,
    )
    if shape.card is not None:
        from winograd.conv.gpu.tuning import forget_on_card

        forget_on_card(planned)
        return
    question = _question(planned)
    if question is not None:
        tuning_cache.forget(question)


def _question(planned: Plan) -> tuning_cache.Question | None:
    """Return all that a measurement depends on, or None where nothing can be compiled."""
    try:
        compiler = find_compiler()
    except BuildError:
        return None
    terms = planned.terms
    assert terms is not None
    machine = {name: value for name, value in measured_on().items() if name not in {"date", "python"}}
    return {
        "machine": {**machine, "usable": _usable_cores(), "features": cpu_features(), "compiler": compiler.version},
        "onednn": bool(torch.backends.mkldnn.enabled and torch._C._has_mkldnn),
        "shape": asdict(planned.shape),
        "tolerance": terms.tolerance,
        "filters": terms.filters.value,
        "workspace_cap": terms.limits.workspace,
        "filter_cap": terms.limits.filters,
        "threads": terms.threads,
    }


def _is_intercepted() -> bool:
    """Return whether torch hands every operation to a mode or a function transform, such as one that counts them."""
    return bool(torch._C._len_torch_dispatch_stack()) or torch._C._functorch.maybe_current_level() is not None


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _measured(planned: Plan, task: Task) -> tuning_cache.Answer:
    """Run direct convolution and the contenders in turns, and return what is to be kept."""
    rivals = {plan.label: plan for plan in _rivals(planned, task)}
    before = torch.get_num_threads()
    torch.set_num_threads(task.terms.threads)
    try:
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            medians = run_heats(planned, rivals)
    finally:
        torch.set_num_threads(before)
    best = min(rivals, key=medians.__getitem__, default=None)
    chosen = None if best is None or medians[best] * MEASURED_GAIN >= medians[DIRECT] else rivals[best]
    return {
        "chosen": None if chosen is None else _spelled(chosen),
        "measured": sorted(([label, ms] for label, ms in medians.items()), key=lambda pair: float(pair[1])),
    }


def _rivals(planned: Plan, task: Task) -> list[Plan]:
    """Return native plans: of each algorithm by its best schedule, and by the best of the other kind."""
    plans = []
    for one in _unlike(ranked(task, allowed=_LOOKED_AT)):
        assert one.timing is not None
        for schedule in dict.fromkeys([one.timing.schedule, *kinds_of_schedule(task, one.candidate)]):
            plan = _scheduled(planned, task, one.candidate, schedule, "to be timed")
            if plan is not None and _compiles(plan):
                plans.append(plan)
    return plans


def _unlike(found: tuple[Ranked, ...]) -> list[Ranked]:
    kept: dict[tuple[Any, ...], Ranked] = {}
    for one in found:
        kept.setdefault(tuple(sorted((axis.m, axis.rank) for axis in one.candidate.axes)), one)
    return list(kept.values())[:ALGORITHMS]


def _compiles(plan: Plan) -> bool:
    return lack_of_code(plan) is None


def _scheduled(planned: Plan, task: Task, candidate: Candidate, schedule: Schedule, reason: str) -> Plan | None:
    """Return the native plan of an algorithm by a schedule, or None where that does not fit into the limits."""
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
    return replace(
        plan,
        reason=reason,
        schedule=schedule,
        workspace_bytes=workspace + task.held_bytes,
        predicted_ms=scheduled_ms(task, candidate, schedule, plan.filters),
    )


def _spelled(plan: Plan) -> dict[str, Any]:
    """Return algorithm and schedule of a plan as plain data."""
    assert plan.algorithm is not None
    assert plan.schedule is not None
    return {
        "m": list(plan.algorithm.m),
        "products": list(plan.algorithm.ranks),
        "schedule": plan.schedule.kind.name,
        "block": plan.schedule.block,
    }


def _answered(planned: Plan, task: Task, answer: tuning_cache.Answer | None) -> Plan | None:
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
    plan = _scheduled(planned, task, candidate, schedule, f"measured: {fastest}")
    return None if plan is None or not _compiles(plan) else replace(plan, measured=measured)


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
