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
    ("native", "winograd.conv.native.kernel", "NativeConvolution.convolve"),
    ("native gradient of the weight", "winograd.conv.gradient.native", "NativeFilterGradient.gradient"),
    ("composed", "winograd.conv.composed", "load_transforms"),
    ("composed", "winograd.conv.gradient.composed", "load_transforms"),
)
"""What is counted under which name: every run of Winograd calls one of these."""

OPERATORS: Final = (
    ("gradient of the input", "winograd.conv.library.execution", "input_gradient"),
    ("gradient of the weight", "winograd.conv.library.execution", "weight_gradient"),
)
"""Operators of torch of which it is counted whether Winograd ran in them."""

RUNS: Final[Counter[str]] = Counter()
"""Runs of Winograd in this process, by backend."""

CALLS: Final[Counter[str]] = Counter()
"""Calls of our operators and modules in this process: of which variant, and what became of them."""

EXCESSES: Final[dict[str, float]] = {}
"""By how much tests of this process exceeded the stock tolerance, of those that are listed to do so."""

MISSED: Final[list[str]] = []
"""Calls since it was last cleared for which an algorithm was forced, could run, and did not."""


@contextmanager
def counted() -> Iterator[None]:
    """Count runs of Winograd inside the block."""
    with ExitStack() as stack:
        for hooks, counting in ((HOOKS, _counting), (OPERATORS, _watching)):
            for name, module, path in hooks:
                owner, attribute = _owner(import_module(module), path)
                stack.enter_context(patch.object(owner, attribute, counting(name, getattr(owner, attribute))))
        yield


def runs() -> int:
    """Return how often Winograd ran so far."""
    return RUNS.total()


def note(what: str, *, ran: bool, by_phases: bool, of: str = "the convolution") -> None:
    """Note one call with a forced algorithm."""
    way = "forced, by phases" if by_phases else "forced"
    CALLS[f"{way}, {of}: {'Winograd ran' if ran else 'torch ran'}"] += 1
    if not ran and not by_phases:
        MISSED.append(what)


def summary() -> list[str]:
    """Return the counts of this process as lines, none if nothing was counted."""
    made = [f"{count:7d} calls {what}" for what, count in sorted(CALLS.items())]
    ran = [f"{count:7d} runs of Winograd, {name}" for name, count in sorted(RUNS.items())]
    return (
        made + ran + [f"{excess:7.2f} times the stock tolerance: {test}" for test, excess in sorted(EXCESSES.items())]
    )


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


def _watching(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    def watching(one: Any, other: Any, sizes: Any, layout: Any, geometry: Any, asked: Any) -> Any:
        before = runs()
        result = run(one, other, sizes, layout, geometry, asked)
        if asked.algorithm is None:
            CALLS[f"planned, {name}: {'Winograd ran' if runs() > before else 'torch ran'}"] += 1
        else:
            by_phases = {*geometry.stride, *geometry.dilation, geometry.groups} != {1}
            note(f"{name}, {tuple(one.shape)}, {tuple(other.shape)}", ran=runs() > before, by_phases=by_phases, of=name)
        return result

    return watching
