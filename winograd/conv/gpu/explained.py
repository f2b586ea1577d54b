"""What a plan on a card had to choose from, and what limits what it chose.

In: a `Plan` of a shape that has a card. Out: its stages, also as a table, and rows for
`winograd.conv.planning.considered`, from the model alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Any, Final

from winograd.accuracy.showing.table import text_table
from winograd.conv.choosing.selection import Filters
from winograd.conv.gpu.form import Form, extent_of
from winograd.conv.gpu.planning import card_obstacle, limits_on
from winograd.conv.gpu.products import form_error, product_tolerance
from winograd.conv.gpu.roofline import gpu_stages
from winograd.conv.gpu.schedule import GpuSchedule
from winograd.conv.gpu.selection import GpuCandidate, gpu_candidates, instructions_of
from winograd.conv.gpu.stage import GpuStage
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.wording import apart

_STAGES: Final = ("stage", "ms", "arithmetic ms", "memory ms", "cache ms", "launches ms", "limited by")

MOST_ROWS: Final = 8
"""Candidates within the tolerance that are listed, the fastest by the model."""

MOST_REJECTED: Final = 4
"""Faster ones that are listed and were not allowed."""

Row = tuple[str, str, float, float, int, int, int, str]
"""Algorithm, schedule, milliseconds, error, bytes of U and of V and M, products, and why it may not be taken."""


def form_of(plan: Plan) -> Form:
    """Return the form of a plan of the backend "gpu"."""
    assert plan.algorithm is not None
    assert plan.gpu is not None
    batch = dict(plan.gpu.config).get("workspace_bytes", 1 << 30)
    return Form.of(plan.algorithm, plan.gpu.products, plan.gpu.kind, batch)


def stages_of(plan: Plan) -> tuple[GpuStage, ...]:
    """Return the predicted stages of a plan on a card; direct convolution is one.

    Examples
    --------
    >>> import winograd
    >>> plan = winograd.plan_conv((32, 64, 16, 56, 56), (128, 64, 3, 3, 3), padding=1, device="h200")
    >>> [stage.name for stage in stages_of(plan)]
    ['data', 'products', 'inverse']
    """
    if plan.backend is not Backend.GPU:
        return (GpuStage("direct", plan.direct_ms or 0.0, 0.0, 0.0, 0.0),)
    assert plan.algorithm is not None
    live = plan.filters is Filters.LIVE
    return gpu_stages(plan.shape, form_of(plan), instructions_of(plan.algorithm), live=live)


def card_stages_text(stages: Sequence[GpuStage]) -> str:
    """Return the stages of a plan on a card as a table, with the sum of their times as its last line."""
    rows = [
        (
            one.name,
            *(f"{part:.3g}" for part in (one.milliseconds, one.arithmetic_ms, one.memory_ms, one.cache_ms)),
            f"{one.launches_ms:.3g}",
            one.limit,
        )
        for one in stages
    ]
    total = ("total", f"{fsum(one.milliseconds for one in stages):.3g}", *[""] * (len(_STAGES) - 2))
    return text_table(_STAGES, [*rows, total], left=(0, len(_STAGES) - 1))


def considered_on_card(plan: Plan) -> list[Row]:
    """Return the fastest candidates by the model: those that may be taken, and some faster ones that may not.

    Of those with the same axes in another order the fastest is one of them.
    """
    if plan.terms is None or card_obstacle(plan.shape) is not None:
        return []
    terms, rows, rejected = plan.terms, 0, 0
    found: list[Row] = []
    seen: set[tuple[Any, ...]] = set()
    for one in gpu_candidates(plan.shape, terms.filters, limits_on(plan.shape, terms.limits)):
        if rows >= MOST_ROWS:
            break
        if one.form.unordered in seen:
            continue
        seen.add(one.form.unordered)
        obstacle = _obstacle(plan, one)
        if obstacle and rejected >= MOST_REJECTED:
            continue
        rows, rejected = rows + (not obstacle), rejected + bool(obstacle)
        found.append(_row(plan, one, obstacle))
    return found


def _obstacle(plan: Plan, one: GpuCandidate) -> str:
    assert plan.terms is not None
    error = form_error(plan.shape, one.algorithm, one.form)
    if error <= product_tolerance(plan.shape, plan.terms.tolerance):
        return ""
    predicted, asked = apart(error, plan.terms.tolerance)
    return f"error {predicted} not within the tolerance {asked}"


def _row(plan: Plan, one: GpuCandidate, obstacle: str) -> Row:
    form, extent = one.form, extent_of(plan.shape, one.form)
    schedule = GpuSchedule(
        form.kind, form.products, (("workspace_bytes", form.batch_bytes),) if form.batch_bytes else ()
    )
    error = form_error(plan.shape, one.algorithm, form)
    held = extent.workspace_bytes(form.batch_bytes)
    rows = extent.columns * extent.written_rows
    products = form.positions * form.taps * rows * plan.shape.channels * plan.shape.outputs
    return one.algorithm.label, schedule.label, one.milliseconds, error, extent.filter_bytes, held, products, obstacle
