"""Facts about tensors that decide who computes with them.

In: tensors. Out: yes or no. Refused: nothing.
"""

from __future__ import annotations

import torch

Tensor = torch.Tensor


def are_tensors(input: object, weight: object, bias: object) -> bool:
    """Return whether these are tensors, the bias perhaps None; what torch.fx passes while it traces is none."""
    return isinstance(input, Tensor) and isinstance(weight, Tensor) and (bias is None or isinstance(bias, Tensor))


def are_strided(*tensors: Tensor | None) -> bool:
    """Return whether tensors lie in memory by strides; sparse ones and those of oneDNN do not."""
    return all(tensor is None or tensor.layout is torch.strided for tensor in tensors)


def autocasts(device_type: str) -> bool:
    """Return whether autocast is on for such a device; devices that know none, "meta" for one, have it off.

    Examples
    --------
    >>> autocasts("cpu"), autocasts("meta")
    (False, False)
    """
    known = device_type == "cpu" or torch.amp.autocast_mode.is_autocast_available(device_type)
    return known and torch.is_autocast_enabled(device_type)


def needs_gradient(input: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Return whether the result of these tensors is to be differentiated."""
    asked = input.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
    return asked and torch.is_grad_enabled()
