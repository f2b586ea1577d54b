"""Reading: torch tensors and the arguments of a convolution as its shape.

In: tensors, the arguments of torch's convolutions. Out: a `ConvShape`. Refused: what makes no convolution; torch's own
refuses most of that in its own words.
"""

from __future__ import annotations

from typing import Final

import torch

from winograd.conv.arguments import ConvArguments
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.device import card_of_tensor
from winograd.conv.tensors.facts import are_tensors

Tensor = torch.Tensor


UNREADABLE: Final = (TypeError, ValueError, AttributeError)
"""What `read_shape` raises; torch's own convolution refuses most of that in its own words."""


def read_shape(input: Tensor, weight: Tensor, bias: Tensor | None, arguments: ConvArguments, *, ndim: int) -> ConvShape:
    """Return the shape of a convolution of tensors, which must be of one dtype and on one device.

    Parameters
    ----------
    input : Tensor of shape (N, C, sizes...) or (C, sizes...)
    weight : Tensor of shape (K, C / groups, taps...)
    bias : Tensor of shape (K,), optional
    arguments : ConvArguments
        Stride, padding, dilation and groups as in torch.
    ndim : int
        Axes of the convolution, 1 to 3.

    Raises
    ------
    TypeError, ValueError, AttributeError
        If the arguments make no convolution, or are no tensors: let torch's own raise its error.
    """
    if not are_tensors(input, weight, bias):
        raise TypeError("input, weight and bias must be tensors")
    if weight.ndim != ndim + 2:
        raise ValueError(f"weight has {weight.ndim} axes, must have {ndim + 2}")
    for name, other in (("weight", weight), ("bias", bias)):
        if other is not None and (other.dtype, other.device) != (input.dtype, input.device):
            raise ValueError(f"{name} is {other.dtype} on {other.device}, input is {input.dtype} on {input.device}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias of shape {tuple(bias.shape)}, must be {tuple(weight.shape[:1])}")
    dtype = str(input.dtype).removeprefix("torch.")
    return arguments.shape(tuple(input.shape), tuple(weight.shape), dtype=dtype, card=card_of_tensor(input))
