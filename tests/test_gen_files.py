"""The generator's files: written whole or not at all, checked byte by byte; the measured part, and warnings."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.commands import ROOT, Command, run
from winograd import nest, toom_cook
from winograd.accuracy.model import predict_relative_l2
from winograd.codegen.emit import TARGETS

F23 = ["--m", "2", "--r", "3", "--target", "torch"]


@pytest.fixture
def command(capsysbinary: pytest.CaptureFixture[bytes]) -> Command:
    return Command(capsysbinary)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_file_is_what_stdout_would_be(target: str, command: Command, tmp_path: Path) -> None:
    arguments = ("--m", "2", "--r", "3", "--target", target)
    assert command(*arguments) == 0
    printed = command.out
    file = tmp_path / "caf\xe9 \N{SNOWMAN}.txt"
    file.write_bytes(b"old")
    assert command(*arguments, "-o", str(file)) == 0
    assert (command.out, command.error) == (b"", "")
    assert file.read_bytes() == printed
    assert os.listdir(tmp_path) == [file.name]


def test_a_minus_is_stdout(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(*F23) == 0
    printed = command.out
    assert command(*F23, "-o", "-") == 0
    assert command.out == printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="Linux has /dev/stdout")
def test_a_pipe_is_written_to(command: Command) -> None:
    assert command(*F23) == 0
    ran = run(*F23, "-o", "/dev/stdout", stdout=subprocess.PIPE, cwd=ROOT)
    assert (ran.returncode, ran.stderr, ran.stdout) == (0, b"", command.out)


@pytest.mark.parametrize("path", ["missing/file.py", "", ".", "/proc/nothing", "a\0b", "n" * 256, "caf\xe9/x"])
def test_files_that_cannot_be_written(
    path: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(*F23, "-o", path) == 1
    assert command.out == b""
    assert command.error_is_one_line
    assert list(tmp_path.iterdir()) == []


def test_a_refused_command_writes_nothing(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    assert command(*F23, "--points=0,1,1,2", "-o", str(file)) == 1
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_check_compares_bytes(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "kernel.py"
    assert command(*F23, "-o", str(file)) == 0
    assert command(*F23, "--check", str(file)) == 0
    assert (command.out, command.error) == (b"", "")
    right = file.read_bytes()
    for wrong, message in (
        (right.replace(b" - x", b" + x", 1), ", must be "),
        (right[:-1], "ends differently"),
        (right + b"\n", "more than there must be"),
        (right.replace(b"\n", b"\r\n"), "line 1 ends differently"),
        (b"", "line 1 is missing"),
    ):
        file.write_bytes(wrong)
        assert command(*F23, "--check", str(file)) == 1
        assert command.error_is_one_line
        assert message in command.error
        assert file.read_bytes() == wrong
    file.write_bytes(right)
    assert command(*F23, "--name", "other", "--check", str(file)) == 1
    assert command(*F23, "--no-fma", "--check", str(file)) == 1


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_check_says_how_a_file_of_other_options_was_made(target: str, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "f444"
    points = "--points=0,1,-1,1/2,-1/2,inf"
    assert command("--m", "4", "--r", "3", "--ndim", "3", points, "--target", target, "-o", str(file)) == 0
    made = f"python -m winograd.gen --m 4 --r 3 --ndim 3 {points} --target {target}"
    for arguments in (["--m", "4"], ["--m", "2", "--ndim", "3"], ["--m", "12", "--ndim", "2"]):
        assert command(*arguments, "--r", "3", "--target", target, "--check", str(file)) == 1
        assert command.error_is_one_line
        assert "bytes" not in command.error
        assert re.search(r": line \d+ is ", command.error)
        assert f"; made by {made}{chr(10)}" in command.error
    # Where the command is the same, or there is none, it is not said.
    file.write_bytes(file.read_bytes().replace(b"3", b"5"))
    assert command("--m", "4", "--r", "3", "--target", target, "--check", str(file)) == 1
    file.write_bytes(b"text\n")
    assert command("--m", "4", "--r", "3", "--target", target, "--check", str(file)) == 1
    assert "made by" not in command.error


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_check_notices_every_changed_byte(target: str, command: Command, tmp_path: Path) -> None:
    arguments = ("--m", "2", "--r", "3", "--target", target)
    file = tmp_path / "kernel"
    assert command(*arguments, "-o", str(file)) == 0
    right = file.read_bytes()
    for place in range(0, len(right), len(right) // 7):
        file.write_bytes(right[:place] + bytes([right[place] ^ 1]) + right[place + 1 :])
        assert command(*arguments, "--check", str(file)) == 1
        assert command.error_is_one_line
    file.write_bytes(right)
    assert command(*arguments, "--check", str(file)) == 0


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_file_without_end_is_not_read_to_its_end(target: str, command: Command, tmp_path: Path) -> None:
    arguments = ("--m", "2", "--r", "3", "--target", target)
    if Path("/dev/zero").exists():
        assert command(*arguments, "--check", "/dev/zero") == 1
        assert command.error_is_one_line
        assert ": line 1 is " in command.error
    # Not even where all of it is comments.
    file = tmp_path / "file"
    assert command(*arguments, "-o", str(file)) == 0
    comment = TARGETS[target].comment or ""
    file.write_bytes(file.read_bytes() + f"{comment} Measured; from this line on --check compares nothing:\n".encode())
    assert command(*arguments, "--check", str(file)) == (0 if comment else 1)
    file.write_bytes(file.read_bytes() + f"{comment} more\n".encode() * 10_000)
    assert command(*arguments, "--check", str(file)) == 1


@pytest.mark.parametrize("path", ["missing", ".", ""])
def test_files_that_cannot_be_compared(
    path: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(*F23, "--check", path) == 1
    assert command.error_is_one_line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", sorted(name for name, target in TARGETS.items() if target.comment))
def test_the_measured_error_is_outside_what_check_compares(target: str, command: Command, tmp_path: Path) -> None:
    arguments = ("--m", "2", "--r", "3", "--target", target)
    file = tmp_path / "kernel"
    assert command(*arguments) == 0
    plain = command.out
    assert command(*arguments, "--measure", "-o", str(file)) == 0
    measured = file.read_bytes()
    assert measured.startswith(plain)
    for word in (b"mean_abs", b"relative_l2", b"float32", b"trials", b"seed"):
        assert word in measured[len(plain) :]
    assert command(*arguments, "--check", str(file)) == 0
    # Only comments may follow the line that opens the measured part.
    file.write_bytes(measured + b"int smuggled;\n")
    assert command(*arguments, "--check", str(file)) == 1
    file.write_bytes(measured.replace(b"Predicted", b"Promised"))
    assert command(*arguments, "--check", str(file)) == 1


def test_what_is_measured_is_what_the_options_say(command: Command) -> None:
    found = {}
    options = {
        "float32": (),
        "float16": ("--dtype", "float16"),
        "bfloat16": ("--dtype", "bfloat16"),
        "float64": ("--dtype", "float64"),
        "unfused": ("--no-fma",),
    }
    for name, words in options.items():
        assert command("--m", "4", "--r", "3", *words, "--measure") == 0
        told = command.out.decode("ascii")
        said, report = re.split("Measured; .*\n", told)[1].split("<ErrorReport ")
        assert (name if name != "unfused" else "float32") in said
        assert ("with fused" in said) == (name not in {"unfused", "float64"})
        found[name] = float(re.search("relative_l2 ([^;]*);", report)[1])
        predicted = re.sub("\n \\* ", " ", told)
        promised = float(re.search("Predicted relative L2 error.*?: (?:about )?([^ ]*) with 1 channel", predicted)[1])
        assert found[name] == pytest.approx(promised, rel=0.1)
    assert len(set(found.values())) == len(options)
    assert found["float64"] < found["float32"] < found["unfused"] < found["float16"] < found["bfloat16"]


def test_constants_beyond_float32_say_that_nothing_is_predicted(command: Command) -> None:
    assert command("--m", "2", "--r", "3", "--target", "torch", "--points=0,1,-1,1" + "0" * 40) == 0
    assert b"# No error is predicted: " in command.out
    assert command.error.startswith("python -m winograd.gen: warning: F(2,3) is useless in float32 at these points: ")
    assert command.error.count("\n") == 1


@pytest.mark.parametrize(("points", "is_useless"), [("0,100,-100,inf", False), ("0,1000000,-1000000,inf", True)])
def test_an_error_above_one_is_warned_of(points: str, is_useless: bool, command: Command, tmp_path: Path) -> None:
    assert command(*F23, f"--points={points}", "-o", str(tmp_path / "file")) == 0
    predicted = predict_relative_l2(nest(toom_cook(2, 3, points)), channels=1)
    assert (predicted > 1) == is_useless
    warning = (
        "python -m winograd.gen: warning: F(2,3) is useless in float32 at these points: "
        f"the predicted relative error is {predicted:.1e}\n"
    )
    assert command.error == (warning if is_useless else "")
    assert (tmp_path / "file").exists()
