"""Progress of what takes long: a function that is told each step. In: such a function. Refused: what is none."""

from __future__ import annotations

from collections.abc import Callable

from winograd.quoting import quote

Progress = Callable[[str], None]
"""Called with a line of text before each step; `print` for one."""


def checked_progress(progress: Progress) -> Progress:
    """Return what is told each step.

    Raises
    ------
    TypeError
        If it is no function.

    Examples
    --------
    >>> checked_progress(print)
    <built-in function print>
    """
    if not callable(progress):
        raise TypeError(f"progress is {quote(progress)}, must be a function of a line of text, such as print")
    return progress
