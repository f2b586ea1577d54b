"""Plans, and tolerances for the error of the output, by an example.

In: a model, its layers, arguments for a forward. Out: layers with plans. Refused: an error of the output without an
example, and what is no error.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, Final

from torch import nn

from winograd.conv.choosing.prediction import checked_tolerance
from winograd.nn.conversion.change import give_budget, state_of
from winograd.nn.conversion.eligible import Candidate, planned_layers
from winograd.nn.conversion.example import one_run, settle_lazy, undisturbed, unwrapped
from winograd.nn.modules import PlannedConvolution

_NOT_CALLED: Final = "the example did not come to it"

_UNPLANNED: Final = "the example came to it and led to no plan: its input may have another dtype than its weight"


def checked_output_tolerance(output_tolerance: float | None, example: Any) -> float | None:
    """Return the largest error of the output as a float, or None if there is none.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is not above 0, or there is no example.
    """
    if output_tolerance is None:
        return None
    if example is None:
        raise ValueError("output_tolerance is for what the model gives for an example; give one")
    try:
        return checked_tolerance(output_tolerance)
    except (TypeError, ValueError) as error:
        raise type(error)(f"output_{error}") from error


def plan_by_example(model: nn.Module, example: Any, found: list[Candidate], output_tolerance: float | None) -> None:
    """Make plans in a forward, and choose tolerances if the output has one: then plans are made anew with them."""
    inner = unwrapped(model)
    with undisturbed(inner):
        settle_lazy(inner, example)
        if output_tolerance is not None:
            _choose_tolerances(inner, example, found, output_tolerance)
        with one_run(inner, example):
            pass
        states = [(one.layer, state) for one in found if (state := state_of(one.layer)) is not None]
        unplanned = [layer for layer, state in states if not state.plans]
        called = _called(inner, example, unplanned) if unplanned else set()
    for layer, state in states:
        state.unseen = "" if state.plans else _UNPLANNED if layer in called else _NOT_CALLED


def _called(model: nn.Module, example: Any, layers: Iterable[PlannedConvolution]) -> set[nn.Module]:
    """Return the layers that the example comes to: seen in a run of its own, since hooks keep norms from folding."""
    called: set[nn.Module] = set()
    with ExitStack() as cleanup:
        for layer in layers:
            cleanup.callback(layer.register_forward_pre_hook(lambda *_, layer=layer: called.add(layer)).remove)
        cleanup.enter_context(one_run(model, example))
    return called


def _choose_tolerances(model: nn.Module, example: Any, found: list[Candidate], output_tolerance: float) -> None:
    from winograd.nn.budget.meet import meet_output_tolerance

    inside = {layer for _, layer in planned_layers(model)}
    layers = {one.name: one.layer for one in found if not one.refusal and one.layer in inside and _chooses(one.layer)}
    budget = meet_output_tolerance(model, layers, output_tolerance, example)
    give_budget(inside, budget)


def _chooses(layer: PlannedConvolution) -> bool:
    return layer._winograd.original is not None and layer.algorithm is None
