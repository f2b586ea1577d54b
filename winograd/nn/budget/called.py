"""What layers compute for an example: which shapes, how often, and what that would be at other tolerances.

In: converted layers and a function that runs their model. Out: the `Calls` of each layer that the example comes by.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cache
from typing import Any

from winograd.conv.choosing.selection import Filters
from winograd.conv.plan.record import Plan
from winograd.nn.budget.front import Calls, Planner, planner_of
from winograd.nn.budget.setting import frozen, tolerated
from winograd.nn.modules import PlannedConvolution

_Sizes = tuple[int, ...]


def calls_of(run: Callable[[], object], layers: Mapping[str, PlannedConvolution], tolerance: float) -> dict[str, Calls]:
    """Run the model once with weights kept and this tolerance of all layers, and return what they computed.

    A layer that the example does not come by has no entry.
    """
    seen: dict[str, list[_Sizes]] = {name: [] for name in layers}

    def see(name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        seen[name].append(tuple((*arguments, *named.values())[0].shape))

    with ExitStack() as cleanup:
        cleanup.enter_context(frozen(layers.values()))
        for name, layer in layers.items():
            cleanup.enter_context(tolerated(layer, tolerance))
            hook = lambda _, arguments, named, name=name: see(name, arguments, named)  # noqa: E731
            cleanup.callback(layer.register_forward_pre_hook(hook, with_kwargs=True).remove)
        run()
        return {
            name: Calls(_planners(layer, seen[name]), len(seen[name])) for name, layer in layers.items() if layer.plans
        }


def _planners(layer: PlannedConvolution, sizes: list[_Sizes]) -> tuple[Planner, ...]:
    if layer.transposed:  # its plans are those of another convolution, and say nothing of the copies around it
        return tuple(_planner_ahead(layer, one) for one in dict.fromkeys(sizes))
    return tuple(map(planner_of, layer.plans))


def _planner_ahead(layer: PlannedConvolution, sizes: _Sizes) -> Planner:
    @cache
    def planned(tolerance: float) -> Plan:
        state = copy.copy(layer._winograd)  # its settings, without its plans
        state.filters, state.tolerance = Filters.FROZEN, tolerance
        state.plan_ahead(layer, sizes)
        return state.plans[0]

    return planned
