"""Memory: cache lines, and large pages for what is about to be written for the first time, where there are any.

In: an address and a size. The advice changes the time, never the result: fresh memory costs a page fault for every
4 KiB, which large outputs wait for; with pages of 2 MiB it is one for every 512 of these.
"""

from __future__ import annotations

import ctypes
import mmap
from functools import lru_cache
from typing import Any, Final

LEAST_BYTES: Final = 4 << 20
"""Smaller memory gains nothing, and may be a part of what was touched before."""

LINE_BYTES: Final = 64
"""Of a cache line."""

_PAGE: Final = 2 << 20


def whole_lines(size: int) -> int:
    """Return the bytes of the cache lines that hold so many.

    Examples
    --------
    >>> whole_lines(1), whole_lines(64)
    (64, 64)
    """
    return -(-size // LINE_BYTES) * LINE_BYTES


def advise_huge_pages(address: int, size: int) -> None:
    """Ask the system for large pages in a range of memory; nothing happens where it is small or there are none."""
    first, end = -(-address // _PAGE) * _PAGE, (address + size) // _PAGE * _PAGE
    advise = _madvise()
    if size >= LEAST_BYTES and end > first and advise is not None:
        advise(first, end - first, mmap.MADV_HUGEPAGE)


@lru_cache(maxsize=1)
def _madvise() -> Any | None:
    """Return the system's ``madvise``, or None where it has none or knows no large pages."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return None
    function = getattr(ctypes.CDLL(None), "madvise", None)
    if function is not None:
        function.argtypes, function.restype = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int), ctypes.c_int
    return function
