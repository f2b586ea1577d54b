"""Recorded calls: whether a compiler, an exporter or a tracer is at work, and the operator that it records.

In: torch tensors and the arguments of a convolution. Out: yes or no; the convolution by our operator, see
`winograd.conv.library.operators`. Refused: what the operator refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch

from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.obstacles import FEWEST_GROUP_CHANNELS
from winograd.conv.gpu.device import may_run_on
from winograd.conv.library import flops
from winograd.conv.library.execution import Asked
from winograd.conv.library.geometry import read_geometry
from winograd.conv.library.operators import convolution
from winograd.conv.tensors.facts import are_tensors, autocasts

Tensor = torch.Tensor


_FLOATING: Final = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


_operator: Final[Callable[..., Tensor]] = convolution._opoverload
"""What compilers record."""


def is_recorded() -> bool:
    """Return whether a compiler, an exporter, torch.jit.trace or a mode that sees every operation is at work."""
    if torch.compiler.is_compiling():
        return True
    return torch._C._len_torch_dispatch_stack() > 0 or torch._C._get_tracing_state() is not None


def is_jit_traced() -> bool:
    """Return whether torch.jit.trace is at work: it records torch's own, so that files of it need nothing of ours."""
    return not torch.compiler.is_compiling() and torch._C._get_tracing_state() is not None


def is_symbolic(*tensors: Tensor) -> bool:
    """Return whether a size is a symbol, as it is in fake tensors: then there is nothing to plan for."""
    return any(type(size) is not int for tensor in tensors for size in tensor.shape)


def call_operator(input: Tensor, weight: Tensor, bias: Tensor | None, arguments: ConvArguments, asked: Asked) -> Tensor:
    """Return the convolution by the operator, of an input that is batched or not."""
    if not torch.compiler.is_compiling():
        flops.register()
    geometry = read_geometry(arguments, weight.shape[2:])
    if input.ndim == weight.ndim:
        return _operator(input, weight, bias, *geometry, *asked)
    return _operator(input.unsqueeze(0), weight, bias, *geometry, *asked).squeeze(0)


def is_recordable(
    input: Tensor, weight: Tensor, bias: Tensor | None, arguments: ConvArguments, ndim: int, *, forced: bool
) -> bool:
    """Return whether a recorded program gets the operator: where Winograd may be worth it for some sizes, or is forced.

    What torch refuses is left to torch's own, as are forward-mode differentiation and that of functions, for which
    operators of Python have no rules.
    """
    if not are_tensors(input, weight, bias) or weight.ndim != ndim + 2 or input.ndim not in (ndim + 1, ndim + 2):
        return False
    if input.dtype not in _FLOATING or not (input.layout is weight.layout is torch.strided):
        return False
    if input.dtype is not weight.dtype and not autocasts(input.device.type):
        return False
    if is_differentiated_otherwise():
        return False
    return forced or (max(weight.shape[2:]) > 1 and _may_have_code(input, weight, arguments.groups))


def _may_have_code(input: Tensor, weight: Tensor, groups: int) -> bool:
    """Return whether there is generated code for such tensors that may be worth it for some sizes."""
    if input.device.type == "cuda":
        return input.dtype is torch.float32 and groups == 1 and may_run_on(input.device.index or 0)
    narrow = groups != 1 and min(weight.shape[1], weight.shape[0] // groups) < FEWEST_GROUP_CHANNELS
    return input.device.type == "cpu" and not narrow


def is_differentiated_otherwise() -> bool:
    """Return whether forward-mode differentiation, or a transform of torch.func but vmap is at work."""
    levels = torch._C._functorch.get_interpreter_stack() or ()
    others = [level for level in levels if level.key() != torch._C._functorch.TransformType.Vmap]
    return bool(others) or torch.autograd.forward_ad._current_level >= 0


# What torch.compiler.assume_constant_result sets, which would import the compiler.
is_differentiated_otherwise._dynamo_marked_constant = True  # type: ignore[attr-defined]
