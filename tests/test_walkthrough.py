"""The pages on code generation: their commands run, in order, in one directory, and print what the page says.

Their ``pycon`` blocks run with those of all documents, see `tests.test_documents`.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from winograd import gen

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["from-matrices-to-code.md", "gen-command.md"]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def steps(text: str) -> Iterator[tuple[str, str]]:
    """Yield each command of the ``console`` blocks with the output that is shown below it."""
    for block in BLOCK.findall(text):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = step.partition("\n")
            yield command, output


def disagreements(text: str, directory: Path) -> list[str]:
    """Run the commands and return those that print something else."""
    (directory / "bin").mkdir()
    (directory / "bin" / "python").symlink_to(sys.executable)
    path = f"{directory / 'bin'}{os.pathsep}{os.environ['PATH']}"
    packages = os.pathsep.join([str(ROOT), *(entry for entry in sys.path if entry.endswith("site-packages"))])
    environment = dict(os.environ) | {"PATH": path, "PYTHONPATH": packages}
    printed = ((command, expected, output_of(command, directory, environment)) for command, expected in steps(text))
    checker = doctest.OutputChecker()
    return [
        f"$ {command}\n{output}"
        for command, expected, output in printed
        if not checker.check_output(expected, output, doctest.ELLIPSIS)
    ]


def output_of(command: str, directory: Path, environment: dict[str, str]) -> str:
    """Run a command of the generator in this process, which is faster, and any other in a shell."""
    words = shlex.split(command)
    if words[:3] == ["python", "-m", "winograd.gen"]:
        both = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
        with contextlib.chdir(directory), contextlib.redirect_stdout(both), contextlib.redirect_stderr(both):
            gen.main(words[3:])
        return both.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined, no-any-return]
    return subprocess.run(
        command,
        shell=True,
        check=False,
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ).stdout


@pytest.mark.parametrize("page", PAGES)
def test_its_commands_print_what_it_says(page: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert len(list(steps(text))) >= 6
    assert disagreements(text, tmp_path) == []


@pytest.mark.parametrize("output", ["", "3\n", "2\n2\n"])
def test_a_wrong_output_is_caught(output: str, tmp_path: Path) -> None:
    assert disagreements(f"```console\n$ echo 2\n{output}```\n", tmp_path) == ["$ echo 2\n2\n"]
