"""Errors and times of a converted model, layer by layer on the activations that each sees, and of the whole.

In: a model, the names of its converted layers, an example. Out: measurements by place, and one of the whole. Refused:
models that give no floating tensor, or one that is not finite, and those that cannot be copied or run in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from winograd.nn.budget.copies import alone, copied, exact_outputs, in_dtype
from winograd.nn.budget.outputs import output_error, outputs_of, with_dtype
from winograd.nn.conversion.example import one_run, settle_lazy, undisturbed, unwrapped
from winograd.nn.converting import revert_
from winograd.nn.depth import relative_l2
from winograd.nn.modules import PlannedConvolution
from winograd.nn.progress import Progress, checked_progress
from winograd.nn.reporting.measurement import Measurement
from winograd.nn.reporting.rows import Place
from winograd.nn.speed import computes_as_torch, time_layer, time_networks

_Layer = TypeVar("_Layer", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class LayerCall:
    """How a layer was called: with its input, and whatever else it was given."""

    input: Tensor
    more: tuple[Any, ...]
    named: Mapping[str, Any]

    @classmethod
    def of(cls, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> LayerCall:
        """Take the arguments apart; the input may be a named one."""
        if arguments:
            return cls(arguments[0], arguments[1:], named)
        return cls(named["input"], (), {name: value for name, value in named.items() if name != "input"})

    def run(self, layer: nn.Module, input: Tensor | None = None) -> Tensor:
        """Return what a layer gives for this call, or for another input."""
        output: Tensor = layer(self.input if input is None else input, *self.more, **self.named)
        return output


def measure_model(
    model: nn.Module, names: Sequence[str], example: Any, repeats: int, progress: Progress
) -> tuple[dict[Place, Measurement], Measurement]:
    """Return what was measured of the layers of these names and of the whole model, which is left as it was.

    Raises
    ------
    TypeError
        If the model cannot be copied, or progress is no function.
    ValueError
        If repeats is negative, outputs have no floating tensor or are not finite, or it does not run in float64.
    """
    if repeats < 0:
        raise ValueError(f"repeats is {repeats}, must be at least 0")
    checked_progress(progress)
    inner = unwrapped(model)
    with undisturbed(inner):
        settle_lazy(inner, example)
        progress("converted model: kernels, plans, output")
        output = outputs_of(inner, example)
        plain = as_it_was(inner)
        progress("model before the conversion")
        direct = outputs_of(plain, example)
        progress("float64 reference of the whole model")
        exact = exact_outputs(in_dtype(plain, torch.float64), example)
        layers = _measured_layers(_pairs(model, inner, plain, names), plain, example, repeats, progress)
        times = None
        if repeats:
            progress("time of the whole model")
            times = time_networks(plain, inner, example, repeats)
    return layers, Measurement(output_error(output, exact), output_error(direct, exact), times)


def as_it_was(model: _Layer) -> _Layer:
    """Return the model as it was before its conversion; parameters are shared, layers built as planned are direct."""
    plain = revert_(copied(model, sharing=model.parameters()))
    for layer in plain.modules():
        if isinstance(layer, PlannedConvolution):
            layer._winograd.change(algorithm="direct")
    return plain


_Pairs = dict[str, tuple[PlannedConvolution, nn.Module]]
"""By its name a converted layer, and what it was."""


def _pairs(model: nn.Module, inner: nn.Module, plain: nn.Module, names: Sequence[str]) -> _Pairs:
    """Return the layers of these names that are there; names are those in the model that wraps the inner one."""
    places = {module: place for place, module in inner.named_modules()}
    present = dict(model.named_modules())
    pairs: _Pairs = {}
    for name in names:
        layer = present.get(name)
        if isinstance(layer, PlannedConvolution) and layer in places:
            pairs[name] = layer, plain.get_submodule(places[layer])
    return pairs


def _measured_layers(
    pairs: _Pairs, plain: nn.Module, example: Any, repeats: int, progress: Progress
) -> dict[Place, Measurement]:
    """Measure each layer at its first call of each shape, while the model as it was runs."""
    found: dict[Place, Measurement] = {}
    seen: set[tuple[str, tuple[int, ...]]] = set()

    def visit(name: str, layer: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        made = LayerCall.of(arguments, named)
        place = name, tuple(made.input.shape)
        if place in seen:
            return
        seen.add(place)
        progress(f"layer {name} at {'x'.join(map(str, made.input.shape))}")
        ours = alone(pairs[name][0])
        measurement = measure_layer(name, alone(layer), ours, made, repeats)
        found.update({(name, plan.digest): measurement for plan in ours.plans})

    with ExitStack() as cleanup:
        for name, (_, layer) in pairs.items():
            hook = layer.register_forward_hook(
                lambda layer, arguments, named, _, name=name: visit(name, layer, arguments, named), with_kwargs=True
            )
            cleanup.callback(hook.remove)
        cleanup.enter_context(one_run(plain, example))
    return found


def measure_layer(name: str, direct: Any, ours: Any, made: LayerCall, repeats: int) -> Measurement:
    """Measure one layer, before and after its conversion, in one call.

    Raises
    ------
    ValueError
        If its output is not finite.
    """
    exact = _exact_output(direct, made)
    error, direct_error = (relative_l2(made.run(layer), exact) for layer in (ours, direct))
    if not (math.isfinite(error) and math.isfinite(direct_error)):
        raise ValueError(f"output of layer {name} is not finite for the example; check the weights and the example")
    times = time_layer(direct, ours, made.input, repeats, *made.more, named=made.named) if repeats else None
    return Measurement(error, direct_error, times)


def _exact_output(layer: Any, made: LayerCall) -> Tensor:
    wide = in_dtype(layer, torch.float64)
    more, named = with_dtype(made.more, torch.float64), with_dtype(dict(made.named), torch.float64)
    # One of the batch at a time where that is the same: float64 takes memory for every tap of every place.
    parts = torch.split(made.input, 1) if computes_as_torch(layer, made.input) else (made.input,)
    return torch.cat([LayerCall(part.double(), more, named).run(wide) for part in parts])
