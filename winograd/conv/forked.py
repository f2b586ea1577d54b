"""Threads in a forked child: an OpenMP pool does not survive a fork, and a parallel region waits for it forever.

That holds for our kernels and for torch's own operations alike.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_forked = threading.Event()
os.register_at_fork(after_in_child=_forked.set)


def has_lost_threads() -> bool:
    """Return whether this process is a forked child that torch would give more than its one thread."""
    return _forked.is_set() and torch.get_num_threads() > 1


def on_usable_threads(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Have torch, and kernels that ask it, use one thread in a function if this process is a forked child."""

    @wraps(function)
    def run(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        if not has_lost_threads():
            return function(*args, **kwargs)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return function(*args, **kwargs)
        finally:
            torch.set_num_threads(threads)

    return run
