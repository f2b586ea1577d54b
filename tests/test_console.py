"""What the commands say and how they end."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.console import Console, one_line

CONSOLE = Console("prog")


def raising(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ValueError("m is 0"), 1, "prog: error: m is 0\n"),
        (ValueError(), 1, "prog: error: ValueError\n"),
        (ModuleNotFoundError("no joblib"), 1, "prog: error: no joblib\n"),
        (OSError(2, "No such file", "a\nb"), 1, "prog: error: 'a\\nb': No such file\n"),
        (OSError("Timed out trying to connect"), 1, "prog: error: Timed out trying to connect\n"),
        (RuntimeError("a worker died"), 1, "prog: error: a worker died\n"),
        (KeyboardInterrupt(), 1, "prog: error: interrupted\n"),
        (BrokenPipeError(), 1, ""),
        (SystemExit(0), 0, ""),
        (SystemExit(2), 2, ""),
        (SystemExit("text"), 2, ""),
    ],
)
def test_no_exception_of_the_user_leaves(
    error: BaseException, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert CONSOLE.status_of(lambda: raising(error)) == status
    assert capsys.readouterr() == ("", said)


def test_our_own_bugs_leave() -> None:
    with pytest.raises(AssertionError):
        CONSOLE.status_of(lambda: raising(AssertionError("a bug")))


def test_work_that_is_done_gives_its_status() -> None:
    assert [CONSOLE.status_of(lambda status=status: status) for status in (0, 1)] == [0, 1]


def test_an_artefact_is_printed_byte_for_byte(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert CONSOLE.print(b"\x00\xff\r\n") == 0
    assert capsysbinary.readouterr() == (b"\x00\xff\r\n", b"")


def test_closed_streams_are_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert CONSOLE.print(b"x") == 1


@given(st.text(max_size=600))
def test_a_message_is_one_short_line_of_printable_ascii(message: str) -> None:
    line = one_line("prog", message)
    assert line.endswith("\n")
    assert line[:-1].isascii()
    assert line[:-1].isprintable()
    assert len(line) < 420
