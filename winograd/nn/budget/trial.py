"""Trials of a converted model on an example: what it gives directly, in float64, and with tolerances for its layers.

In: a model, its converted layers by name, an example. Out: errors of the output and of layers against float64, calls of
layers, and how much of their errors reaches the output. The layers are as they were at the end, but for tolerances that
were tried. Refused: outputs without an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from winograd.conv.choosing.selection import Filters
from winograd.nn.budget.called import calls_of
from winograd.nn.budget.copies import alone, exact_outputs, in_dtype
from winograd.nn.budget.front import Calls
from winograd.nn.budget.outputs import Outputs, output_error, outputs_of, with_dtype
from winograd.nn.budget.sensitivity import measure_gain
from winograd.nn.budget.setting import direct, frozen, tolerated
from winograd.nn.modules import PlannedConvolution

Layers = Mapping[str, PlannedConvolution]

_NARROW: Final = (torch.float16, torch.bfloat16)


@dataclass(frozen=True, slots=True)
class LayerErrors:
    """Relative L2 errors of a layer on what it sees in float64: by Winograd, and by direct convolution."""

    winograd: float
    direct: float


class Trial:
    """A model, its layers and an example; 16-bit models are looked at in float32, in which their layers are computed.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    layers : mapping of str to PlannedConvolution
        Those of its converted layers whose tolerance is to be chosen, by any name.
    example : Tensor, tuple, list or mapping
        Arguments of the model.

    Attributes
    ----------
    direct_error : float
        Of the output with all layers computed directly; known after `compare`.
    numbers : int
        In the smallest tensor of the output.
    """

    def __init__(self, model: nn.Module, layers: Layers, example: Any) -> None:
        self.direct_error = 0.0
        self._layers = layers
        self._model, self._example = model, example
        self._run = partial(outputs_of, model, example)
        self._exact: Outputs = {}
        self._places = {module: place for place, module in model.named_modules()}
        self.numbers = min(tensor.numel() for tensor in self._run().values())

    def calls(self, tolerance: float) -> dict[str, Calls]:
        """Return what the layers that the example comes by compute; a layer that it does not come by has no entry."""
        return calls_of(self._run, self._layers, tolerance)

    def compare(self, tolerances: Mapping[str, float]) -> dict[str, LayerErrors]:
        """Run the model in float64, and compare layers on the way, by Winograd at these tolerances and directly.

        What a layer sees is rounded to its dtype, which is much less than its own error.
        """
        model = self._narrow()[0]
        layers = self._same(tolerances, model)
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in layers}

        def visit(name: str, inputs: tuple[Any, ...], named: dict[str, Any], exact: Tensor) -> None:
            layer = alone(layers[name])
            given = with_dtype((inputs, named), layer.weight.dtype)
            with frozen([layer]), tolerated(layer, tolerances[name]):
                winograd = layer.forward(*given[0], **given[1])
            with frozen([layer]), direct([layer]):
                own = layer.forward(*given[0], **given[1])
            found[name].append((_norm(winograd - exact), _norm(own - exact), _norm(exact)))

        wide = in_dtype(self._model, torch.float64)
        for name, layer in self._same(tolerances, wide).items():
            hook = lambda _, *seen, name=name: visit(name, *seen)  # noqa: E731
            layer.register_forward_hook(hook, prepend=True, with_kwargs=True)
        with direct([layer for layer in wide.modules() if isinstance(layer, PlannedConvolution)]):
            self._exact = exact_outputs(wide, self._example)
        with frozen(self._layers.values()), direct(self._layers.values()):
            self.direct_error = output_error(self._run(), self._exact)
        return {name: _layer_errors(norms) for name, norms in found.items()}

    def gains(self, tolerances: Mapping[str, float]) -> dict[str, float]:
        """Return how much of the errors of layers reaches the output, each made by Winograd at its tolerance."""
        model, example = self._narrow()
        layers, run = self._same(self._layers, model), partial(outputs_of, model, example)
        with frozen(layers.values()), direct(layers.values()):
            undisturbed = run()
            return {
                name: measure_gain(run, layers[name], tolerance, undisturbed) for name, tolerance in tolerances.items()
            }

    def error(self, tolerances: Mapping[str, float]) -> float:
        """Return the error of the output with these tolerances, which stay; the larger one, weights kept or not."""
        for name, tolerance in tolerances.items():
            self._layers[name]._winograd.tolerate(tolerance)
        with frozen(self._layers.values()):
            kept = output_error(self._run(), self._exact)
        if all(layer._winograd.filters is Filters.FROZEN for layer in self._layers.values()):
            return kept
        return max(kept, output_error(self._run(), self._exact))

    def _narrow(self) -> tuple[nn.Module, Any]:
        """Return model and example, in float32 where they have 16 bits: rounding to these would hide other errors."""
        if all(parameter.dtype not in _NARROW for parameter in self._model.parameters()):
            return self._model, self._example
        return in_dtype(self._model, torch.float32), with_dtype(self._example, torch.float32)

    def _same(self, names: Iterable[str], model: nn.Module) -> dict[str, PlannedConvolution]:
        """Return the layers of these names in the model, or in a copy of it."""
        found = {name: model.get_submodule(self._places[self._layers[name]]) for name in names}
        return {name: layer for name, layer in found.items() if isinstance(layer, PlannedConvolution)}


def _norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor.double()))


def _layer_errors(norms: Sequence[tuple[float, ...]]) -> LayerErrors:
    """Return the errors of all calls of a layer together; 0 where it gives zeros only."""
    winograd, own, exact = (math.hypot(*parts) for parts in zip(*norms, strict=True))
    return LayerErrors(winograd / (exact or 1.0), own / (exact or 1.0))
