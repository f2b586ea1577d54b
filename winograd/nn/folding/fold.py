"""Folding of a model in place, and back: norms and ReLUs change their class and nothing else.

In: a model and its converted convolutions. Out: each with a `Folding`, or with the reason why it has none. Refused,
before anything changes: norms in training mode, and modules that became something else since they were folded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from torch import nn

from winograd.nn.conversion.example import call, cloned, undisturbed
from winograd.nn.folding.flow import Flow, UntraceableError, recorded_flow, traced_flow
from winograd.nn.folding.folding import Folding
from winograd.nn.folding.pairs import Fold, Pair, find_pairs
from winograd.nn.folding.passing import begin_passing, end_passing, is_passing
from winograd.nn.folding.places import places_of
from winograd.nn.folding.weights import Norm
from winograd.nn.modules import PlannedConvolution
from winograd.nn.state import Convolution

NO_FOLD: Final = "nothing: "
"""How what a layer folds begins in a report where it folds nothing; the reason follows."""


def pairs_of(
    model: nn.Module, layers: Sequence[Convolution], fold: Fold, example: Any
) -> dict[Convolution, Pair | str]:
    """Return what can be folded into each convolution of a model, or why nothing can; changes nothing.

    Parameters
    ----------
    model : torch.nn.Module
    layers : sequence of convolutions
    fold : Fold
    example : Tensor, tuple, list or dict, optional
        Arguments of one forward that is recorded, as in `winograd.convert_`; None to trace the model instead.

    Raises
    ------
    ValueError
        If a norm is in training mode.
    """
    for name, module in model.named_modules():
        if isinstance(module, Norm) and module.training:
            raise ValueError(f"norm {name!r} is in training mode, in which nothing can be folded; call model.eval()")
    try:
        flow = traced_flow(model) if example is None else _flow_of(model, example)
    except UntraceableError as error:
        advice = ", give an example input" if example is None else ""
        return dict.fromkeys(layers, f"the model cannot be traced ({error}){advice}")
    names = {module: name for name, module in model.named_modules()}
    return find_pairs(flow, layers, names, fold)


def _flow_of(model: nn.Module, example: Any) -> Flow:
    """Return the flow of one forward, which leaves the model as it was."""
    with undisturbed(model):
        return recorded_flow(model, lambda: call(model, cloned(example)))


def fold_(model: nn.Module, layers: Sequence[PlannedConvolution], fold: Fold, example: Any) -> None:
    """Fold norms, and ReLUs if asked for, into the planned convolutions of a model."""
    pairs = pairs_of(model, layers, fold, example)
    names, places = {module: name for name, module in model.named_modules()}, places_of(model)
    unfold_(layers)
    for layer in layers:
        found, state = pairs[layer], layer._winograd
        if isinstance(found, str):
            state.folds = NO_FOLD + found
            continue
        state.folding = Folding(found.norm, found.relu, places)
        state.folds = ", ".join(names[module] for module in state.folding.modules)
        for module in state.folding.modules:
            begin_passing(module, state.folding)


def unfold_(layers: Sequence[PlannedConvolution]) -> None:
    """Let norms and ReLUs compute themselves again, as they did.

    Raises
    ------
    RuntimeError
        If one was given another class since, by a parametrization for example; nothing is changed then.
    """
    folded = [(layer, folding) for layer in layers if (folding := layer._winograd.folding) is not None]
    for _, folding in folded:
        for module in folding.modules:
            if not is_passing(module):
                raise RuntimeError(
                    f"a {type(module).__qualname__} changed its class after it was folded; "
                    "remove what changed it (a parametrization?) first"
                )
    for layer, folding in folded:
        layer._winograd.folding = None
        for module in folding.modules:
            end_passing(module, folding)
    for layer in layers:
        layer._winograd.folds = ""
