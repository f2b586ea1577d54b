"""Threads in a forked child: an OpenMP pool does not survive a fork, and a parallel region waits for it forever.

That holds for our kernels and for torch's own operations alike.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

import torch

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

FORKS: Final[list[bool]] = []
"""Not empty in a forked child. A list is looked at faster than an event, or than a function is called."""

os.register_at_fork(after_in_child=lambda: FORKS.append(True))


def has_lost_threads() -> bool:
    """Return whether this process is a forked child that torch would give more than its one thread."""
    return bool(FORKS) and torch.get_num_threads() > 1


def on_usable_threads(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Have torch, and kernels that ask it, use one thread in a function if this process is a forked child."""

    @wraps(function)
    def run(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        if not FORKS or not has_lost_threads():
            return function(*args, **kwargs)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return function(*args, **kwargs)
        finally:
            torch.set_num_threads(threads)

    return run
