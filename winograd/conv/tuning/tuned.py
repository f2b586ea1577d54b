"""Tuning by measurement: the candidates that are predicted to be fastest, run on this machine, and the fastest taken.

In: a shape and the terms of a plan. Out: a `Plan` that knows the measured times. The fastest algorithms by the model
within the tolerance, each by its best schedule of each kind, and direct convolution as a direct plan runs it take turns
on random data, see `winograd.conv.tuning.heats`; direct convolution wins unless it is beaten by `MEASURED_GAIN`. What
was found is kept on disk, see `winograd.conv.measuring.tuning_cache`, for this machine, these versions, this shape and
these terms; it names algorithms by their sizes and products, and is built again from the catalogue. The model decides
in a forked child, and where torch hands every operation to a mode. Refused: nothing that `make_plan` does not refuse.
"""

from __future__ import annotations

from functools import partial

import torch

from winograd.conv.choosing.ranking import ranked
from winograd.conv.choosing.selection import Filters
from winograd.conv.choosing.task import Task, core_task
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.measuring import tuning_cache
from winograd.conv.plan.record import Plan
from winograd.conv.plan.verdict import MEASURED_GAIN
from winograd.conv.planning.considered import had_candidates
from winograd.conv.planning.make import make_plan
from winograd.conv.running.runnable import runnable_plan
from winograd.conv.tensors.forked import has_lost_threads
from winograd.conv.tuning.answers import answered_plan, spelled
from winograd.conv.tuning.heats import DIRECT, run_heats
from winograd.conv.tuning.question import question_of
from winograd.conv.tuning.rivals import rivals_of


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
    question = question_of(planned) if had_candidates(planned) else None
    if question is None or has_lost_threads() or _is_intercepted() or not ranked(task, allowed=1):
        return predicted()
    answered = answered_plan(planned, task, tuning_cache.find(question))
    if answered is not None:
        return answered
    with tuning_cache.alone():
        answered = answered_plan(
            planned, task, tuning_cache.find(question)
        )  # somebody else may have measured meanwhile
        if answered is not None:
            return answered
        answer = _measured(planned, task)
        tuning_cache.keep(question, answer)
    found = answered_plan(planned, task, answer)
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
    question = question_of(planned)
    if question is not None:
        tuning_cache.forget(question)


def _is_intercepted() -> bool:
    """Return whether torch hands every operation to a mode or a function transform, such as one that counts them."""
    return bool(torch._C._len_torch_dispatch_stack()) or torch._C._functorch.maybe_current_level() is not None


def _measured(planned: Plan, task: Task) -> tuning_cache.Answer:
    """Run direct convolution and the contenders in turns, and return what is to be kept."""
    rivals = {plan.label: plan for plan in rivals_of(planned, task)}
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
        "chosen": None if chosen is None else spelled(chosen),
        "measured": sorted(([label, ms] for label, ms in medians.items()), key=lambda pair: float(pair[1])),
    }
