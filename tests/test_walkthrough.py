"""The walkthrough of the documentation: its commands run, in order, in one directory, and print what it says.

Its ``pycon`` blocks run with those of all documents, see `tests.test_documents`.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "from-matrices-to-code.md"
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
    wrong = []
    for command, expected in steps(text):
        ran = subprocess.run(
            command,
            shell=True,
            check=False,
            cwd=directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if not doctest.OutputChecker().check_output(expected, ran.stdout, doctest.ELLIPSIS):
            wrong.append(f"$ {command}\n{ran.stdout}")
    return wrong


def test_its_commands_print_what_it_says(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(list(steps(text))) >= 6
    assert disagreements(text, tmp_path) == []


@pytest.mark.parametrize("output", ["", "3\n", "2\n2\n"])
def test_a_wrong_output_is_caught(output: str, tmp_path: Path) -> None:
    assert disagreements(f"```console\n$ echo 2\n{output}```\n", tmp_path) == ["$ echo 2\n2\n"]
