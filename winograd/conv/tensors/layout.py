"""Memory formats: which one torch's convolution gives its output, and how to give it to ours.

In: the input and the weight of a convolution. Out: the output, channels last where torch's own would be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

import torch


class Layout(Enum):
    """How (N, C, sizes...) lies in memory without gaps: one channel after the other, or all channels of a place."""

    CHANNELS_FIRST = "channels first"
    CHANNELS_LAST = "channels last"


FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
"""torch's names of channels last, by the number of axes of the tensor."""


# Asking for data_ptr counts as a write to memory that is copied when written.
read_address: Final[Callable[[torch.Tensor], int]] = getattr(torch.Tensor, "const_data_ptr", torch.Tensor.data_ptr)
"""Where memory begins that is only read."""


def is_channels_last(tensor: torch.Tensor) -> bool:
    """Return True where torch takes the strides of (N, C, sizes...) for channels last.

    Strides that fit both formats count as contiguous, as in torch. One axis is seen as a row of a 2D image.

    Examples
    --------
    >>> is_channels_last(torch.zeros(1, 4, 5, 6).to(memory_format=torch.channels_last))
    True
    """
    if tensor.layout is not torch.strided or is_plainly_contiguous(tensor):
        return False
    if tensor.ndim == 3:
        tensor = tensor.unsqueeze(2)
    sizes, strides = tensor.shape, tensor.stride()
    return strides[1] != 0 and 0 not in sizes and _grow(sizes, strides)


def is_plainly_contiguous(tensor: torch.Tensor) -> bool:
    """Return whether a channel takes up more than a number, and all is contiguous: then strides cannot grow from it."""
    return tensor.is_contiguous() and tensor.stride(1) > 1 and tensor.numel() > 1


def _grow(sizes: Sequence[int], strides: Sequence[int]) -> bool:
    """Return whether strides grow from channels over the last axis to the first, then to the batch."""
    least = 0
    for axis in (1, *range(len(sizes) - 1, 1, -1), 0):
        if strides[axis] < least or (axis == 0 and least == strides[1]):
            return False
        least = strides[axis] * max(sizes[axis], 1)
    return True


def as_channels_last(tensor: torch.Tensor) -> torch.Tensor:
    """Return (N, C, sizes...) with channels innermost, copied where they are not; one axis has no such format."""
    return tensor.contiguous(memory_format=FORMATS.get(tensor.ndim, torch.contiguous_format))


def dense_layout(tensor: torch.Tensor) -> Layout | None:
    """Return how a tensor lies in memory, CHANNELS_LAST where both are true; None if there are gaps or other orders.

    Examples
    --------
    >>> dense_layout(torch.zeros(1, 4, 5, 6)), dense_layout(torch.zeros(1, 4, 5, 6)[..., 1:])
    (<Layout.CHANNELS_FIRST: 'channels first'>, None)
    """
    if tensor.movedim(1, -1).is_contiguous():
        return Layout.CHANNELS_LAST
    return Layout.CHANNELS_FIRST if tensor.is_contiguous() else None


def is_dense_in(tensor: torch.Tensor, layout: Layout) -> bool:
    """Return whether a tensor lies in memory in this layout, without gaps."""
    return (tensor if layout is Layout.CHANNELS_FIRST else tensor.movedim(1, -1)).is_contiguous()


def in_layout(tensor: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Return a tensor in a layout, copied where it is not."""
    if layout is Layout.CHANNELS_FIRST:
        return tensor.contiguous()
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1)


def torchs_layout(input: torch.Tensor, weight: torch.Tensor) -> Layout:
    """Return the layout of the output of torch's convolution of these two; with one axis there is no choice."""
    last = input.ndim in FORMATS and (is_channels_last(input) or is_channels_last(weight))
    return Layout.CHANNELS_LAST if last else Layout.CHANNELS_FIRST


def as_torch_would(output: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Return the output (N, K, sizes...) with the strides that torch gives to outputs of a layout."""
    return as_channels_last(output) if layout is Layout.CHANNELS_LAST else output.contiguous()
