"""The training step of one convolution as something that can be called: torch's own and ours, in both memory formats.

In: a layer and a seed, or a module with tensors. Out: a `LayerStep` by memory format. Refused: layers whose padding
differs between the two sides of an axis, which no module of torch has.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import torch
from torch import Tensor, nn

from winograd.benching.layers import BenchLayer
from winograd.benching.measurement import draw_tensors
from winograd.benching.training.step import Step
from winograd.conv.tensors.layout import FORMATS
from winograd.nn.converting import convert_
from winograd.nn.state import Convolution

_Module = TypeVar("_Module", bound=nn.Module)

_TORCHS: Final = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


@dataclass(frozen=True, slots=True)
class LayerStep:
    """A convolution with all that one training step of it needs; a call runs the step.

    Before every step the weight counts as written to, as an optimiser would leave it: nothing that was made of it
    before may be used again.

    Parameters
    ----------
    module : torch.nn.Conv1d, Conv2d or Conv3d
        torch's own or a planned one.
    input : Tensor of shape (N, C, sizes...)
        That requires a gradient.
    grad_output : Tensor of shape (N, K, output sizes...)
    """

    module: Convolution
    input: Tensor
    grad_output: Tensor

    def __call__(self) -> Step:
        """Return output and gradients."""
        torch.autograd.graph.increment_version(self.module.weight)
        output = self.module(self.input)
        bias = self.module.bias
        asked = (self.input, self.module.weight, *(() if bias is None else (bias,)))
        found = torch.autograd.grad(output, asked, self.grad_output)
        return Step(output.detach(), found[0], found[1], None if bias is None else found[2])

    def parts(self) -> dict[str, Callable[[], object]]:
        """Return what runs the forward, the gradient of the input and that of the weight, each for itself.

        A gradient is asked for with nothing else requiring one; its forward ran before.
        """
        return {
            "output": lambda: self.module(self.input),
            "input_gradient": self._gradient(of_input=True),
            "weight_gradient": self._gradient(of_input=False),
        }

    def _gradient(self, *, of_input: bool) -> Callable[[], object]:
        weight, bias = self.module.weight, self.module.bias
        input = self.input.detach().requires_grad_(of_input)
        weight.requires_grad_(not of_input)
        if bias is not None:
            bias.requires_grad_(False)
        output = self.module(input)
        for parameter in self.module.parameters():
            parameter.requires_grad_()
        asked = input if of_input else weight
        return lambda: torch.autograd.grad(output, asked, self.grad_output, retain_graph=True)


def draw_steps(layer: BenchLayer, tolerance: float, seed: int) -> tuple[dict[str, LayerStep], dict[str, LayerStep]]:
    """Return torch's own steps and ours by memory format, all of the same independent, normal, zero-mean numbers."""
    input, weight, bias = draw_tensors(layer, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    sizes = (layer.shape.batch, layer.shape.outputs, *layer.shape.output)
    grad_output = torch.randn(sizes, generator=generator, dtype=torch.float64).to(input.dtype)
    direct = _module(layer, weight, bias)
    ours = converted(direct, tolerance)
    return in_formats(direct, input, grad_output), in_formats(ours, input, grad_output)


def in_formats(module: Convolution, input: Tensor, grad_output: Tensor) -> dict[str, LayerStep]:
    """Return the step of one module with all tensors contiguous, and with all of them channels last if there is such.

    The module of each step is one of its own, with its own parameters.
    """
    formats = {"contiguous": torch.contiguous_format}
    if input.ndim in FORMATS:
        formats["channels_last"] = FORMATS[input.ndim]
    return {
        name: LayerStep(
            copy.deepcopy(module).to(memory_format=memory_format),  # type: ignore[call-overload]
            input.detach().contiguous(memory_format=memory_format).requires_grad_(),
            grad_output.detach().contiguous(memory_format=memory_format),
        )
        for name, memory_format in formats.items()
    }


def converted(module: _Module, tolerance: float) -> _Module:
    """Return a copy of a convolution or a network, converted; its parameters are its own."""
    twin = copy.deepcopy(module)
    convert_(twin, tolerance=tolerance)
    return twin


def _module(layer: BenchLayer, weight: Tensor, bias: Tensor | None) -> Convolution:
    shape = layer.shape
    if any(low != high for low, high in shape.padding):
        raise ValueError(f"{layer.name} has padding {shape.padding}, must be the same on both sides of each axis")
    padding = tuple(low for low, _ in shape.padding)
    build: Callable[..., Convolution] = _TORCHS[shape.ndim]
    module = build(
        shape.channels, shape.outputs, shape.taps, shape.stride, padding, shape.dilation, shape.groups, layer.has_bias
    ).to(weight.dtype)
    with torch.no_grad():
        module.weight.copy_(weight)
        if module.bias is not None and bias is not None:
            module.bias.copy_(bias)
    return module
