"""The change of layers to planned ones and back, and all of it undone if anything fails on the way.

In: layers and what they are asked for. Out: the same layers with another class and a state. Refused: going back from a
class that somebody else gave a layer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

from winograd.nn.conversion.settings import Settings
from winograd.nn.modules import PlannedConvolution
from winograd.nn.planned import planned_class, settled_class
from winograd.nn.state import Convolution, LayerState, SharedBudget
from winograd.nn.wrapped import inside


@contextmanager
def all_or_nothing(layers: Iterable[Convolution]) -> Iterator[None]:
    """Give layers their class, their state and their plans back if what happens inside raises an error."""
    before = [(layer, type(layer), state_of(layer)) for layer in layers]
    snapshots = [state.snapshot() for _, _, state in before if state is not None]
    try:
        yield
    except BaseException:
        for layer, cls, state in before:
            _set_class(layer, cls, state)
        for put_back in snapshots:
            put_back()
        raise


def state_of(layer: Convolution) -> LayerState | None:
    """Return what a planned layer has beyond torch's; None for others."""
    return layer._winograd if isinstance(layer, PlannedConvolution) else None


def plan_layers(tolerances: Mapping[nn.Module, float | None], settings: Settings) -> None:
    """Have these layers planned, with these tolerances and settings.

    A layer that was built as a planned one keeps the tolerance and the tuning it was built with.
    """
    for layer, tolerance in tolerances.items():
        assert isinstance(layer, Convolution)
        if not isinstance(layer, PlannedConvolution):
            _plan(layer)
        state = state_of(layer)
        assert state is not None
        if state.original and state.tolerance != tolerance:
            state.tolerate(tolerance)
        if state.original and state.tuning is not settings.tuning:
            state.change(tuning=settings.tuning)
        if (state.workspace_cap, state.filter_cap) != (settings.workspace_cap, settings.filter_cap):
            state.limit(settings.workspace_cap, settings.filter_cap)


def give_budget(layers: Collection[PlannedConvolution], budget: Any) -> None:
    """Have layers say how the tolerances of all of them were chosen; that stands until one of them is changed."""
    for layer in layers:
        layer._winograd.budget = SharedBudget(budget, len(layers))


def withdraw_budget(layers: Iterable[Convolution]) -> None:
    """Have layers forget how the tolerances were chosen: the output of their model is another one now."""
    for layer in layers:
        if (state := state_of(layer)) is not None:
            state.budget = None


def former_classes(layers: Iterable[tuple[str, PlannedConvolution]]) -> dict[PlannedConvolution, type[Convolution]]:
    """Return the class that each converted layer gets back; layers that were built as planned ones are left out.

    Raises
    ------
    RuntimeError
        If one was given another class since its conversion.
    """
    former = {}
    for name, layer in layers:
        try:
            settled = settled_class(layer)
        except TypeError:
            raise RuntimeError(
                f"layer {name!r} became a {type(layer).__qualname__} after conversion; "
                "remove what changed its class first"
            ) from None
        if settled is not None:
            former[layer] = settled
    return former


def unplan_layers(former: Mapping[PlannedConvolution, type[Convolution]]) -> None:
    """Give layers their former class back, and drop their plans."""
    for layer, cls in former.items():
        layer._winograd.retire()
        _set_class(layer, cls, None)


def _plan(layer: Convolution) -> None:
    planned = planned_class(type(layer))
    _set_class(layer, planned, inside(planned)._state_class(original=inside(type(layer))))  # type: ignore[attr-defined]


def _set_class(layer: Convolution, cls: type[Convolution], state: LayerState | None) -> None:
    """Change what a layer is, past a class that watches how its attributes are set."""
    if state is None:
        vars(layer).pop("_winograd", None)
    else:
        vars(layer)["_winograd"] = state
    object.__setattr__(layer, "__class__", cls)
