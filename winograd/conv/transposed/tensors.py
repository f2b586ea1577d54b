"""Tensors of a transposed convolution as those of its dense convolution, and outputs where they belong.

In: torch tensors and a `TransposedShape`. Out: filter, samples and bias of its core; the output from that of the core.
All but `join` can be differentiated.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import torch

from winograd.conv.tensors.layout import as_channels_last, is_channels_last
from winograd.conv.transposed.shape import TransposedShape

Tensor = torch.Tensor


def core_weight(shape: TransposedShape, weight: Tensor) -> Tensor:
    """Return the filter of the dense convolution, of shape (phases K, C / groups, core taps...).

    Tap t of phase q is tap stride t + q of the weight, the last first, with zeros where there is none.

    Examples
    --------
    >>> from winograd.conv.transposed.arguments import TransposedArguments
    >>> shape = TransposedArguments(stride=2).shape((1, 1, 5), (1, 1, 3), dtype="float32")
    >>> core_weight(shape, torch.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[3., 1.]],
    <BLANKLINE>
            [[0., 2.]]])
    """
    axes, groups, ndim = shape.axes, shape.groups, shape.ndim
    whole = _whole_taps(shape, weight)
    grouped = torch.unflatten(whole.flatten(2), 0, (groups, -1))  # (G, C / G, K / G, taps)
    split = [count for axis in axes for count in (axis.core_taps, axis.stride)]
    taps, phases = range(0, 2 * ndim, 2), range(1, 2 * ndim, 2)
    if shape.joins:
        places = torch.arange(prod(split), device=weight.device).reshape(split)
        order = places.permute(*phases, *taps).flip(tuple(range(ndim, 2 * ndim))).flatten()
        found = torch.unflatten(grouped.index_select(3, order), 3, (shape.phases, -1)).permute(0, 3, 2, 1, 4)
    else:
        found = grouped.flip(3).transpose(1, 2)
    core = shape.core
    dense = found.reshape(core.weight_sizes)
    return as_channels_last(dense) if is_channels_last(weight) else dense.contiguous()


def _whole_taps(shape: TransposedShape, weight: Tensor) -> Tensor:
    """Return the weight with zeros between the taps of dilated axes, and at the end for phases with fewer taps."""
    for position, axis in enumerate(shape.axes, start=2):
        if axis.spreads:
            apart = torch.constant_pad_nd(weight.movedim(position, -1).unsqueeze(-1), [0, axis.dilation - 1])
            weight = apart.flatten(-2).narrow(-1, 0, axis.extent).movedim(-1, position)
    missing = [axis.core_taps * axis.stride - weight.shape[2 + at] for at, axis in enumerate(shape.axes)]
    if not any(missing):
        return weight
    return torch.constant_pad_nd(weight, [side for count in reversed(missing) for side in (0, count)])


def edged(shape: TransposedShape, input: Tensor) -> Tensor:
    """Return the input, without the samples that padding leaves out."""
    if not any(map(any, shape.edges)):
        return input
    return torch.constant_pad_nd(input, [side for edge in reversed(shape.edges) for side in edge])


def core_bias(shape: TransposedShape, bias: Tensor | None) -> Tensor | None:
    """Return the bias of the core: that of an output for each of its phases."""
    if bias is None or not shape.joins:
        return bias
    return torch.unflatten(bias, 0, (shape.groups, 1, -1)).expand(-1, shape.phases, -1).flatten()


def join(shape: TransposedShape, dense: Tensor, output: Tensor) -> None:
    """Write outputs of the dense convolution where they belong."""
    parts = torch.unflatten(dense, 1, (shape.groups, shape.phases, -1))
    target = torch.unflatten(output, 1, (shape.groups, -1))
    for number, phase in enumerate(product(*(range(axis.stride) for axis in shape.axes))):
        read: list[Any] = [slice(None)] * 3
        written: list[Any] = [slice(None)] * 3
        for axis, q in zip(shape.axes, phase, strict=True):
            first, place, count = axis.outputs_of(q)
            read.append(slice(first, first + count))
            written.append(slice(place, place + count * axis.stride, axis.stride))
        target[tuple(written)] = parts[:, :, number][tuple(read)]


def joined(shape: TransposedShape, dense: Tensor) -> Tensor:
    """Return outputs of the dense convolution where they belong, in a way that can be differentiated."""
    ndim, strides = shape.ndim, shape.along("stride")
    parts = torch.unflatten(dense, 1, (shape.groups, *strides, -1))
    places = [place for axis in range(ndim) for place in (3 + ndim + axis, 2 + axis)]
    sizes = [count * stride for count, stride in zip(shape.along("core_output"), strides, strict=True)]
    whole = parts.permute(0, 1, 2 + ndim, *places).reshape(dense.shape[0], shape.outputs, *sizes)
    for position, axis in enumerate(shape.axes, start=2):
        whole = whole.narrow(position, axis.skipped, axis.output)
    return whole
