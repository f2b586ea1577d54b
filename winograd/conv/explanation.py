"""Explanations: what a plan was asked for, what it chose, and what it rejected and why.

In: a `Plan` that knows its terms. Out: an `Explanation`, as text, as a table in a notebook, as data for JSON.
Candidates are ranked again by the model of the plan; nothing is run.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from winograd.accuracy.showing.table import html_table, text_table
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv import roofline
from winograd.conv.candidates import Candidate
from winograd.conv.obstacles import shape_obstacle
from winograd.conv.plan_record import Backend, Plan, label_of, schedule_label_of
from winograd.conv.ranking import Ranked, ranked, scheduled_ms
from winograd.conv.schedule import Schedule
from winograd.conv.selection import Filters, allowed_schedules
from winograd.conv.switch import ASKED_FOR, SWITCHED_OFF
from winograd.conv.task import Task, core_task
from winograd.conv.verdict import CHOSEN, direct_verdict, verdict

MOST_ALLOWED: Final = 8
"""Candidates within the tolerance that are listed, the fastest by the model."""

MOST_REJECTED: Final = 4
"""Faster ones that are listed and were not allowed."""

_HEADER: Final = (
    "candidate", "schedule", "predicted ms", "measured ms", "error", "U MiB", "work MiB", "products", "verdict",
)  # fmt: skip


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
        Relative L2; None for direct convolution.
    filter_bytes, workspace_bytes : int
        As in `Plan`.
    multiplications : int
        That are executed.
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


@dataclass(frozen=True, slots=True, repr=False)
class Explanation:
    """What a plan was asked for, what it chose, and all that it had to choose from.

    Parameters
    ----------
    plan : Plan
    candidates : tuple of Considered
        The fastest first: by measured time where there is one, else by the model's.
    """

    plan: Plan
    candidates: tuple[Considered, ...]

    def text(self) -> str:
        """Return all of it as lines of text."""
        lines = [f"asked for: {asked_for(self.plan)}", f"chosen: {self.plan.label}: {self.plan.reason}"]
        if not self.candidates:
            return "\n".join(lines)
        return "\n".join([*lines, "", text_table(_HEADER, [_cells(one) for one in self.candidates])])

    def as_dict(self) -> dict[str, Any]:
        """Return all of it under names, ready for JSON."""
        plan = self.plan
        return {
            "asked": {"shape": asdict(plan.shape), **_terms(plan)},
            "chosen": {
                "label": plan.label,
                "backend": plan.backend.value,
                "reason": plan.reason,
                "predicted_ms": plan.predicted_ms,
                "direct_ms": plan.direct_ms,
                "measured_ms": plan.measured_ms,
                "predicted_error": plan.predicted_error,
                "filter_bytes": plan.filter_bytes,
                "workspace_bytes": plan.workspace_bytes,
                "multiplications": plan.multiplications,
                "phases": None if plan.phases is None else plan.phases.label,
            },
            "candidates": [asdict(one) for one in self.candidates],
        }

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Explanation of {self.plan.label}: {len(self.candidates)} candidates>"

    def _repr_html_(self) -> str:
        caption = f"{asked_for(self.plan)}. Chosen: {self.plan.label}: {self.plan.reason}"
        return html_table(caption, _HEADER, [_cells(one) for one in self.candidates])


def explain_plan(plan: Plan) -> Explanation:
    """Return the explanation of a plan; see `Plan.explain`."""
    rows = [*_algorithms(plan), *_direct(plan)]
    return Explanation(plan, tuple(sorted(rows, key=_time)))


def asked_for(plan: Plan) -> str:
    """Return shape and terms of a plan in one line.

    Examples
    --------
    >>> import winograd
    >>> plan = winograd.plan_conv((1, 64, 56, 56), (64, 64, 3, 3), padding=1, tolerance=2e-6, threads=2)
    >>> print(asked_for(plan))  # doctest: +ELLIPSIS
    float32 1x64x56x56 by 64x64x3x3, padding 1,1, tolerance 2e-06, filters frozen, 2 threads, workspace up to 64.0 ...
    """
    shape = plan.shape
    sizes = (shape.batch, shape.channels, *shape.sizes)
    words = [f"{shape.dtype} {_times(sizes)} by {_times(shape.weight_sizes)}"]
    for name, value in (("stride", shape.stride), ("dilation", shape.dilation)):
        words += [f"{name} {_listed(value)}"] if set(value) != {1} else []
    if any(side for pair in shape.padding for side in pair):
        even = all(low == high for low, high in shape.padding)
        sides = (str(low) if even else f"{low}+{high}" for low, high in shape.padding)
        words.append(f"padding {','.join(sides)}")
    words += [f"groups {shape.groups}"] if shape.groups != 1 else []
    return ", ".join(words + _spelled_terms(plan))


def _spelled_terms(plan: Plan) -> list[str]:
    terms = plan.terms
    if terms is None:
        return []
    caps = (("workspace", terms.limits.workspace), ("kept filters", terms.limits.filters))
    return [
        f"tolerance {terms.tolerance:g}",
        f"filters {terms.filters.value}",
        "1 thread" if terms.threads == 1 else f"{terms.threads} threads",
        *(f"{name} {'unlimited' if cap is None else f'up to {cap / 2**20:.1f} MiB'}" for name, cap in caps),
    ]


def _terms(plan: Plan) -> dict[str, Any]:
    terms = plan.terms
    if terms is None:
        return {}
    return {
        "tolerance": terms.tolerance,
        "filters": terms.filters.value,
        "threads": terms.threads,
        "workspace_cap": terms.limits.workspace,
        "filter_cap": terms.limits.filters,
    }


def _direct(plan: Plan) -> list[Considered]:
    """Return direct convolution, and its variants where they were timed."""
    measured = {label: ms for label, ms in plan.measured if label.split(" ")[0] == Backend.DIRECT.value}
    predicted = roofline.direct_ms(plan.shape, plan.terms.threads if plan.terms else roofline.NOMINAL_THREADS)
    labels = list(dict.fromkeys([Backend.DIRECT.value, *measured]))
    return [
        Considered(
            label=label,
            schedule="",
            predicted_ms=predicted if label == Backend.DIRECT.value else None,
            measured_ms=measured.get(label),
            predicted_error=None,
            filter_bytes=0,
            workspace_bytes=0,
            multiplications=plan.shape.macs,
            verdict=direct_verdict(plan, label),
        )
        for label in labels
    ]


def _algorithms(plan: Plan) -> list[Considered]:
    if plan.terms is None or not had_candidates(plan):
        return [] if plan.algorithm is None else [_chosen_row(plan)]
    task = core_task(plan.shape, plan.terms)
    found = ranked(task, allowed=MOST_ALLOWED, rejected=MOST_REJECTED)
    rows = [_row(plan, task, one, None) for one in found]
    own = next((one for one in found if _is_of(one.candidate, plan.algorithm)), None)
    if plan.algorithm is None:
        return rows
    if own is None:
        return [_chosen_row(plan), *rows]
    rows = [row for row, one in zip(rows, found, strict=True) if one is not own]
    return rows + [_row(plan, task, own, schedule) for schedule in _schedules(plan, task, own)]


def had_candidates(plan: Plan) -> bool:
    """Return whether there was anything to choose from: algorithms for the shape, and Winograd not switched off."""
    off = plan.reason in {SWITCHED_OFF, ASKED_FOR} or plan.shape.is_empty
    return not off and shape_obstacle(plan.shape) is None


def _schedules(plan: Plan, task: Task, own: Ranked) -> list[Schedule]:
    found = allowed_schedules(task.core, own.candidate, task.terms.limits.workspace, task.terms.threads)
    return list(dict.fromkeys([*([plan.schedule] if plan.schedule else []), *found]))


def _chosen_row(plan: Plan) -> Considered:
    return Considered(
        label=plan.algorithm_label.partition(" ")[2],
        schedule=plan.schedule_label,
        predicted_ms=plan.predicted_ms,
        measured_ms=plan.measured_ms,
        predicted_error=plan.predicted_error,
        filter_bytes=plan.filter_bytes,
        workspace_bytes=plan.workspace_bytes,
        multiplications=plan.multiplications,
        verdict=CHOSEN,
    )


def _row(plan: Plan, task: Task, one: Ranked, schedule: Schedule | None) -> Considered:
    """Return a candidate by its own schedule, or by another one."""
    if schedule is None and one.timing is not None:
        schedule = one.timing.schedule
    if schedule is not None and _is_of(one.candidate, plan.algorithm) and schedule == plan.schedule:
        return _chosen_row(plan)
    filters = one.timing.filters if one.timing is not None else Filters.LIVE
    predicted = None if schedule is None else scheduled_ms(task, one.candidate, schedule, filters)
    footprint = roofline.footprint(task.core, one.candidate)
    label = label_of(one.candidate)
    row = Considered(
        label=label,
        schedule="" if schedule is None else schedule_label_of(schedule),
        predicted_ms=predicted,
        measured_ms=None,
        predicted_error=one.error,
        filter_bytes=footprint.filter_bytes * task.groups,
        workspace_bytes=0
        if schedule is None
        else footprint.workspace_bytes(schedule, task.terms.threads) + task.held_bytes,
        multiplications=(1 if task.phases is None else task.phases.runs)
        * roofline.multiplications(task.core, one.candidate),
        verdict="",
    )
    timed = dict(plan.measured).get(f"{Backend.NATIVE.value} {', '.join(filter(None, (label, row.schedule)))}")
    row = replace(row, measured_ms=timed)
    made_anew = filters is Filters.LIVE and task.terms.filters is Filters.FROZEN
    return replace(row, verdict=verdict(plan, predicted, timed, one.obstacle, made_anew))


def _is_of(candidate: Candidate, algorithm: NestedAlgorithm | None) -> bool:
    return algorithm is not None and (candidate.m, candidate.ranks) == (algorithm.m, algorithm.ranks)


def _time(one: Considered) -> float:
    times = (one.measured_ms, one.predicted_ms)
    return next((time for time in times if time is not None), float("inf"))


def _cells(one: Considered) -> tuple[str, ...]:
    return (
        one.label,
        one.schedule or "-",
        _milliseconds(one.predicted_ms),
        _milliseconds(one.measured_ms),
        "-" if one.predicted_error is None else f"{one.predicted_error:.1e}",
        _mebibytes(one.filter_bytes),
        _mebibytes(one.workspace_bytes),
        f"{one.multiplications:.3g}",
        one.verdict,
    )


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _mebibytes(count: int) -> str:
    return "-" if count == 0 else f"{count / 2**20:.1f}"


def _times(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))


def _listed(values: tuple[int, ...]) -> str:
    return ",".join(map(str, values))
