"""Batch norm folded into the convolutions before it, for baselines: plain layers of torch stay plain layers.

In: a model in evaluation mode and an input of it. Out: a copy with folded weights, and how many were folded. Which norm
follows which convolution is seen while the input runs, by the identity of the tensor that passes from one to the other;
whoever uses the copy compares its results with those of the model.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights

from winograd.nn.modules import Convolution


def folded_copy(model: nn.Module, input: Tensor) -> tuple[nn.Module, int]:
    """Return a copy with each batch norm that directly follows a convolution folded into it, and their number.

    Folded weights are computed in float64 and rounded once. A convolution or a norm that runs more than once is left
    as it is.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode; not changed.
    input : Tensor
        Of the model.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv1d(2, 3, 1), nn.BatchNorm1d(3), nn.ReLU()).eval()
    >>> folded, count = folded_copy(model, torch.ones(1, 2, 5))
    >>> count, folded[1]
    (1, Identity())
    """
    twin = copy.deepcopy(model)
    names = {module: name for name, module in twin.named_modules()}
    pairs = _pairs(twin, input)
    for convolution, norm in pairs:
        _fold(convolution, norm)
        parent, _, name = names[norm].rpartition(".")
        setattr(twin.get_submodule(parent), name, nn.Identity())
    return twin, len(pairs)


def _pairs(model: nn.Module, input: Tensor) -> list[tuple[Convolution, _BatchNorm]]:
    """Return each norm with the convolution whose output it read, both of which ran once."""
    made: dict[int, tuple[Convolution, Tensor]] = {}  # the tensor is held, so that no other gets its identity
    read: list[tuple[Convolution, _BatchNorm]] = []
    ran: list[nn.Module] = []

    def after(module: nn.Module, _: object, output: Tensor) -> None:
        ran.append(module)
        if isinstance(module, Convolution):
            made[id(output)] = (module, output)

    def before(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, _BatchNorm) and id(inputs[0]) in made:
            read.append((made[id(inputs[0])][0], module))

    with _hooked(model, before, after), torch.no_grad():
        model(input)
    return [(one, norm) for one, norm in read if ran.count(one) == ran.count(norm) == 1]


@contextmanager
def _hooked(model: nn.Module, before: Callable[..., None], after: Callable[..., None]) -> Iterator[None]:
    handles = []
    for module in model.modules():
        if isinstance(module, Convolution | _BatchNorm):
            handles += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _fold(convolution: Convolution, norm: _BatchNorm) -> None:
    dtype = convolution.weight.dtype
    given = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    wide = [value.detach().double() if isinstance(value, Tensor) else value for value in given]
    bias = None if convolution.bias is None else convolution.bias.detach().double()
    folded = fuse_conv_bn_weights(convolution.weight.detach().double(), bias, *wide)  # type: ignore[arg-type]
    weight, shift = (nn.Parameter(part.detach().to(dtype), requires_grad=False) for part in folded)
    convolution.weight, convolution.bias = weight, shift
