"""Progress on a terminal or in a log. In: lines of text, many of them. Out: the last one, or one every few seconds."""

from __future__ import annotations

from time import monotonic
from typing import Final, TextIO

_PAUSE: Final = 2.0
"""Seconds between lines where they stay, and before the first one: what ends at once says nothing on the way."""

_CLEAR: Final = "\r\x1b[K"
"""Back to the beginning of the line, and everything on it away."""


class ProgressLines:
    """Shows what is being done: on a terminal on one line that is overwritten, else as lines, not too many of them.

    Parameters
    ----------
    stream : file
        Where to; None, or a stream that is closed, shows nothing.
    program : str
        How every line begins.
    """

    def __init__(self, stream: TextIO | None, program: str) -> None:
        self._stream = stream
        self._program = program
        self._overwrites = stream is not None and stream.isatty()
        self._last = monotonic()

    def __call__(self, line: str) -> None:
        """Show a line, or leave it out where another one was shown just before."""
        if self._stream is None:
            return
        if self._overwrites:
            self._stream.write(f"{_CLEAR}{self._program}: {line}")
            self._stream.flush()
        elif monotonic() - self._last >= _PAUSE:
            self._last = monotonic()
            print(f"{self._program}: {line}", file=self._stream, flush=True)

    def end(self) -> None:
        """Take the line that is overwritten away."""
        if self._overwrites and self._stream is not None:
            self._stream.write(_CLEAR)
            self._stream.flush()
