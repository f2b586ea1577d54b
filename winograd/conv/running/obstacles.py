"""Obstacles of tensors: why generated code or torch's operators cannot read them, for reasons that no shape shows.

In: tensors. Out: one line, or None. Refused: nothing.
"""

from __future__ import annotations

import torch

from winograd.conv.gpu.device import card_of_tensor
from winograd.conv.tensors.facts import autocasts

Tensor = torch.Tensor


_PLAIN = (torch.Tensor, torch.nn.Parameter)


def tensor_obstacle(*given: Tensor | None) -> str | None:
    """Return why generated C cannot read these tensors, for a reason that their shapes do not show, or None."""
    device = next((tensor.device.type for tensor in given if tensor is not None and tensor.device.type != "cpu"), None)
    return plan_obstacle(*given) if device is None else f"device {device}, the native backend has cpu"


def plan_obstacle(*given: Tensor | None) -> str | None:
    """Return why no generated code can read these tensors, for a reason that their shapes do not show, or None."""
    tensors = [tensor for tensor in given if tensor is not None]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return "a gradient is required"
    return operator_obstacle(*tensors)


def operator_obstacle(*given: Tensor | None) -> str | None:
    """Return why neither generated code nor torch's operators made of it can read these tensors, or None."""
    tensors = [tensor for tensor in given if tensor is not None]
    device = next((tensor.device.type for tensor in tensors if tensor.device.type != "cpu"), "cpu")
    if device != "cpu" and any(card_of_tensor(tensor) is None for tensor in tensors):
        return f"device {device}, generated code has cpu and GPUs of NVIDIA"
    if any(type(tensor) not in _PLAIN or tensor.layout is not torch.strided for tensor in tensors):
        return "a tensor is not a plain dense one"
    if autocasts(device):
        return "autocast is on"
    return _transform_obstacle(tensors)


def _transform_obstacle(tensors: list[Tensor]) -> str | None:
    """Return which of torch's transformations is at work; C would compute past it."""
    if any(torch._C._functorch.is_functorch_wrapped_tensor(tensor) for tensor in tensors):
        return "a function transform is active"
    if torch.autograd.forward_ad._current_level >= 0:
        return "forward-mode differentiation is active"
    if torch._C._len_torch_dispatch_stack() or torch._C._get_tracing_state() is not None:
        return "torch is tracing"
    return None
