"""Scratch: the memory that a thread keeps between calls, since fresh memory costs a page fault every 4 KiB.

In: how many bytes a call needs, and how many may be kept for later ones. Out: memory that nothing has written to, valid
until the thread asks again. It is one buffer, shared by all that a call needs, so that what different calls need does
not add up. Refused: nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final

import torch

from winograd.conv.limits import memory_limits
from winograd.conv.memory import advise_huge_pages, whole_lines

Scratch = Callable[[int], torch.Tensor]
"""Gives at least so many bytes."""


class _Thread(threading.local):
    def __init__(self) -> None:
        self.kept: torch.Tensor | None = None


_thread: Final = _Thread()


def scratch(size: int, cap: int | None = None) -> torch.Tensor:
    """Return at least so many bytes of the memory that the thread keeps.

    Parameters
    ----------
    size : int
    cap : int, optional
        Bytes that may be kept beyond what this call needs, else there is less memory from now on; None takes the limit
        on the workspace, see `winograd.conv.limits.memory_limits`.
    """
    most = memory_limits().workspace if cap is None else cap
    kept = _thread.kept
    if kept is not None and size <= kept.numel() and (most is None or kept.numel() <= max(size, most)):
        return kept
    kept = _thread.kept = None  # before there is other memory
    kept = _thread.kept = fresh_memory((size,), torch.uint8)
    return kept


def carve(sizes: Sequence[int], cap: int | None = None) -> list[torch.Tensor]:
    """Return pieces of so many bytes of `scratch`, each from the start of a cache line.

    Examples
    --------
    >>> [piece.numel() for piece in carve((100, 8))], kept_bytes() >= 128 + 8
    ([100, 8], True)
    """
    *starts, used = accumulate((whole_lines(size) for size in sizes), initial=0)
    memory = scratch(used - whole_lines(sizes[-1]) + sizes[-1], cap)
    return [memory[start : start + size] for start, size in zip(starts, sizes, strict=True)]


def kept_bytes() -> int:
    """Return how many bytes the calling thread keeps."""
    return 0 if _thread.kept is None else _thread.kept.numel()


def release_workspace() -> None:
    """Free the memory that the calling thread keeps between calls."""
    _thread.kept = None


def fresh_memory(sizes: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Return uninitialised memory that C can write to, whatever torch's default device and dtype are."""
    values = torch.empty(sizes, dtype=dtype, device="cpu")
    advise_huge_pages(values.data_ptr(), values.nbytes)
    return values
