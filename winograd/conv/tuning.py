"""Tuning by measurement: the candidates that are predicted to be fastest, run on this machine, and the fastest taken.

In: a shape and the terms of a plan. Out: a `Plan` that knows the measured times. The fastest algorithms by the model
within the tolerance, each by its best schedule of each kind, and all variants of direct convolution take turns on
random data; direct convolution wins unless it is beaten by `MEASURED_GAIN`. What was found is kept on disk, see
`winograd.conv.tuning_cache`, for this machine, these versions, this shape and these terms; it names algorithms by their
sizes and products, and is built again from the catalogue. Refused: nothing that `make_plan` does not refuse.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from math import isfinite
from statistics import median
from typing import Any, Final

import torch

from winograd.codegen.compiler import BuildError, cpu_features, find_compiler
from winograd.conv import roofline, tuning_cache
from winograd.conv.candidates import Candidate, axis_choices
from winograd.conv.direct import direct_variants
from winograd.conv.explanation import had_candidates
from winograd.conv.forked import has_lost_threads
from winograd.conv.operator import pack_for_plan, run_plan, runnable_plan
from winograd.conv.plan import make_plan
from winograd.conv.plan_record import Backend, Plan
from winograd.conv.ranking import Ranked, kinds_of_schedule, ranked, scheduled_ms, tolerated
from winograd.conv.schedule import Schedule, ScheduleKind
from winograd.conv.selection import Filters, allowed_schedules, best_timing
from winograd.conv.shape import ConvShape
from winograd.conv.task import Task, core_task
from winograd.conv.timing import SCREENING_ROUNDS, contenders, interleaved, measured_on
from winograd.conv.verdict import MEASURED_GAIN

ALGORITHMS: Final = 4
"""Algorithms that are timed, unlike ones: the same sizes and products on other axes count as one."""

_LOOKED_AT: Final = 24
_ROUNDS_MS: Final = 1500.0
_FEWEST_ROUNDS, _MOST_ROUNDS = 5, 25

Run = Callable[[], object]


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
        As in `winograd.conv.plan.make_plan`.
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
    task = core_task(shape, planned.terms)
    question = _question(planned) if had_candidates(planned) else None
    if question is None or has_lost_threads() or not ranked(task, allowed=1):
        return runnable_plan(
            shape,
            tolerance=tolerance,
            algorithm=None,
            filters=filters,
            obstacle=None,
            workspace_cap=workspace_cap,
            filter_cap=filter_cap,
        )
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
    return planned if found is None else found


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


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _measured(planned: Plan, task: Task) -> tuning_cache.Answer:
    """Run direct convolution and the contenders in turns, and return what is to be kept."""
    rivals = {plan.label: plan for plan in _rivals(planned, task)}
    before = torch.get_num_threads()
    torch.set_num_threads(task.terms.threads)
    try:
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            medians = _race(planned, rivals)
    finally:
        torch.set_num_threads(before)
    direct_ms = min(ms for label, ms in medians.items() if label not in rivals)
    best = min(rivals, key=medians.__getitem__, default=None)
    chosen = None if best is None or medians[best] * MEASURED_GAIN >= direct_ms else rivals[best]
    return {
        "chosen": None if chosen is None else _spelled(chosen),
        "measured": sorted(([label, ms] for label, ms in medians.items()), key=lambda pair: float(pair[1])),
    }


def _race(planned: Plan, rivals: Mapping[str, Plan]) -> dict[str, float]:
    input, weight = _draw(planned.shape)
    direct: dict[str, Run] = {
        f"direct {name}": run for name, run in direct_variants(input, weight, None, planned.shape).items()
    }
    ours: dict[str, Run] = {label: _run(plan, input, weight) for label, plan in rivals.items()}
    runs = {"direct": direct, **({"native": ours} if ours else {})}
    total = sum(plan.predicted_ms or 0.0 for plan in rivals.values()) + 3 * (planned.direct_ms or 1.0)
    return _timed(runs, min(max(int(_ROUNDS_MS / total), _FEWEST_ROUNDS), _MOST_ROUNDS))


def _timed(runs: Mapping[str, Mapping[str, Run]], repeats: int) -> dict[str, float]:
    """Return median milliseconds; what is clearly slower than the best of its group takes part in the first rounds."""
    everybody = {label: run for group in runs.values() for label, run in group.items()}
    screened = interleaved(everybody, SCREENING_ROUNDS)
    kept = [label for group in runs.values() for label in contenders({label: screened[label] for label in group})]
    times = {**screened, **interleaved({label: everybody[label] for label in kept}, repeats)}
    return {label: median(values) for label, values in times.items()}


def _run(plan: Plan, input: torch.Tensor, weight: torch.Tensor) -> Run:
    packed = pack_for_plan(plan, weight) if plan.filters is Filters.FROZEN else None
    return lambda: run_plan(plan, input, weight, packed=packed)


def _draw(shape: ConvShape) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random input and weight; torch's own generator stays as it is."""
    generator = torch.Generator().manual_seed(0)
    dtype = getattr(torch, shape.dtype)
    input = torch.randn((shape.batch, shape.channels, *shape.sizes), generator=generator).to(dtype)
    return input, torch.randn(shape.weight_sizes, generator=generator).to(dtype)


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
    from winograd.conv import native

    assert plan.algorithm is not None
    try:
        native.native_convolution(plan.algorithm, plan.shape.dtype)
    except BuildError:
        return False
    return True


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
    fastest = "; ".join(f"{label} {ms:.3g} ms" for label, ms in measured[:2])
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


def _as_run(measured: tuple[tuple[str, float], ...]) -> tuple[str, float]:
    """Return the time of direct convolution in its fastest variant, which is what a direct plan runs."""
    return Backend.DIRECT.value, min(ms for label, ms in measured if label.startswith(Backend.DIRECT.value))


def _read_measured(given: Any) -> tuple[tuple[str, float], ...] | None:
    if not isinstance(given, list) or not 0 < len(given) <= 100:
        return None
    for pair in given:
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and _is_time(pair[1])):
            return None
    pairs = tuple((str(label), float(ms)) for label, ms in given)
    if not any(label.startswith(Backend.DIRECT.value) for label, _ in pairs):
        return None
    return (*pairs, _as_run(pairs))


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
