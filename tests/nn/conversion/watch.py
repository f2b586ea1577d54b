"""What comes into the modules of a model and what goes back out of them in a training step; gradients made of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests.nn.conversion.bounds import weight_gradient
from winograd.conv.choosing.prediction import default_tolerance


class Watch:
    """Holds what came into each module of a model and what went back out of it, in one training step."""

    def __init__(self, model: nn.Sequential) -> None:
        self.inputs: list[tuple[nn.Module, Tensor]] = []
        self.given: dict[int, Tensor] = {}
        self.handles = [module.register_forward_hook(self.note, prepend=True) for module in {*model}]

    def note(self, module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        number = len(self.inputs)
        self.inputs.append((module, given[0].detach().clone()))
        if output.requires_grad and isinstance(module, nn.Conv3d):
            output.register_hook(lambda gradient: self.given.update({number: gradient.detach().clone()}))

    def end(self) -> None:
        for handle in self.handles:
            handle.remove()

    def check_gradients(self, plain: dict[nn.Module, nn.Module], kept: Callable[[nn.Module], float]) -> None:
        """Compare gradients of weights with those of what came into each layer and went out of it again.

        Parameters
        ----------
        plain : dict from module to module
            By a module of the model: one with the same parameters.
        kept : callable
            The tolerance of a module of the model.
        """
        for layer in {module for module in plain if isinstance(module, nn.Conv3d)}:
            if not layer.weight.is_leaf or not layer.weight.requires_grad:
                continue
            exact, allowed = torch.zeros(1, dtype=torch.float64), 0.0
            tolerance = kept(layer) + default_tolerance(str(layer.weight.dtype).removeprefix("torch."))
            for number, (module, came) in enumerate(self.inputs):
                if module is layer:
                    input, given = came.double(), self.given[number].double()
                    exact = exact + weight_gradient(plain[layer], input, given)
                    squares = weight_gradient(plain[layer], input.square(), given.square())
                    allowed += tolerance * float(squares.sum().sqrt())
            assert float((layer.weight.grad.double() - exact).norm()) <= allowed
