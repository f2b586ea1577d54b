"""Operands: tensors as the compiled kernels read and write them, and the filter that is packed for one of them.

In: tensors, sizes, layouts. Out: memory that C can read or write. Refused: tensors of another dtype or number of axes,
empty ones, and ones that are not on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch  # before any kernel is loaded: kernels then share torch's OpenMP runtime and its threads

from winograd.conv.scratch import Scratch, fresh_memory
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


def check_operand(name: str, tensor: torch.Tensor, *, dtype: torch.dtype, ndim: int) -> None:
    """Refuse what the kernels for tensors (N, C, sizes...) of a dtype and so many sizes cannot read or write.

    Raises
    ------
    ValueError
        For another dtype, device or number of axes, and for an empty tensor; one line that names it.

    Examples
    --------
    >>> check_operand("weight", torch.ones(2, 3), dtype=torch.float32, ndim=1)
    Traceback (most recent call last):
    ...
    ValueError: weight has 2 dimensions, must have 3
    """
    if tensor.dtype != dtype or tensor.device.type != "cpu":
        wanted = str(dtype).removeprefix("torch.")
        raise ValueError(f"{name} is {tensor.dtype} on {tensor.device}, must be {wanted} on the CPU")
    if tensor.ndim != ndim + 2:
        raise ValueError(f"{name} has {tensor.ndim} dimensions, must have {ndim + 2}")
    if prod(tensor.shape) == 0:
        raise ValueError(f"{name} of shape {tuple(tensor.shape)} is empty")


def workspace_of(memory: Scratch, size: int) -> torch.Tensor:
    """Return at least so many bytes of memory, or refuse what gives less."""
    workspace = memory(size)
    if workspace.nbytes < size:
        raise RuntimeError(f"internal error: a workspace of {workspace.nbytes} bytes, the kernel needs {size}")
    return workspace


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
