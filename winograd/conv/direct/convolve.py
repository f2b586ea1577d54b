"""torch's own convolution: the fallback, by whom torch computes it, and where oneDNN is faster.

In: torch tensors and shapes. Out: tensors, and which way is faster. Nothing here goes through
``torch.nn.functional.conv3d``. Refused: what torch refuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from winograd.conv.geometry.shape import ConvShape
from winograd.conv.tensors.layout import Layout

Tensor = torch.Tensor

FUNCTIONS: Mapping[int, Callable[..., Tensor]] = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
"""torch's own convolution by number of axes."""

_AXES = (2, 3)
"""Numbers of axes of which oneDNN has weights to pack and a path of its own in torch."""

_SMALL_INPUT = 20480
"""Channels times the first two sizes up to which torch keeps an input of batch 1 from oneDNN."""

_LEAST_MACS = {2: 5_000_000, 3: 1_000_000}
"""By axes: from so many multiplications on, oneDNN saves more than its call and reordering the weight cost."""

_FEW_UNFOLDED = 20_000
"""Elements of the unfolded input below which torch's way was faster, in 3D too, in all of 16 layers below 5e6 MACs."""

_LEAST_PACKED_MACS = {2: 1_000_000, 3: 300_000}
"""The same with a packed weight."""

_LEAST_REORDERED_MACS, _LEAST_REORDERED = 600_000, 16_000
"""Multiplications, or numbers of the blocked weight, from which on torch, where it calls oneDNN itself, takes longer to
reorder the weight each time than a packed one takes to look after."""

_BLOCK = 16
"""oneDNN fills up channels and outputs of a weight to a multiple of this."""

_LEAST_UNFOLDED = 60_000
"""Elements of the unfolded input from which on writing them is what takes torch so long."""

_LEAST_POINTWISE_MACS = 10_000_000
"""The same for one tap, where torch, too, has nothing but a matrix product to compute."""

_LEAST_PACKED_POINTWISE_MACS = 1_000_000

_LEAST_PLACES = 48
"""Outputs of a channel below which reordering the weight takes longer than the convolution."""

_FEW_OUTPUTS, _MANY_TAPS = 16, 64
"""Outputs up to which, and taps from which on, oneDNN is faster channels first than channels last."""

_CHEAPLY_COPIED = 100_000
"""Outputs that stay in the cache until they are copied into another memory format."""


def convolve_direct(input: Tensor, weight: Tensor, bias: Tensor | None, shape: ConvShape) -> Tensor:
    """Return torch's own convolution; uneven padding becomes zeros around the input first, as torch does for 'same'."""
    return FUNCTIONS[shape.ndim](pad_rest(input, shape), weight, bias, *torchs_arguments(shape))


def convolve_onednn(input: Tensor, weight: Tensor, bias: Tensor | None, shape: ConvShape) -> Tensor:
    """Return direct convolution by oneDNN, without a gradient, for inputs of (N, C, sizes...) in any memory format."""
    stride, padding, dilation, groups = torchs_arguments(shape)
    with torch.no_grad():
        return torch.mkldnn_convolution(pad_rest(input, shape), weight, bias, padding, stride, dilation, groups)


def is_slow_in_torch(weight: Tensor, shape: ConvShape) -> bool:
    """Return whether torch keeps this shape from oneDNN, which computes it faster with the weight as it is.

    torch does so at batch 1 for small inputs and kernels, by unfolding the input and a matrix product.
    """
    if not is_unfolded(shape) or math.prod(shape.output) < _LEAST_PLACES or not is_packable(weight, shape):
        return False
    if _taps(shape) == 1:
        return shape.macs >= _LEAST_POINTWISE_MACS
    return shape.macs >= _LEAST_MACS[2 if _unfolded(shape) < _FEW_UNFOLDED else shape.ndim]


def is_faster_packed(shape: ConvShape, layout: Layout) -> bool:
    """Return whether oneDNN is faster with a packed weight than with the weight as it is, for outputs of a layout.

    With a packed weight it writes channels last; where the output is to be contiguous, copying it may cost more than
    reordering the weight does, and does so for one tap.
    """
    if layout is Layout.CHANNELS_LAST:
        return True
    outputs = shape.batch * shape.outputs * math.prod(shape.output)
    weights = math.prod(shape.weight_sizes)
    large = shape.outputs <= _FEW_OUTPUTS and _taps(shape) >= _MANY_TAPS
    return _taps(shape) > 1 and not large and (outputs <= _CHEAPLY_COPIED or weights >= 2 * outputs)


def is_worth_packing(shape: ConvShape) -> bool:
    """Return whether oneDNN with a packed weight is faster than torch's own convolution by more than its call costs."""
    if shape.ndim not in _AXES:
        return False
    if _blocked(shape) >= _LEAST_REORDERED:
        return True
    if _taps(shape) == 1:
        return shape.macs >= _LEAST_PACKED_POINTWISE_MACS
    if not is_unfolded(shape):
        return shape.macs >= _LEAST_REORDERED_MACS
    return shape.macs >= _LEAST_PACKED_MACS[shape.ndim] or shape.macs >= shape.outputs * _LEAST_UNFOLDED


def is_unfolded(shape: ConvShape) -> bool:
    """Return whether torch computes this shape by a matrix product of the unfolded input, and not by oneDNN."""
    if shape.ndim not in _AXES or shape.batch != 1 or shape.groups != 1:
        return False
    return shape.channels * math.prod(shape.sizes[:2]) <= _SMALL_INPUT and min(shape.taps[-2:]) <= 3


def _blocked(shape: ConvShape) -> int:
    """Return the numbers of the weight in the layout that oneDNN reads."""
    channels, outputs = (-(-size // shape.groups // _BLOCK) * _BLOCK for size in (shape.channels, shape.outputs))
    return shape.groups * channels * outputs * _taps(shape)


def _unfolded(shape: ConvShape) -> int:
    """Return the elements of the unfolded input, which torch writes."""
    return shape.channels * _taps(shape) * math.prod(shape.output)


def _taps(shape: ConvShape) -> int:
    return math.prod(shape.taps)


def torchs_arguments(shape: ConvShape) -> tuple[Any, ...]:
    """Return stride, even padding, dilation and groups, as torch's convolutions take them."""
    return shape.stride, tuple(min(pair) for pair in shape.padding), shape.dilation, shape.groups


def pad_rest(input: Tensor, shape: ConvShape) -> Tensor:
    """Return the input with the zeros around it that torch's convolutions do not add."""
    rest = remaining_zeros(shape)
    return torch.constant_pad_nd(input, rest) if rest else input


def remaining_zeros(shape: ConvShape) -> list[int]:
    """Return the zeros that torch's convolutions do not add, in the order of `torch.constant_pad_nd`; none if even."""
    if all(low == high for low, high in shape.padding):
        return []
    return [side - min(pair) for pair in reversed(shape.padding) for side in pair]


def is_packable(weight: Tensor, shape: ConvShape) -> bool:
    """Return whether oneDNN has a layout of its own for this weight."""
    plain = weight.device.type == "cpu" and weight.dtype == torch.float32 and not shape.is_empty
    return plain and shape.ndim in _AXES and torch._C._has_mkldnn and bool(torch._C._get_mkldnn_enabled())
