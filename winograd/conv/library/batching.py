"""Batching: what `torch.vmap` does with torch's operators for our convolution.

In: tensors of which some have one more axis. Out: one call of an operator for all of it, and where its further axis is:
it joins the batch where the weight has none, else every one of its entries is a group. Refused: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

Tensor = torch.Tensor
Places = Sequence[int | None]

_KEPT = 2
"""Which of the terms says that the transformed weight is kept."""


def convolution_batched(
    info: Any,
    places: Places,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    *terms: Any,
) -> tuple[Tensor, int]:
    """Return the convolutions, and the axis that tells them apart."""
    count, run = info.batch_size, torch.ops.winograd.convolution.default
    geometry = stride, padding, dilation
    if places[1] is None:
        source = _in_front(input, places[0], count).flatten(0, 1)
        output, place = run(source, weight, None, *geometry, groups, *terms).unflatten(0, (count, -1)), 0
    else:
        source, filters = _as_groups(input, places[0], count), _in_front(weight, places[1], count).flatten(0, 1)
        followed = (*terms[:_KEPT], *(False,) * (len(terms) > _KEPT), *terms[_KEPT + 1 :])
        output, place = run(source, filters, None, *geometry, count * groups, *followed).unflatten(1, (count, -1)), 1
    if bias is None:
        return output, place
    shift = _in_front(bias, places[2], count).unsqueeze(1 - place)
    return output + shift.reshape(*shift.shape, *(1,) * (output.ndim - 3)), place


def input_gradient_batched(
    info: Any,
    places: Places,
    grad_output: Tensor,
    weight: Tensor,
    sizes: Sequence[int],
    channels_last: bool,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    *terms: Any,
) -> tuple[Tensor, int]:
    """Return the gradients of the inputs, and the axis that tells them apart."""
    count, run = info.batch_size, torch.ops.winograd.input_gradient.default
    batch, channels, *rest = sizes
    geometry = stride, padding, dilation
    if places[1] is None:
        source, whole = _in_front(grad_output, places[0], count).flatten(0, 1), (count * batch, channels, *rest)
        return run(source, weight, whole, channels_last, *geometry, groups, *terms).unflatten(0, (count, batch)), 0
    source, filters = _as_groups(grad_output, places[0], count), _in_front(weight, places[1], count).flatten(0, 1)
    whole = batch, count * channels, *rest
    found = run(source, filters, whole, channels_last, *geometry, count * groups, *terms)
    return found.unflatten(1, (count, channels)), 1


def weight_gradient_batched(
    info: Any,
    places: Places,
    input: Tensor,
    grad_output: Tensor,
    sizes: Sequence[int],
    channels_last: bool,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    *terms: Any,
) -> tuple[Tensor, int]:
    """Return the gradients of the weights, and the axis that tells them apart."""
    count, run = info.batch_size, torch.ops.winograd.weight_gradient.default
    source, slope = (_as_groups(one, place, count) for one, place in zip((input, grad_output), places, strict=False))
    whole = count * sizes[0], *sizes[1:]
    found = run(source, slope, whole, channels_last, stride, padding, dilation, count * groups, *terms)
    return found.unflatten(0, (count, sizes[0])), 0


def _in_front(tensor: Tensor, place: int | None, count: int) -> Tensor:
    """Return a tensor with the further axis first, the same for all entries where it has none."""
    return tensor.expand(count, *tensor.shape) if place is None else tensor.movedim(place, 0)


def _as_groups(tensor: Tensor, place: int | None, count: int) -> Tensor:
    """Return (N, C, sizes...) with a further axis as (N, entries x C, sizes...)."""
    return _in_front(tensor, place, count).movedim(0, 1).flatten(1, 2)
