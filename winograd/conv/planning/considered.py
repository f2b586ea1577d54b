"""What a plan had to choose from, one row for each candidate and schedule, with what decided about it.

In: a `Plan` that knows its terms. Out: rows. Candidates are ranked again by the model of the plan; nothing is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv import roofline
from winograd.conv.choosing.candidates import Candidate
from winograd.conv.choosing.obstacles import NATIVE_DTYPES, shape_obstacle
from winograd.conv.choosing.prediction import unrounded_error
from winograd.conv.choosing.ranking import Ranked, ranked, scheduled_ms, unlike
from winograd.conv.choosing.selection import Filters, allowed_schedules
from winograd.conv.choosing.task import Task, core_task
from winograd.conv.native.schedule import Schedule
from winograd.conv.plan.record import Backend, Plan, label_of, schedule_label_of
from winograd.conv.plan.verdict import ANOTHER_GIVEN, CHOSEN, direct_verdict, verdict, was_given
from winograd.conv.switch import ASKED_FOR, SWITCHED_OFF

MOST_ALLOWED: Final = 8
"""Candidates within the tolerance that are listed, the fastest by the model."""

MOST_REJECTED: Final = 4
"""Faster ones that are listed and were not allowed."""

_MIRRORED: Final = 3
"""Times as many are ranked: of those with the same axes in another order one is listed."""


@dataclass(frozen=True, slots=True)
class Considered:
    """A candidate that the plan had, with what decided about it.

    Parameters
    ----------
    label : str
        "direct", a variant of it such as "direct onednn", or an algorithm such as "F(4x4x4,3x3x3)".
    schedule : str
        Such as "fused blocks of 9 tiles"; empty for direct convolution.
    predicted_ms, measured_ms : float or None
        Of a call; None where the model does not know it, and where it was not timed.
    predicted_error : float or None
        Relative L2, before the rounding to 16 bits: what the tolerance is compared with. None for direct convolution.
    filter_bytes, workspace_bytes : int
        As in `Plan`.
    multiplications : int
        That are executed; 0 where only the time is known.
    verdict : str
        "chosen", or why it was not.
    """

    label: str
    schedule: str
    predicted_ms: float | None
    measured_ms: float | None
    predicted_error: float | None
    filter_bytes: int
    workspace_bytes: int
    multiplications: int
    verdict: str

    @property
    def is_chosen(self) -> bool:
        """Whether the plan takes it."""
        return self.verdict == CHOSEN


def considered(plan: Plan) -> tuple[Considered, ...]:
    """Return the candidates: those that were timed before the others, of either the fastest first."""
    algorithms = _algorithms(plan) if plan.shape.card is None else _on_card(plan)
    return tuple(sorted([*algorithms, *_direct(plan)], key=_order))


def had_candidates(plan: Plan) -> bool:
    """Return whether there was anything to choose from: algorithms for the shape, and Winograd not switched off."""
    off = plan.reason in {SWITCHED_OFF, ASKED_FOR} or plan.shape.is_empty
    return not off and shape_obstacle(plan.shape) is None


def _order(one: Considered) -> tuple[bool, float]:
    times = (one.measured_ms, one.predicted_ms)
    return one.measured_ms is None, next((time for time in times if time is not None), float("inf"))


def _direct(plan: Plan) -> list[Considered]:
    """Return direct convolution, and its variants where they were timed."""
    own = Backend.DIRECT.value
    measured = {label: ms for label, ms in plan.measured if label.partition(" ")[0] == own}
    threads = plan.terms.threads if plan.terms else roofline.NOMINAL_THREADS
    predicted = plan.direct_ms if plan.shape.card is not None else roofline.direct_ms(plan.shape, threads)
    return [
        Considered(
            label=label,
            schedule="",
            predicted_ms=predicted if label == own else None,
            measured_ms=measured.get(label),
            predicted_error=None,
            filter_bytes=0,
            workspace_bytes=0,
            multiplications=plan.shape.macs,
            verdict=direct_verdict(plan, label),
        )
        for label in dict.fromkeys([own, *measured])
    ]


def _on_card(plan: Plan) -> list[Considered]:
    """Return the candidates of a plan on a card, the chosen one among them."""
    from winograd.conv.gpu.explained import considered_on_card

    rows = [] if plan.algorithm is None else [_chosen_row(plan)]
    own = {(row.label, row.schedule) for row in rows}
    for label, schedule, predicted_ms, error, kept, held, products, obstacle in considered_on_card(plan):
        if (label, schedule) not in own:
            preference = "the chosen one comes first by the model"
            reason = ANOTHER_GIVEN if was_given(plan) else verdict(plan, predicted_ms, None, obstacle, preference)
            rows.append(Considered(label, schedule, predicted_ms, None, error, kept, held, products, reason))
    return rows


def _algorithms(plan: Plan) -> list[Considered]:
    if plan.terms is None or not had_candidates(plan):
        return [] if plan.algorithm is None else [_chosen_row(plan)]
    task, timed = core_task(plan.shape, plan.terms), _timed(plan)
    found = ranked(task, allowed=_MIRRORED * MOST_ALLOWED, rejected=_MIRRORED * MOST_REJECTED)
    own = next((one for one in found if _is_of(one.candidate, plan.algorithm)), None)
    rows = [_row(plan, task, one, schedule) for one, schedule in _listed(plan, task, found, own)]
    if own is None and plan.algorithm is not None:
        rows.append(_chosen_row(plan))
    shown = {_label(row) for row in rows}
    return rows + [_timed_row(plan, label, ms) for label, ms in timed.items() if label not in shown]


def _listed(
    plan: Plan, task: Task, found: tuple[Ranked, ...], own: Ranked | None
) -> Iterator[tuple[Ranked, Schedule | None]]:
    """Yield what has a row: the fastest of unlike axes, every schedule of the plan's own, and all that was timed."""
    different = unlike(found, own)
    fit, unfit = ([one for one in different if bool(one.obstacle) is bad] for bad in (False, True))
    most = {id(one) for one in (*fit[:MOST_ALLOWED], *unfit[:MOST_REJECTED])}
    labels = {label.partition(", fused")[0].partition(", staged")[0] for label in _timed(plan)}
    for one in found:
        schedules: list[Schedule | None] = []
        if one is own:
            schedules += [plan.schedule, *_schedules(task, one)]
        elif id(one) in most:
            schedules.append(None if one.timing is None else one.timing.schedule)
        if f"{Backend.NATIVE.value} {label_of(one.candidate)}" in labels:
            schedules += [each for each in _schedules(task, one) if _native_label(one, each) in _timed(plan)]
        yield from ((one, schedule) for schedule in dict.fromkeys(schedules))


