"""What ``python -m winograd.gen --explain`` prints: the gain of every pass, and what a tile costs, as tables.

In: an algorithm, how its programs are made, and for which target. Out: text.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from winograd.accuracy.showing.table import text_table
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.emit import find_target
from winograd.codegen.lower import DEFAULT_LOWERING, Lowering
from winograd.codegen.pipeline import Gain
from winograd.codegen.report import STAGES, AxisReport, TileReport, report_on


def explanation(
    nested: NestedAlgorithm,
    lowering: Lowering = DEFAULT_LOWERING,
    stages: Sequence[str] = STAGES,
    target: str = "json",
) -> str:
    """Return what every pass gained on every axis, and what a tile costs, for the transforms of these names.

    Programs and machines are those of the target's code: where it computes a transform without fused multiply-add, the
    program is made without it. JSON leaves both open.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> axis = toom_cook(4, 3, "0,1,-1,2,-2,inf")
    >>> explanation(NestedAlgorithm((axis,)), stages=["data"]).splitlines()[0]
    'F(4,3): 6 multiplications for 4 outputs.'
    """
    known = find_target(target)
    report = report_on(nested, lowering, known.unfused, known.machines)
    tile = [one for one in report.tile if one.stage in stages]
    passes = [row for one in report.axes if one.stage in stages for row in _passes(one, nested)]
    totals = [_total(one) for one in tile]
    return (
        f"{nested.label}: {nested.rank} multiplications for {prod(nested.m)} outputs.\n"
        "Instructions of every axis' programs before and after each pass: an addition, a multiplication or a fused\n"
        "multiply-add is one, without FMA that is two. Live: values that registers must hold at once.\n\n"
        f"{text_table(('program', 'pass', 'instructions', 'without FMA', 'live'), passes)}\n\n"
        f"{_machines(tile)}"
        f"Instructions of a whole tile: of programs made with and without FMA, and those that {target} code executes;\n"
        "stored: values between two axes.\n\n"
        f"{text_table(('transform', 'with FMA', 'without', 'executed', 'order of axes', 'stored'), totals)}\n"
    )


def _machines(tile: Sequence[TileReport]) -> str:
    costs = [row for one in tile for row in _costs(one)]
    if not costs:
        return "No cost by machine: this code keeps every value in memory.\n\n"
    return (
        "Estimated cost of a whole tile by machine; spills: values stored or loaded again for want of registers.\n\n"
        f"{text_table(('transform', 'machine', 'instructions', 'loads', 'stores', 'spills'), costs)}\n\n"
    )


def _passes(one: AxisReport, nested: NestedAlgorithm) -> list[tuple[str, ...]]:
    return [(_label(one, nested), gain.name, *_changes(gain)) for gain in one.gains]


def _label(one: AxisReport, nested: NestedAlgorithm) -> str:
    axis = nested.axes[one.axes[0]]
    where = "" if nested.ndim == 1 else f", axes {_listed(one.axes)}" if len(one.axes) > 1 else f", axis {one.axes[0]}"
    return f"{one.stage} of F({axis.m},{axis.r}){where}"


def _changes(gain: Gain) -> tuple[str, str, str]:
    return (
        f"{gain.before.instructions} -> {gain.after.instructions}",
        f"{gain.before.unfused} -> {gain.after.unfused}",
        f"{gain.live_before} -> {gain.live_after}",
    )


def _costs(one: TileReport) -> list[tuple[str, ...]]:
    return [
        (one.stage, machine, str(cost.instructions), str(cost.loads), str(cost.stores), str(cost.spills))
        for machine, cost in one.costs
    ]


def _total(one: TileReport) -> tuple[str, ...]:
    return (
        one.stage,
        str(one.fused),
        str(one.separate),
        str(one.counts.instructions),
        _listed(one.order),
        _listed(one.stored),
    )


def _listed(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers)) or "-"
