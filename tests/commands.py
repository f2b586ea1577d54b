"""Commands in tests: run in this process; the generator's in one of its own, too, and what its headers say."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from winograd import gen

ROOT = Path(__file__).resolve().parents[1]


class Command:
    """Runs a command, the generator's if no other is given, in this process and keeps what it said."""

    def __init__(self, capture: pytest.CaptureFixture[bytes], module: ModuleType = gen) -> None:
        self._capture = capture
        self._module = module
        self.out = b""
        self.error = ""

    def __call__(self, *arguments: str) -> int:
        code = self._module.main(arguments)
        captured = self._capture.readouterr()
        self.out, self.error = captured.out, captured.err.decode("ascii")
        return code

    @property
    def error_is_one_line(self) -> bool:
        return self.error.startswith(f"python -m {self._module.__name__}: error: ") and self.error.count("\n") == 1


def header_of(text: str) -> list[str]:
    """Return the lines of a header without what makes them comments."""
    if text.startswith("{"):
        return list(json.loads(text)["header"])
    marked = itertools.takewhile(re.compile(r"(#|%|/\*| \*)( |$)").match, text.splitlines())
    return [re.sub(r"^(#|%|/\*| \*) ?", "", line) for line in marked]


def header_command(text: bytes) -> list[str]:
    """Return the arguments of the command that stands in the header of an emitted file."""
    line = next(line for line in header_of(text.decode("ascii")) if "python -m winograd.gen" in line)
    return shlex.split(line.partition("python -m winograd.gen ")[2])


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "winograd.gen", *arguments]
    return subprocess.run(command, check=False, **{"stderr": subprocess.PIPE, **options})  # type: ignore[call-overload,no-any-return]
