"""The weight and bias of a convolution that does what convolution and batch norm do, one after the other.

In: a weight, perhaps a bias, and a batch norm with running statistics. Out: both in the dtype of the weight, computed
in float64 and rounded once. Refused: what the dtype cannot hold, and norms of batch statistics.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

Norm = _BatchNorm
"""What torch's batch norms have in common."""


class Folded(NamedTuple):
    """What a convolution computes with in place of its own weight and bias."""

    weight: Tensor
    bias: Tensor


def fold_weights(weight: Tensor, bias: Tensor | None, norm: Norm) -> Folded | None:
    """Return s w and s (b - mean) + beta with s = gamma / sqrt(var + eps) for each output, each rounded once.

    Every channel of the output is scaled as its weight is, so a relative error that is predicted for the convolution
    holds for the folded one, but for the rounding of the weight: half a unit in the last place of each number.

    Parameters
    ----------
    weight : Tensor of shape (K, C / groups, taps...)
    bias : Tensor of shape (K,), optional
    norm : BatchNorm1d, BatchNorm2d or BatchNorm3d of K features

    Returns
    -------
    Folded or None
        New tensors without a gradient, the weight in the memory format of the given one; None where a number is not
        finite in the dtype of the weight, and where the norm has no running statistics.

    Examples
    --------
    >>> norm = torch.nn.BatchNorm1d(2, eps=0).eval()
    >>> _ = norm.running_var.fill_(4), norm.running_mean.fill_(1)
    >>> fold_weights(torch.ones(2, 1, 1), None, norm).bias
    tensor([-0.5000, -0.5000])
    """
    if norm.running_mean is None or norm.running_var is None:
        return None
    with torch.inference_mode(False), torch.no_grad():
        scale = (norm.running_var.double() + norm.eps).rsqrt()
        if norm.weight is not None:
            scale = scale * norm.weight.double()
        shift = -norm.running_mean.double() if bias is None else bias.double() - norm.running_mean.double()
        shift = shift * scale
        if norm.bias is not None:
            shift = shift + norm.bias.double()
        scaled = weight.double() * scale.view(-1, *[1] * (weight.ndim - 1))
        folded = Folded(scaled.to(weight.dtype), shift.to(weight.dtype))
    return folded if all(bool(tensor.isfinite().all()) for tensor in folded) else None
