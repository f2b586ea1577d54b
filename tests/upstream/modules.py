"""PyTorch's database of its convolution modules, with ours in their place, and with samples of 3 taps beside theirs.

In: ModuleInfo of torch's own tests. Out: copies for `winograd.nn.Conv1d`, `Conv2d` and `Conv3d`, planned and forced.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import torch
from torch.testing import make_tensor
from torch.testing._internal.common_modules import FunctionInput, ModuleInput, module_db

import winograd
from tests.upstream.engagement import note, runs
from tests.upstream.forcing import fitted

ARGUMENTS: Final = (
    {"padding": 1},
    {"padding": 1, "bias": False},
    {"padding": 1, "padding_mode": "circular"},
    {"stride": 2, "padding": 1},
    {"dilation": 2, "padding": 2},
    {"groups": 2, "padding": 1},
)
"""Of our samples: 3 taps an axis, 8 channels to 8."""


class _Forced:
    """Mixed in before one of our modules: forces an algorithm, and notes whether Winograd ran."""

    ndim: int

    def __init__(self, channels: int, outputs: int, kernel_size: int, **given: Any) -> None:
        taps = -(-kernel_size // given.get("stride", 1))
        super().__init__(channels, outputs, kernel_size, **given, algorithm=fitted((taps,) * self.ndim))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        before = runs()
        output = super().forward(input)
        by_phases = {*self.stride, *self.dilation, self.groups} != {1}
        note(f"{self!r} on {tuple(input.shape)}", ran=runs() > before, by_phases=by_phases)
        return output


class ForcedConv1d(_Forced, winograd.nn.Conv1d):
    """Forced on three taps."""

    ndim = 1


class ForcedConv2d(_Forced, winograd.nn.Conv2d):
    """Forced on three taps an axis."""

    ndim = 2


class ForcedConv3d(_Forced, winograd.nn.Conv3d):
    """Forced on three taps an axis."""

    ndim = 3


def built(given: ModuleInput, info: Any, device: Any, dtype: torch.dtype, training: bool) -> torch.nn.Module:
    """Return the module of a sample."""
    constructor = given.constructor_input
    return info.module_cls(*constructor.args, **constructor.kwargs).to(device).to(dtype).train(training)


def fed(module: torch.nn.Module, given: ModuleInput) -> torch.Tensor:
    """Return what a module makes of the input of a sample."""
    return module(*given.forward_input.args, **given.forward_input.kwargs)


def inputs_of(info: Any, device: Any, dtype: Any, training: bool, *, requires_grad: bool = False) -> list[ModuleInput]:
    """Return the samples of a ModuleInfo."""
    return info.module_inputs_func(info, device=device, dtype=dtype, requires_grad=requires_grad, training=training)


def _inputs(theirs: Any, ndim: int, info: Any, **given: Any) -> list[ModuleInput]:
    """Return their samples and ours, which are compared with torch's own convolution."""
    make = partial(make_tensor, device=given["device"], dtype=given["dtype"], requires_grad=given["requires_grad"])
    own = [
        ModuleInput(
            constructor_input=FunctionInput(8, 8, 3, **arguments),
            forward_input=FunctionInput(make((2, 8, *(6,) * ndim) if batched else (8, *(6,) * ndim))),
            desc=" ".join(f"{name} {value}" for name, value in arguments.items()),
            reference_fn=of_torch,
        )
        for arguments in ARGUMENTS
        for batched in (True, False)
    ]
    return [*theirs(info, **given), *own]


def of_torch(module: Any, _parameters: Any, input: torch.Tensor) -> torch.Tensor:
    """Return what torch's own class makes of an input with the parameters of a module."""
    own = getattr(torch.nn, f"Conv{module.weight.dim() - 2}d")
    return own._conv_forward(module, input, module.weight, module.bias)


def _modules() -> Iterator[Any]:
    stock = {info.module_cls: info for info in module_db}
    for ndim, forced in enumerate((ForcedConv1d, ForcedConv2d, ForcedConv3d), start=1):
        name = f"Conv{ndim}d"
        for ours in (getattr(winograd.nn, name), forced):
            info = copy.copy(stock[getattr(torch.nn, name)])
            info.module_inputs_func = partial(_inputs, info.module_inputs_func, ndim)
            info.module_cls = ours
            yield info


MODULES: Final = list(_modules())
"""ModuleInfo of our modules: as users build them, and with an algorithm forced."""
