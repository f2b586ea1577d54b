"""Weights made ready for direct convolution, with the calls that read them.

In: a weight and a shape. Out: the weight packed for oneDNN, or in both memory formats for torch's own convolution, and
for each way in which an input may lie in memory the call that runs at once. Refused: what torch refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch

from winograd.conv.direct.convolve import (
    FUNCTIONS,
    is_faster_packed,
    is_packable,
    is_slow_in_torch,
    remaining_zeros,
    torchs_arguments,
)
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.tensors.layout import FORMATS, Layout, as_channels_last, is_channels_last

Tensor = torch.Tensor

Run = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""Convolves an input, a weight and a bias, where the input lies in memory as is known."""

Ready = Mapping[tuple[int, ...], Run]
"""What runs at once, by the strides of the input.

A layer that reads megabytes leaves the caches cold for the next call: every function and every object of Python on the
way to the convolution then costs a microsecond or more, ten times of what it costs in a loop around a small one. So all
that can be decided beforehand is, and one look at the strides is left.
"""

_REORDER = {2: "mkldnn_reorder_conv2d_weight", 3: "mkldnn_reorder_conv3d_weight"}


@dataclass(frozen=True, slots=True)
class TorchsOwn:
    """torch's own convolution of one shape, for inputs in channels last with a weight that is kept in that format, too.

    With a weight in the other format torch copies one of the two in every call.
    """

    first: Run
    last: Run
    kept: Tensor | None
    ready: Ready

    @property
    def nbytes(self) -> int:
        """Bytes of the weight in channels last."""
        return 0 if self.kept is None else self.kept.numel() * self.kept.element_size()

    def __call__(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution, without a gradient to the weight where it is kept in channels last."""
        run = self.last if self.kept is not None and _is_last(input) else self.first
        return run(input, weight, bias)


def torchs_own(weight: Tensor, shape: ConvShape) -> TorchsOwn | None:
    """Return torch's own convolution, or None where `convolve_onednn` is faster."""
    if is_slow_in_torch(weight, shape):
        return None
    kept = as_channels_last(weight.detach()) if weight.ndim in FORMATS and weight.is_contiguous() else None
    first, last = _own_call(shape, None), _own_call(shape, kept)
    runs = {Layout.CHANNELS_FIRST: first, Layout.CHANNELS_LAST: last}
    return TorchsOwn(first, last, kept, _by_strides(shape, runs))


def _own_call(shape: ConvShape, kept: Tensor | None) -> Run:
    """Return the call of torch's own convolution with a weight that is kept, or with the one that is given."""
    function, arguments, rest = FUNCTIONS[shape.ndim], torchs_arguments(shape), remaining_zeros(shape)

    def run(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padded = torch.constant_pad_nd(input, rest) if rest else input
        return function(padded, weight if kept is None else kept, bias, *arguments)

    return run


@dataclass(frozen=True, slots=True)
class PackedDirect:
    """A weight in the layout that oneDNN's direct convolution of one shape reads; opaque, and not to be saved.

    Beside it are the call that reads it, the rest of that call's arguments, the zeros to be added first, the layouts of
    the output for which it is faster than the weight as it is, and torch's own convolution for the others.
    """

    blocked: Tensor
    run: Run
    arguments: tuple[Any, ...]
    rest: list[int]
    layouts: tuple[Layout, ...]
    own: TorchsOwn | None
    ready: Ready

    @property
    def nbytes(self) -> int:
        """Bytes of the packed weight, those that fill up blocks left out."""
        return self.blocked.numel() * self.blocked.element_size()


def pack_direct(weight: Tensor, shape: ConvShape) -> PackedDirect | None:
    """Return the weight reordered once for oneDNN, or None where oneDNN has no such path.

    torch reorders the weight in every call otherwise, and sends small 3D layers at batch 1 through a slower path.

    Parameters
    ----------
    weight : Tensor of shape (K, C / groups, taps...), float32 on the CPU
    shape : ConvShape
        With 2 or 3 axes.
    """
    if not is_packable(weight, shape):
        return None
    reorder = getattr(torch._C._nn, _REORDER[shape.ndim])
    sizes = (shape.batch, shape.channels, *_evened_sizes(shape))
    stride, padding, dilation, groups = torchs_arguments(shape)
    with torch.no_grad():
        dense = weight.detach().contiguous().to_mkldnn()
        blocked = reorder(dense, padding, stride, dilation, groups, sizes)
    arguments: tuple[Any, ...] = (padding, stride, dilation, groups, "none", [], "")
    rest = remaining_zeros(shape)
    run = _packed_call(blocked, arguments, rest)
    layouts = tuple(layout for layout in Layout if is_faster_packed(shape, layout))
    own = torchs_own(weight, shape)
    has_places = prod(shape.sizes) > 1  # without, an input is contiguous and channels last at once
    runs = _runs_of_contiguous(run, layouts, own) if has_places and not is_channels_last(weight) else {}
    if Layout.CHANNELS_LAST in layouts:
        runs[Layout.CHANNELS_LAST] = run
    return PackedDirect(blocked, run, arguments, rest, layouts, own, _by_strides(shape, runs))


def _packed_call(blocked: Tensor, arguments: tuple[Any, ...], rest: list[int]) -> Run:
    """Return the call of oneDNN with a packed weight; its output is channels last, and has no gradient."""
    operator = torch.ops.mkldnn._convolution_pointwise.default.op
    has_gradient = torch.is_grad_enabled

    def run(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if has_gradient():
            with torch.no_grad():
                return run(input, weight, bias)
        padded = torch.constant_pad_nd(input, rest) if rest else input
        result: Tensor = operator(padded, blocked, bias, *arguments)
        return result

    return run


def _runs_of_contiguous(run: Run, layouts: tuple[Layout, ...], own: TorchsOwn | None) -> dict[Layout, Run]:
    """Return what convolves contiguous inputs where the weight is contiguous, too, and the output is to be."""
    if Layout.CHANNELS_FIRST in layouts:
        return {Layout.CHANNELS_FIRST: lambda input, weight, bias: run(input, weight, bias).contiguous()}
    return {} if own is None else {Layout.CHANNELS_FIRST: own.first}


def _by_strides(shape: ConvShape, runs: Mapping[Layout, Run]) -> Ready:
    """Return the calls by the strides that inputs of their layout have; strides of both count as contiguous."""
    sample = torch.empty((shape.batch, shape.channels, *shape.sizes), device="meta")
    last = as_channels_last(sample)
    samples = {Layout.CHANNELS_FIRST: sample, **({Layout.CHANNELS_LAST: last} if _is_last(last) else {})}
    return {input.stride(): runs[layout] for layout, input in samples.items() if layout in runs}


def _is_last(input: Tensor) -> bool:
    if input.ndim not in FORMATS or input.is_contiguous():
        return False
    return input.is_contiguous(memory_format=FORMATS[input.ndim])


def _evened_sizes(shape: ConvShape) -> tuple[int, ...]:
    return tuple(size + abs(high - low) for size, (low, high) in zip(shape.sizes, shape.padding, strict=True))


def convolve_packed(input: Tensor, packed: PackedDirect, bias: Tensor | None = None) -> Tensor:
    """Return direct convolution with a packed weight, channels last, for inputs in any memory format."""
    return packed.run(input, packed.blocked, bias)
