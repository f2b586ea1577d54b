"""Memory formats: which one torch's convolution gives its output, and how to give it to ours.

In: the input and the weight of a convolution. Out: the output, channels last where torch's own would be.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def is_channels_last(tensor: torch.Tensor) -> bool:
    """Return True where torch takes the strides of (N, C, sizes...) for channels last.

    Strides that fit both formats count as contiguous, as in torch. One axis is seen as a row of a 2D image.

    Examples
    --------
    >>> is_channels_last(torch.zeros(1, 4, 5, 6).to(memory_format=torch.channels_last))
    True
    """
    if tensor.ndim == 3:
        tensor = tensor.unsqueeze(2)
    sizes, strides = tensor.shape, tensor.stride()
    return strides[1] != 0 and 0 not in sizes and _grow(sizes, strides)


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
    return tensor.contiguous(memory_format=_FORMATS.get(tensor.ndim, torch.contiguous_format))


def as_torch_would(output: torch.Tensor, input: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the output (N, K, sizes...) in the memory format that torch's convolution of these two would give it."""
    if is_channels_last(input) or is_channels_last(weight):
        return as_channels_last(output)
    return output.contiguous()
