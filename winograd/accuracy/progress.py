"""Progress bars of long runs, on standard error.

In: how much there is to do. Out: a function that is told what was done. Nothing is shown where nobody looks: standard
error is no terminal. Refused: a bar that is asked for where tqdm is not installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
        If tqdm is not installed.
    """
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        message = "progress needs tqdm, which is not installed: pip install 'winograd[search]'"
        raise ModuleNotFoundError(message, name="tqdm") from None
    with tqdm(total=total, desc=label, file=sys.stderr, disable=not sys.stderr.isatty(), leave=False) as bar:
        yield bar.update
