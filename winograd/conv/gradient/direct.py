"""torch's own gradients of a convolution, one at a time: the fallback.

In: torch tensors of any dtype and device, a `ConvShape`. Out: the gradient of the input or of the weight, as torch's
automatic differentiation computes it. Refused: what torch refuses.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gradient.composed import cropped
from winograd.conv.tensors.layout import FORMATS, Layout

Tensor = torch.Tensor


def input_gradient_direct(grad_output: Tensor, weight: Tensor, shape: ConvShape, layout: Layout) -> Tensor:
    """Return torch's gradient of the input, of shape (N, C, sizes...), for an input that lies in a layout.

    Uneven padding is zeros around the input, whose gradients are dropped.
    """
    rest = _uneven(shape)
    sizes = [size + low + high for size, (low, high) in zip(shape.sizes, rest, strict=True)]
    input = _unset(grad_output, (shape.batch, shape.channels, *sizes), layout)
    found, _, _ = _backward(grad_output, input, weight, shape, [True, False, False])
    return cropped(found, rest)


def weight_gradient_direct(input: Tensor, grad_output: Tensor, shape: ConvShape, layout: Layout) -> Tensor:
    """Return torch's gradient of the weight, of shape (K, C / groups, taps...), for a weight that lies in a layout."""
    rest = _uneven(shape)
    if any(map(any, rest)):
        input = torch.constant_pad_nd(input, [side for pair in reversed(rest) for side in pair])
    weight = _unset(grad_output, shape.weight_sizes, layout)
    _, found, _ = _backward(grad_output, input, weight, shape, [False, True, False])
    return found


def _backward(
    grad_output: Tensor, input: Tensor, weight: Tensor, shape: ConvShape, mask: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        grad_output,
        input,
        weight,
        None,
        shape.stride,
        [min(pair) for pair in shape.padding],
        shape.dilation,
        False,
        [0] * shape.ndim,
        shape.groups,
        mask,
    )
    return found


def _uneven(shape: ConvShape) -> tuple[tuple[int, int], ...]:
    """Return the zeros on each side beyond those that both sides have."""
    return tuple((low - min(low, high), high - min(low, high)) for low, high in shape.padding)


def _unset(like: Tensor, sizes: Sequence[int], layout: Layout) -> Tensor:
    """Return memory for a tensor whose sizes and layout count, and whose values do not; its pages are not touched."""
    last = layout is Layout.CHANNELS_LAST
    form = FORMATS.get(len(sizes), torch.contiguous_format) if last else torch.contiguous_format
    return torch.empty(tuple(sizes), dtype=like.dtype, device=like.device, memory_format=form)
