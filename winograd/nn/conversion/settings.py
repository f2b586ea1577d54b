"""What the layers of one conversion are asked for: tolerances, limits on memory, how plans are compared.

In: a tolerance for all, one for each name, or a function that gives them. Out: the tolerance of each layer. Refused:
what is no tolerance, and names that no convolution has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from torch import nn

from winograd.conv.choosing.prediction import checked_tolerance
from winograd.conv.limits import limits_or_default
from winograd.conv.planning.tuning_mode import Tuning, TuningName, checked_tuning
from winograd.nn.conversion.eligible import Candidate

Tolerance = float | Mapping[str, float | None] | Callable[[nn.Module, str], float | None] | None


@dataclass(frozen=True, slots=True)
class Settings:
    """What all layers of a conversion share."""

    workspace_cap: int | None
    filter_cap: int | None
    tuning: Tuning


def checked_settings(workspace_cap: int | None, filter_cap: int | None, tuning: TuningName) -> Settings:
    """Return the settings.

    Raises
    ------
    TypeError, ValueError
        If a limit is none, or tuning is another word.
    """
    limits_or_default(workspace_cap, filter_cap)
    return Settings(workspace_cap, filter_cap, checked_tuning(tuning))


def layer_tolerances(
    tolerance: Tolerance, model: nn.Module, layers: Iterable[Candidate]
) -> dict[nn.Module, float | None]:
    """Return the tolerance of each layer that can be converted.

    Raises
    ------
    TypeError
        If a tolerance is no number.
    ValueError
        If one is not positive, a name is not that of a convolution, or two names of one layer ask for unlike ones.
    """
    every = list(layers)
    able = [one for one in every if not one.refusal]
    if isinstance(tolerance, Mapping):
        named = _by_module(tolerance, model, {one.layer for one in every})
        return {one.layer: named.get(one.layer) for one in able}
    if callable(tolerance):
        return {one.layer: _checked(tolerance(one.layer, one.name), one.name) for one in able}
    settled = checked_tolerance(tolerance)
    return {one.layer: settled for one in able}


def _by_module(
    tolerances: Mapping[str, float | None], model: nn.Module, layers: set[Any]
) -> dict[nn.Module, float | None]:
    modules = named_convolutions(model, layers)
    found: dict[nn.Module, tuple[str, float | None]] = {}
    for name, value in tolerances.items():
        layer = find_named(modules, name, "tolerance")
        settled = _checked(value, name)
        other, before = found.setdefault(layer, (name, settled))
        if before != settled:
            raise ValueError(f"tolerance of {name!r} is {settled}, that of the same layer as {other!r} is {before}")
    return {layer: value for layer, (_, value) in found.items()}


def named_convolutions(model: nn.Module, layers: set[Any]) -> dict[str, nn.Module]:
    """Return all names of these layers, several of a shared one."""
    return {name: module for name, module in model.named_modules(remove_duplicate=False) if module in layers}


def find_named(modules: Mapping[str, nn.Module], name: str, argument: str) -> nn.Module:
    """Return the convolution of this name.

    Raises
    ------
    ValueError
        If there is none; the message names near ones.
    """
    if name in modules:
        return modules[name]
    near = get_close_matches(str(name), modules, n=3, cutoff=0.3)
    advice = f"; near it: {', '.join(map(repr, near))}" if near else ""
    raise ValueError(f"{argument} names {name!r}, which is no convolution of the model{advice}")


def _checked(value: float | None, name: str) -> float | None:
    try:
        return checked_tolerance(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"layer {name!r}: {error}") from error
