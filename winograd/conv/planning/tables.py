"""Tables of plans: the stages of one, and the layers of a network, a line each.

In: plans, perhaps another machine. Out: rows as text and as plain data. Nothing is run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from winograd.accuracy.showing.table import text_table
from winograd.conv import roofline
from winograd.conv.choosing.selection import Filters
from winograd.conv.machine import NOMINAL, Machine
from winograd.conv.plan.record import Plan
from winograd.conv.planning.explanation import spelled_terms
from winograd.conv.roofline import NOMINAL_THREADS
from winograd.conv.roofline.stages import StageCost
from winograd.conv.switch import SWITCHED_OFF, is_enabled

_STAGES: Final = ("stage", "ms", "bound ms", "limited by", "Gop", "own MB", "shared MB", "memory MB", "buffer MB")

_LAYERS: Final = (
    "layer", "input", "weight", "plan", "ms", "direct ms", "gain", "error", "U MiB", "work MiB", "why direct",
)  # fmt: skip


def plan_stages(plan: Plan, machine: Machine = NOMINAL) -> tuple[StageCost, ...]:
    """Return what the stages of a plan take on a machine, all runs of each together; one stage for direct convolution.

    Examples
    --------
    >>> import winograd
    >>> plan = winograd.plan_conv((1, 64, 16, 56, 56), (128, 64, 3, 3, 3), padding=1, threads=2)
    >>> [stage.name for stage in plan_stages(plan)]
    ['input transform', 'products', 'inverse transform', 'call']
    """
    threads = NOMINAL_THREADS if plan.terms is None else plan.terms.threads
    if plan.algorithm is None:
        return (roofline.direct_cost(plan.shape, threads, machine),)
    core, algorithm = plan.core, plan.algorithm
    stages = [
        _repeated(stage, plan.runs) for stage in roofline.stage_costs(core, algorithm, plan.schedule, threads, machine)
    ]
    if plan.filters is Filters.LIVE:
        anew = roofline.filter_cost(core, algorithm, threads, machine)
        stages.insert(0, _repeated(anew, 1 if plan.phases is None else plan.phases.groups))
    if plan.phases is not None:
        stages.insert(0, roofline.copies_cost(2 * plan.phases.copied_bytes, threads, machine))
    return tuple(stages)


def stages_text(stages: Sequence[StageCost]) -> str:
    """Return the stages as a table, with the sum of their times as its last line."""
    rows = [_stage_cells(stage) for stage in stages]
    total = ("total", f"{roofline.total_ms(stages):.3g}", f"{roofline.bound_ms(stages):.3g}")
    return text_table(_STAGES, [*rows, (*total, *[""] * (len(_STAGES) - len(total)))])


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """A layer of a network with its plan.

    Parameters
    ----------
    name : str
    plan : Plan
    """

    name: str
    plan: Plan

    def as_dict(self) -> dict[str, Any]:
        """Return what is chosen for the layer, ready for JSON."""
        plan = self.plan
        return {
            "layer": self.name,
            "shape": asdict(plan.shape),
            "label": plan.label,
            "reason": plan.reason,
            "phases": None if plan.phases is None else plan.phases.label,
            "predicted_ms": plan.predicted_ms,
            "direct_ms": plan.direct_ms,
            "measured_ms": plan.measured_ms,
            "predicted_error": plan.predicted_error,
            "filter_bytes": plan.filter_bytes,
            "workspace_bytes": plan.workspace_bytes,
            "multiplications": plan.multiplications,
        }


def layers_text(name: str, layers: Iterable[LayerPlan]) -> str:
    """Return what a network was asked for, a line for each layer, and one for all of them.

    Milliseconds are measured where they were, else predicted.
    """
    listed = list(layers)
    ours = math.fsum(_times(layer.plan)[0] for layer in listed)
    direct = math.fsum(_times(layer.plan)[1] for layer in listed)
    gain = f"{direct / ours:.2f}" if ours else "-"
    total = (f"all {len(listed)}", "", "", "", f"{ours:.3g}", f"{direct:.3g}", gain, "", "", "", "")
    table = text_table(_LAYERS, [*(_layer_cells(layer) for layer in listed), total], left=(0, len(_LAYERS) - 1))
    return f"{_heading(name, listed)}\n\n{table}"


def _heading(name: str, layers: Sequence[LayerPlan]) -> str:
    """Return the terms of all layers, and whether Winograd is switched off."""
    plan = layers[0].plan
    off = [] if is_enabled() else [SWITCHED_OFF]
    return f"{name}: {', '.join([plan.shape.dtype, *spelled_terms(plan), *off])}"


def _shortened(reason: str) -> str:
    """Return what Winograd would take, or a reason up to its first comma or colon outside of brackets.

    Examples
    --------
    >>> _shortened("Winograd with stride (2, 2) by 4 phases would take 1.7 ms (F(4x4,2x2)), direct 1.6 ms: not faster")
    'Winograd 1.7 ms'
    >>> _shortened("taps (1, 1, 1), algorithms are known for 2 to 7")
    'taps (1, 1, 1)'
    """
    times = re.search(r"would take (\S+ ms)", reason)
    if times is not None:
        return f"Winograd {times[1]}"
    return re.split(r"[,:;] (?![^(]*\))", reason, maxsplit=1)[0]


def _repeated(stage: StageCost, times: int) -> StageCost:
    """Return a stage that is run so often; its buffer is used again."""
    sums = ("operations", "own_bytes", "shared_bytes", "memory_bytes", "milliseconds", "bound_ms")
    return replace(stage, **{name: getattr(stage, name) * times for name in sums})


def _stage_cells(stage: StageCost) -> tuple[str, ...]:
    sizes = (stage.own_bytes, stage.shared_bytes, stage.memory_bytes, stage.buffer_bytes)
    return (
        stage.name,
        f"{stage.milliseconds:.3g}",
        f"{stage.bound_ms:.3g}",
        stage.limited_by,
        f"{stage.operations / 1e9:.3g}",
        *(f"{size / 1e6:.3g}" for size in sizes),
    )


def _times(plan: Plan) -> tuple[float, float]:
    """Return milliseconds of a plan and of direct convolution, both measured or both predicted."""
    measured, direct = plan.measured_ms, dict(plan.measured).get("direct")
    if measured is not None and direct is not None:
        return measured, direct
    threads = NOMINAL_THREADS if plan.terms is None else plan.terms.threads
    predicted = plan.direct_ms if plan.direct_ms is not None else roofline.direct_ms(plan.shape, threads)
    return (predicted if plan.predicted_ms is None else plan.predicted_ms), predicted


def _layer_cells(layer: LayerPlan) -> tuple[str, ...]:
    plan, (ours, direct) = layer.plan, _times(layer.plan)
    shape = plan.shape
    return (
        layer.name,
        "x".join(map(str, (shape.batch, shape.channels, *shape.sizes))),
        "x".join(map(str, shape.weight_sizes)),
        plan.algorithm_label,
        f"{ours:.3g}",
        f"{direct:.3g}",
        f"{direct / ours:.2f}",
        "-" if plan.predicted_error is None else f"{plan.predicted_error:.1e}",
        f"{plan.filter_bytes / 2**20:.1f}",
        f"{plan.workspace_bytes / 2**20:.1f}",
        _shortened(plan.reason) if plan.algorithm is None else "",
    )
