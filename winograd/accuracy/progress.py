"""Progress bars of long runs, on standard error.

In: how much there is to do. Out: a function that is told what was done. Nothing is shown, and tqdm is not needed, where
nobody looks: standard error is no terminal. Refused: a bar on a terminal where tqdm is not installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Update = Callable[[int], object]
"""Told how much more was done."""


@contextmanager
def no_progress() -> Iterator[Update]:
    """Yield an update that shows nothing."""
    yield lambda _: None


@contextmanager
def progress_bar(total: int, label: str) -> Iterator[Update]:
    """Yield the update of a tqdm bar on standard error, which is shown on a terminal only.

    Raises
    ------
    ModuleNotFoundError
        If standard error is a terminal and tqdm is not installed.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with _tqdm()(total=total, desc=label, file=sys.stderr, leave=False) as bar:
        yield bar.update


def _tqdm() -> Any:
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        message = "progress needs tqdm, which is not installed: pip install 'winograd[search]'"
        raise ModuleNotFoundError(message, name="tqdm") from None
    return tqdm
