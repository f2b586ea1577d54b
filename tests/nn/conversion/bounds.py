"""How far a converted model may be from a plain one, derived from the tolerances of its layers.

In: a plain model, which is a sequence of convolutions, norms and ReLUs, and an input. Out: its exact output, and an
upper bound of the L2 error of another model with the same parameters whose convolutions keep given tolerances.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from winograd.conv.choosing.prediction import default_tolerance


def plain_copy(layer: nn.Module) -> nn.Module:
    """Return a copy in float64, without hooks and parametrizations, that trains nothing."""
    twin = copy.deepcopy(layer)
    twin._forward_hooks.clear()
    if parametrize.is_parametrized(twin, "weight"):  # what torch does with these, it does to the class of all copies
        del twin._modules["parametrizations"]
        twin.__class__ = type(layer).__bases__[-1]
        twin.weight = nn.Parameter(layer.weight.detach().clone())
    elif isinstance(twin._buffers.get("weight"), Tensor):  # what is left of a parametrization that does not train
        twin.weight = nn.Parameter(twin._buffers.pop("weight"))
    return twin.double().requires_grad_(False)


def spread(layer: nn.Module, input: Tensor) -> float:
    """Return the L2 norm that a convolution's output has for independent zero-mean inputs and weights of these sizes.

    A tolerance is relative to this: outputs that cancel may be smaller, their errors are not.
    """
    squares = plain_copy(layer)
    for parameter in squares.parameters():
        parameter.square_()
    return float(squares(input.double().square()).sum().sqrt())


def gain(layer: nn.Module) -> float:
    """Return what a module multiplies the L2 norm of an error by at most."""
    if isinstance(layer, _ConvNd):
        sizes = layer.weight.detach().double().abs().flatten(2).sum(2)
        return math.sqrt(sizes.sum(0).max() * sizes.sum(1).max())  # of the norms for largest and for summed errors
    if isinstance(layer, nn.BatchNorm3d):
        return float((layer.weight.detach().double() / (layer.running_var.double() + layer.eps).sqrt()).abs().max())
    return 1.0


def exact_output(
    model: nn.Sequential, input: Tensor, tolerance: Callable[[nn.Module], float], hooked: float = 1.0
) -> tuple[Tensor, float]:
    """Return the output in float64, and how far from it the output of a converted model may be.

    Parameters
    ----------
    model : torch.nn.Sequential
        In evaluation mode.
    input : Tensor
    tolerance : callable
        Of a layer of the model: the tolerance of the one that stands for it.
    hooked : float
        What each forward hook multiplies an output by.
    """
    dtype = next(model.parameters()).dtype
    rounding = default_tolerance(str(dtype).removeprefix("torch."))  # more than the other modules of a dtype round
    exact, error = input.double(), 0.0
    for layer in model:
        own = rounding * float(exact.norm()) if not isinstance(layer, _ConvNd) else 0.0
        error = gain(layer) * (error + own)
        if isinstance(layer, _ConvNd):
            error += (tolerance(layer) + rounding) * spread(layer, exact)
        exact = plain_copy(layer)(exact)
        for _ in layer._forward_hooks:
            exact, error = hooked * exact, hooked * error
        error += rounding * float(exact.norm())
    return exact, error


def weight_gradient(layer: nn.Module, input: Tensor, given: Tensor) -> Tensor:
    """Return the exact gradient of the weight of one call."""
    twin = plain_copy(layer).requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(twin(input.double()), twin.weight, given.double())[0]
