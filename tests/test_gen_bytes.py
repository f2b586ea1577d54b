"""The generator's bytes: the same whatever the process, environment and user; pipes, full disks, no compiler."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import ROOT, Command, run
from winograd.codegen.emit import TARGETS

F23 = ["--m", "2", "--r", "3", "--target", "torch"]
BY_LOCALE = re.compile(r"^\s*(import|from) locale\b|\{[^{}\n]*:[^{}\n\"'\s\w]*[\d.]*n\}", re.MULTILINE)


@pytest.fixture
def command(capsysbinary: pytest.CaptureFixture[bytes]) -> Command:
    return Command(capsysbinary)


def every_target() -> list[list[str]]:
    """Return commands for every target: its first stage, and another one with every option."""
    sizes = ["--m", "2,4", "--r", "3"]
    plain = [[*sizes, "--target", target] for target in TARGETS]
    other = {target: [stage for stage in known.stages if stage != "conv"] for target, known in TARGETS.items()}
    options = ["--order", "huffman", "--no-fma", "--transposed", "--name", "f", "--best", "float32"]
    return plain + [
        [*sizes, "--target", target, "--stage", stages[-1], *options] for target, stages in other.items() if stages
    ]


def printed(before: str = "", **options: object) -> bytes:
    """Return what all these commands print in a process of their own, each twice, after running other code."""
    program = f"{before}\nimport json, sys\nfrom winograd import gen\n"
    program += "for words in json.loads(sys.argv[1]) * 2: assert gen.main(words) == 0"
    ran = subprocess.run(
        [sys.executable, "-c", program, json.dumps(every_target())],
        check=False,
        capture_output=True,
        **options,  # type: ignore[call-overload]
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    return bytes(ran.stdout)


@pytest.fixture(scope="module")
def expected() -> bytes:
    """Return what the commands print here, each twice."""
    return printed(cwd=ROOT)


def test_bytes_are_the_same_twice_in_one_process(expected: bytes, command: Command) -> None:
    assert expected[: len(expected) // 2] * 2 == expected
    together = b""
    for words in every_target():
        assert command(*words) == 0
        together += command.out
    assert together * 2 == expected


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "Asia/Kathmandu", "HOME": "/nonexistent", "USER": "somebody"},
        {"PYTHONHASHSEED": "2", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "20"},
    ],
)
def test_bytes_do_not_depend_on_the_environment(environment: dict[str, str], expected: bytes, tmp_path: Path) -> None:
    directory = tmp_path / "caf\xe9"
    directory.mkdir()
    inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    assert printed(cwd=directory, env=inherited | environment) == expected


def test_a_file_of_another_name_has_the_same_bytes(command: Command, tmp_path: Path) -> None:
    assert command(*F23) == 0
    file = tmp_path / "caf\xe9.py"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LC_ALL": "C", "PYTHONUTF8": "0"}
    ran = run(*F23, "-o", str(file), cwd=tmp_path, env=environment)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert file.read_bytes() == command.out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_bytes_do_not_depend_on_the_user(expected: bytes) -> None:
    # Everything is imported first, since another user may not read where Python is installed.
    before = (
        "import json, os, sys, contextlib, io\n"
        "from winograd import gen\n"
        "with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):\n"
        "    for words in json.loads(sys.argv[1]): gen.main([*words, '--m', '3', '--r', '2'])\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)"
    )
    assert printed(before, cwd=ROOT) == expected


@pytest.mark.skipif(not shutil.which("localedef"), reason="no locale with a decimal comma can be made")
def test_bytes_do_not_depend_on_a_decimal_comma(expected: bytes, tmp_path: Path) -> None:
    made = subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", str(tmp_path / "de_DE.UTF-8")], check=False)
    if made.returncode != 0:
        pytest.skip("localedef has no description of de_DE")
    # Python itself leaves a program in the C locale's numbers, so the locale is entered on purpose.
    before = (
        "import locale\n"
        "locale.setlocale(locale.LC_ALL, 'de_DE.UTF-8')\n"
        "assert locale.localeconv()['decimal_point'] == ','"
    )
    assert printed(before, cwd=ROOT, env=dict(os.environ) | {"LOCPATH": str(tmp_path)}) == expected


def test_no_code_formats_numbers_by_the_locale() -> None:
    # Holds where no such locale is installed: only the module locale and the presentation type "n" look at it.
    sources = {path: path.read_text() for path in (ROOT / "winograd").rglob("*.py")}
    assert [path for path, text in sources.items() if BY_LOCALE.search(text)] == []
    assert all(BY_LOCALE.search(text) for text in ("import locale", "from locale import str", 'f"{x:.3n}"', '"{:n}"'))


def test_no_compiler_is_needed(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path), "CC": "no-such-compiler", "PYTHONPATH": str(ROOT)}
    ran = run(*F23, "--target", "c", stdout=subprocess.PIPE, env=environment, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"F(2,3)" in ran.stdout


def test_the_command_loads_no_torch() -> None:
    program = (
        "import sys; from winograd import gen; sys.exit(any(name in sys.modules for name in ('torch', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, cwd=ROOT).returncode == 0


def test_a_reader_that_leaves_is_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = run(*F23, stdout=writer, cwd=ROOT)
    finally:
        os.close(writer)
    assert (ran.returncode, ran.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has /dev/full")
def test_a_full_disk_is_one_line() -> None:
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
    with open("/dev/full", "wb") as full:
        ran = run(*F23, stdout=full, cwd=ROOT)
    assert (ran.returncode, ran.stderr) == (1, b"python -m winograd.gen: error: stdout: No space left on device\n")


def test_a_closed_stdout_is_one_line() -> None:
    ran = subprocess.run(
        ["sh", "-c", '"$0" -m winograd.gen --m 2 --r 3 >&-', sys.executable],
        stderr=subprocess.PIPE,
        check=False,
        cwd=ROOT,
    )
    assert (ran.returncode, ran.stderr) == (1, b"python -m winograd.gen: error: stdout is closed\n")
