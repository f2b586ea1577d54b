"""Threads in a forked child: an OpenMP pool does not survive a fork, and a parallel region waits for it forever.

That holds for our kernels and for torch's own operations alike.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_forked = threading.Event()
os.register_at_fork(after_in_child=_forked.set)


def has_lost_threads() -> bool:
    """Return whether this process is a forked child that torch would give more than its one thread."""
    return _forked.is_set() and torch.get_num_threads() > 1


@contextmanager
def usable_threads() -> Iterator[None]:
    """Have torch, and kernels that ask it, use one thread meanwhile if this process is a forked child."""
    threads = torch.get_num_threads()
    if threads == 1 or not _forked.is_set():
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
