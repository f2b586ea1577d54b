"""Plans, and tolerances for the error of the output, by an example.

In: a model, its layers, arguments for a forward. Out: layers with plans. Refused: an error of the output without an
example, and what is no error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from torch import nn

from winograd.conv.prediction import checked_tolerance
from winograd.nn.conversion.change import give_budget, state_of
from winograd.nn.conversion.eligible import Candidate, planned_layers
from winograd.nn.conversion.example import call, undisturbed, unwrapped
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
    with undisturbed(inner), _called(found) as called:
        call(inner, example)
        if output_tolerance is not None:
            _choose_tolerances(inner, example, {one.layer for one in found if not one.refusal}, output_tolerance)
            call(inner, example)
    for one in found:
        if (state := state_of(one.layer)) is not None:
            state.unseen = "" if state.plans else _UNPLANNED if one.layer in called else _NOT_CALLED


@contextmanager
def _called(found: Iterable[Candidate]) -> Iterator[set[nn.Module]]:
    """Yield a set that layers come into when they are called."""
    called: set[nn.Module] = set()
    with ExitStack() as cleanup:
        for layer in (one.layer for one in found if isinstance(one.layer, PlannedConvolution)):
            cleanup.callback(layer.register_forward_pre_hook(lambda *_, layer=layer: called.add(layer)).remove)
        yield called


def _choose_tolerances(model: nn.Module, example: Any, asked: set[nn.Module], output_tolerance: float) -> None:
    from winograd.nn.budget.meet import meet_output_tolerance

    layers = {name: layer for name, layer in planned_layers(model) if layer in asked and _chooses(layer)}
    budget = meet_output_tolerance(model, layers, output_tolerance, example)
    give_budget([layer for _, layer in planned_layers(model)], budget)


def _chooses(layer: PlannedConvolution) -> bool:
    return layer._winograd.original is not None and layer.algorithm is None
