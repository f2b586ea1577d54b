"""Engagement: how often Winograd ran, counted where its backends do their work.

In: functions of the backends. Out: counts, and lines that say them. Nothing is asked of a plan, which could be wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any, Final
from unittest.mock import patch

HOOKS: Final = (
    ("native", "winograd.conv.native", "NativeConvolution.convolve"),
    ("composed", "winograd.conv.composed", "load_transforms"),
)
"""What is counted under which name: every run of Winograd calls one of these."""

RUNS: Final[Counter[str]] = Counter()
"""Runs of Winograd in this process, by backend."""

CALLS: Final[Counter[str]] = Counter()
"""Calls of our operators and modules in this process: of which variant, and what became of them."""


@contextmanager
def counted() -> Iterator[None]:
    """Count runs of Winograd inside the block."""
    with ExitStack() as stack:
        for name, module, path in HOOKS:
            owner, attribute = _owner(import_module(module), path)
            stack.enter_context(patch.object(owner, attribute, _counting(name, getattr(owner, attribute))))
        yield


def runs() -> int:
    """Return how often Winograd ran so far."""
    return RUNS.total()


def summary() -> list[str]:
    """Return the counts of this process as lines, none if nothing was counted."""
    made = [f"{count:7d} calls {what}" for what, count in sorted(CALLS.items())]
    return made + [f"{count:7d} runs of Winograd, {name}" for name, count in sorted(RUNS.items())]


def _owner(module: Any, path: str) -> tuple[Any, str]:
    *outer, attribute = path.split(".")
    for name in outer:
        module = getattr(module, name)
    return module, attribute


def _counting(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    def counting(*arguments: Any, **named: Any) -> Any:
        RUNS[name] += 1
        return run(*arguments, **named)

    return counting