def _timed(plan: Plan) -> dict[str, float]:
    return {label: ms for label, ms in plan.measured if label.startswith(f"{Backend.NATIVE.value} ")}


def _native_label(one: Ranked, schedule: Schedule) -> str:
    return f"{Backend.NATIVE.value} {label_of(one.candidate)}, {schedule_label_of(schedule)}"


def _label(row: Considered) -> str:
    return f"{Backend.NATIVE.value} {', '.join(filter(None, (row.label, row.schedule)))}"


def _schedules(task: Task, one: Ranked) -> tuple[Schedule, ...]:
    return allowed_schedules(task.core, one.candidate, task.terms.limits.workspace, task.terms.threads)


def _timed_row(plan: Plan, label: str, milliseconds: float) -> Considered:
    """Return what was timed and is not ranked any more."""
    name, _, schedule = label.removeprefix(f"{Backend.NATIVE.value} ").rpartition(", ")
    return Considered(
        name, schedule, None, milliseconds, None, 0, 0, 0, verdict(plan, None, milliseconds, "", "as good")
    )


def _chosen_row(plan: Plan) -> Considered:
    return Considered(
        label=plan.algorithm_label.partition(" ")[2],
        schedule=plan.schedule_label,
        predicted_ms=plan.predicted_ms,
        measured_ms=plan.measured_ms,
        predicted_error=_own_error(plan),
        filter_bytes=plan.filter_bytes,
        workspace_bytes=plan.workspace_bytes,
        multiplications=plan.multiplications,
        verdict=CHOSEN,
    )


def _own_error(plan: Plan) -> float | None:
    """Return the predicted error of the plan's own algorithm before the rounding to 16 bits, if it is known."""
    if plan.gpu is not None and plan.algorithm is not None:
        from winograd.conv.gpu.explained import form_of
        from winograd.conv.gpu.products import form_error

        return form_error(plan.shape, plan.algorithm, form_of(plan), plan.gpu.config)
    if plan.algorithm is None or plan.shape.dtype not in NATIVE_DTYPES:
        return plan.predicted_error
    return unrounded_error(plan.core, plan.algorithm)


def _row(plan: Plan, task: Task, one: Ranked, schedule: Schedule | None) -> Considered:
    """Return a candidate by a schedule; None where not one tile fits."""
    is_own = _is_of(one.candidate, plan.algorithm)
    if schedule is not None and is_own and schedule == plan.schedule:
        return _chosen_row(plan)
    filters = one.timing.filters if one.timing is not None else Filters.LIVE
    predicted = None if schedule is None else scheduled_ms(task, one.candidate, schedule, filters)
    footprint = roofline.footprint(task.core, one.candidate)
    row = Considered(
        label=label_of(one.candidate),
        schedule="" if schedule is None else schedule_label_of(schedule),
        predicted_ms=predicted,
        measured_ms=None if schedule is None else _timed(plan).get(_native_label(one, schedule)),
        predicted_error=_own_error(plan) if is_own else one.error,
        filter_bytes=footprint.filter_bytes * task.groups,
        workspace_bytes=0
        if schedule is None
        else footprint.workspace_bytes(schedule, task.terms.threads) + task.held_bytes,
        multiplications=(1 if task.phases is None else task.phases.runs)
        * roofline.multiplications(task.core, one.candidate),
        verdict="",
    )
    if was_given(plan) and not is_own:
        return replace(row, verdict=ANOTHER_GIVEN)
    obstacle = "" if is_own else one.obstacle
    reason = verdict(plan, predicted, row.measured_ms, obstacle, _preference(plan, one.candidate))
    made_anew = filters is Filters.LIVE and task.terms.filters is Filters.FROZEN and not obstacle
    return replace(row, verdict=reason + ("; U above the cap, made anew" if made_anew else ""))


def _preference(plan: Plan, candidate: Candidate) -> str:
    """Return what speaks for the plan's own algorithm where a candidate is about as fast."""
    if plan.algorithm is None or _is_of(candidate, plan.algorithm):
        return "smaller blocks win"
    axes = zip(plan.algorithm.m, plan.algorithm.r, plan.algorithm.ranks, strict=True)
    own = len({axis for axis in axes if axis[1] > 1})
    other = len({axis for axis in candidate.axes if axis.r > 1})
    if own < other:
        return "one algorithm on all axes wins" if own == 1 else "fewer unlike axes win"
    return "the chosen one comes first by the model"


def _is_of(candidate: Candidate, algorithm: NestedAlgorithm | None) -> bool:
    return algorithm is not None and (candidate.m, candidate.ranks) == (algorithm.m, algorithm.ranks)
