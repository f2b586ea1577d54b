"""Progress on a terminal, in a log, and where nobody listens."""

from __future__ import annotations

from io import StringIO

import pytest

from winograd.running import progress as progress_module
from winograd.running.progress import ProgressLines


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_one_line_that_goes_away() -> None:
    stream = Terminal()
    progress = ProgressLines(stream, "run")
    progress("one")
    progress("two")
    progress.end()
    assert stream.getvalue() == "\r\x1b[Krun: one\r\x1b[Krun: two\r\x1b[K"


def test_a_log_gets_a_line_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([101.0, 102.0, 103.5, 104.0])
    monkeypatch.setattr(progress_module, "monotonic", lambda: now[0])
    stream, now = StringIO(), [100.0]
    progress = ProgressLines(stream, "run")
    for name in ("a", "b", "c", "d"):
        now[0] = next(clock)
        progress(name)
    progress.end()
    assert stream.getvalue() == "run: b\nrun: d\n"


def test_without_a_stream_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    progress = ProgressLines(None, "run")
    progress("one")
    progress.end()
    assert capsys.readouterr() == ("", "")
