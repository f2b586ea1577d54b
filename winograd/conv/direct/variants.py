"""The variants of direct convolution by name, for comparison.

In: torch tensors. Out: callables that each run one variant. Refused: what torch refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from winograd.conv.direct.convolve import convolve_direct, convolve_onednn
from winograd.conv.direct.packed import PackedDirect, TorchsOwn, pack_direct
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.tensors.layout import as_channels_last

Tensor = torch.Tensor


def direct_variants(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    shape: ConvShape,
    last: Tensor | None = None,
    packed: PackedDirect | TorchsOwn | None = None,
) -> dict[str, Callable[[], Tensor]]:
    """Return the variants of direct convolution that exist for these tensors, ready to be timed.

    Copies into another memory format and packing are done here, so that a call computes and nothing else.

    Parameters
    ----------
    input : Tensor of shape (N, C, sizes...)
    weight : Tensor of shape (K, C / groups, taps...)
    bias : Tensor of shape (K,), optional
    shape : ConvShape
    last : Tensor, optional
        The input in channels last, where there is such a copy already.
    packed : PackedDirect or TorchsOwn, optional
        The weight as it was made ready for this shape, likewise.

    Returns
    -------
    dict of name to callable
        "default" always; "channels_last" with 2 or 3 axes; "onednn" and "onednn_prepacked", each also with
        "_channels_last", for float32 on the CPU with oneDNN.
    """
    variants: dict[str, Callable[[], Tensor]] = {"default": partial(convolve_direct, input, weight, bias, shape)}
    if shape.ndim == 1:
        return variants
    last = as_channels_last(input) if last is None else last
    own = packed.own if isinstance(packed, PackedDirect) else packed
    weight_last = as_channels_last(weight) if own is None or own.kept is None else own.kept
    variants["channels_last"] = partial(convolve_direct, last, weight_last, bias, shape)
    packed = packed if isinstance(packed, PackedDirect) else pack_direct(weight, shape)
    if packed is not None and input.dtype == torch.float32 and input.device.type == "cpu":
        variants["onednn"] = partial(convolve_onednn, input, weight, bias, shape)
        variants["onednn_channels_last"] = partial(convolve_onednn, last, weight_last, bias, shape)
        variants["onednn_prepacked"] = partial(packed.run, input, weight, bias)
        variants["onednn_prepacked_channels_last"] = partial(packed.run, last, weight, bias)
    return variants
