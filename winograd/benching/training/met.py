"""The convolutions of a network with the tensors that they meet in one training step: inputs and gradients of outputs.

In: a network in training mode, clips, labels. Out: one `MetConvolution` for each shape. The network is not changed.
"""

from __future__ import annotations

import copy
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from winograd.conv.arguments import ConvArguments
from winograd.conv.geometry.shape import ConvShape
from winograd.nn.state import Convolution

_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, slots=True)
class MetConvolution:
    """One convolution, and what it met.

    Parameters
    ----------
    name : str
        In the network; of the first one of its shape.
    module : torch.nn.Conv1d, Conv2d or Conv3d
    shape : ConvShape
    input : Tensor of shape (N, C, sizes...)
    grad_output : Tensor of shape (N, K, output sizes...)
    """

    name: str
    module: Convolution
    shape: ConvShape
    input: Tensor
    grad_output: Tensor


def training_loss(model: nn.Module, clips: Tensor, labels: Tensor) -> Tensor:
    """Return the cross entropy of the scores of clips and their labels."""
    return nn.functional.cross_entropy(model(clips), labels)


def met_convolutions(model: nn.Module, clips: Tensor, labels: Tensor) -> tuple[MetConvolution, ...]:
    """Run one step of a copy of a network, and return the first convolution of each shape with what it met.

    Parameters
    ----------
    model : torch.nn.Module
        In training mode.
    clips : Tensor of shape (N, C, sizes...)
    labels : Tensor of shape (N,)
    """
    own = copy.deepcopy(model)
    seen: dict[ConvShape, tuple[str, Convolution, Tensor]] = {}
    gradients: dict[ConvShape, Tensor] = {}

    def record(name: str, layer: Convolution, input: Tensor, output: Tensor) -> None:
        arguments = ConvArguments(layer.stride, layer.padding, layer.dilation, layer.groups)
        dtype = str(input.dtype).removeprefix("torch.")
        shape = arguments.shape(tuple(input.shape), tuple(layer.weight.shape), dtype=dtype)
        if shape not in seen:
            seen[shape] = (name, layer, input.detach().clone())  # the network may change it in place later
            keep = partial(_keep, gradients, shape)
            output.register_hook(keep)  # type: ignore[no-untyped-call]

    with ExitStack() as cleanup:
        for name, layer in own.named_modules():
            if isinstance(layer, _CONVOLUTIONS):
                cleanup.callback(layer.register_forward_hook(_recorder(name, record)).remove)
        loss = training_loss(own, clips, labels)
    torch.autograd.grad(loss, list(own.parameters()))
    return tuple(
        MetConvolution(name, layer, shape, input, gradients[shape]) for shape, (name, layer, input) in seen.items()
    )


def _keep(gradients: dict[ConvShape, Tensor], shape: ConvShape, gradient: Tensor) -> None:
    gradients[shape] = gradient.detach().clone()


def _recorder(name: str, record: Any) -> Any:
    return lambda layer, inputs, output: record(name, layer, inputs[0], output)
