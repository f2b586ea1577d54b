"""Operands: tensors as the compiled kernels read and write them, and the filter that is packed for one of them.

In: tensors, sizes, layouts. Out: memory that C can read or write. Refused: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch  # before any kernel is loaded: kernels then share torch's OpenMP runtime and its threads

from winograd.conv.scratch import fresh_memory
from winograd.conv.tensors.layout import Layout, dense_layout, in_layout, is_channels_last


@dataclass(frozen=True, slots=True)
class PackedFilter:
    """A transformed filter, packed for one algorithm on this machine, whatever dtype the weight had.

    Parameters
    ----------
    values : Tensor
        float32, float64 for a weight of that; one axis, in the order the kernel reads.
    channels, outputs : int
        Of the weight it was made from.
    algorithm : str
        Digest of the algorithm.
    """

    values: torch.Tensor
    channels: int
    outputs: int
    algorithm: str

    @property
    def nbytes(self) -> int:
        """Bytes of the transformed filter."""
        return self.values.numel() * self.values.element_size()


def fresh_tensor(sizes: tuple[int, ...], dtype: torch.dtype, layout: Layout) -> torch.Tensor:
    """Return an uninitialised tensor (N, C, sizes...) on the CPU in a layout."""
    if layout is Layout.CHANNELS_FIRST:
        return fresh_memory(sizes, dtype)
    return fresh_memory((sizes[0], *sizes[2:], sizes[1]), dtype).movedim(-1, 1)


def readable(tensor: torch.Tensor) -> tuple[torch.Tensor, Layout]:
    """Return a tensor as the kernel can read it, copied only if it is not dense, and its layout."""
    dense = dense_layout(tensor)
    if dense is not None:
        return tensor, dense
    nearest = Layout.CHANNELS_LAST if is_channels_last(tensor) else Layout.CHANNELS_FIRST
    return in_layout(tensor, nearest), nearest
