"""``python -m winograd.error``: what it prints, what it writes, what it refuses and with which exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from winograd import best, catalogue_row, error, measure_error, nest, toom_cook
from winograd.accuracy.protocol import as_experiment
from winograd.accuracy.showing.study import study_error
from winograd.algebra.crt import crt

F23 = ("--m", "2", "--r", "3", "--trials", "50")
ROOT = Path(__file__).resolve().parents[1]


class Command:
    """Runs the command in this process and keeps what it said."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self.out = self.error = ""

    def __call__(self, *arguments: str) -> int:
        code = error.main(arguments)
        self.out, self.error = self._capture.readouterr()
        return code

    @property
    def error_is_one_line(self) -> bool:
        return (
            self.error.startswith("python -m winograd.error: error: ")
            and self.error.count("\n") == 1
            and self.error.isascii()
            and len(self.error) < 500
        )


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def test_the_study_goes_to_stdout(command: Command) -> None:
    assert command(*F23, "--ndim", "2", "--seed", "5") == 0
    axis = toom_cook(2, 3)
    assert command.out == f"{study_error(nest(axis, axis), trials=50, seed=5)}\n"
    assert command.error == ""


def test_layers_are_measured_as_generated_code_computes_them(command: Command) -> None:
    assert command(*F23, "--experiment", "layer", "--channels", "3") == 0
    assert "layer experiment, float32, lowered order, 3 channels, 50 trials, seed 0" in command.out


@pytest.mark.parametrize(
    ("arguments", "label"),
    [
        (["--points=0,1/2,-1/2,inf"], "F(2,3), 4 multiplications"),
        (["--moduli=x,x-1,x^2+1"], "F(2,3), 5 multiplications"),
        (["--ndim", "3"], "F(2x2x2,3x3x3), 64 multiplications"),
    ],
)
def test_which_algorithm_is_studied(arguments: list[str], label: str, command: Command) -> None:
    assert command(*F23, *arguments) == 0
    assert command.out.startswith(label)


def test_storage_is_part_of_the_experiment(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "error.json"
    assert command(*F23, "--experiment", "layer", "--storage", "float16", "--json", str(file)) == 0
    assert "layer (float16 storage) experiment" in command.out
    figures = json.loads(file.read_text())
    assert figures["experiment"]["storage"] == "float16"
    half = replace(as_experiment("layer"), storage="float16")
    assert figures["measured"]["rms"]["value"] == measure_error(toom_cook(2, 3), "float32", half, 50, "lowered").rms


def test_the_best_known_algorithm_is_that_for_its_storage(command: Command) -> None:
    words = ("--m", "8", "--r", "3", "--trials", "20", "--experiment", "layer")
    assert command(*words, "--best", "--storage", "float16") == 0
    experiment = replace(as_experiment("layer"), storage="float16", name="layer (float16 storage)")
    scaled = best(8, 3, dtype="float16")
    assert command.out == f"{study_error(scaled, experiment=experiment, trials=20, order='lowered')}\n"
    assert scaled != best(8, 3)
    assert command(*words, "--best", "--storage", "tf32") == 0


def test_the_best_known_algorithm_is_that_of_the_catalogue(command: Command) -> None:
    assert command("--m", "4", "--r", "3", "--ndim", "2", "--trials", "20", "--best") == 0
    assert command.out == f"{study_error(best(4, 3, ndim=2), trials=20)}\n"
    assert command("--m", "2,4", "--r", "3,2", "--trials", "20", "--best") == 0
    axes = (best(2, 3), best(4, 2))
    assert command.out == f"{study_error(nest(*axes), trials=20)}\n"


def test_what_the_dtype_leaves_nothing_of_is_warned_of(command: Command) -> None:
    assert command("--m", "10", "--r", "3", "--ndim", "2", "--dtype", "float16", "--trials", "2", "--best") == 0
    assert command.error.startswith("python -m winograd.error: warning: F(10,3) in 2D float16")
    assert command.error.count("\n") == 1


def test_the_documentation_shows_what_is_printed(command: Command) -> None:
    page = (ROOT / "docs" / "error-command.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ python -m winograd\.error (.*)\n((?:.+\n)*?)(?:\.\.\.\n)?```", page, re.MULTILINE)
    assert len(commands) == 2
    for words, shown in commands:
        assert command(*words.replace(" --report error.html", "").split()) == 0
        assert command.out.startswith(shown)


def test_json_has_the_measured_figures(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "error.json"
    assert command(*F23, "--moduli=x,x-1,x^2+1", "--dtype", "float16", "--json", str(file)) == 0
    figures = json.loads(file.read_text())
    report = measure_error(crt(2, 3, "x,x-1,x^2+1"), "float16", trials=50)
    assert figures["measured"]["rms"]["value"] == report.rms
    assert (figures["dtype"], figures["trials"], figures["seed"]) == ("float16", 50, 0)


def test_the_same_command_writes_the_same_bytes(command: Command, tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.html" for name in ("a", "b")]
    assert command(*F23, "--report", str(files[0])) == 0
    words = [sys.executable, "-m", "winograd.error", *F23, "--report", str(files[1])]
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Kathmandu", "LC_ALL": "C"}
    assert subprocess.run(words, check=False, cwd=ROOT, env=environment, capture_output=True).returncode == 0
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--points", "__import__('os').system('touch X')"],
        ["--points=1/0"],
        ["--moduli=__import__('os')"],
        ["--moduli="],
        ["--points=0,1,-1,inf", "--moduli=x,x-1,x^2+1"],
        ["--points=0,1,-1,inf", "--best"],
        ["--dtype", "float8"],
        ["--dtype", "tf32"],
        ["--experiment", "<script>"],
        ["--channels", "0"],
        ["--channels", "65537"],
        ["--storage", "float32"],
        ["--channels", "1.5"],
        ["--order", "random"],
        ["--trials", "1"],
        ["--trials", "nan"],
        ["--trials", "9" * 5000],
        ["--seed", "-1"],
        ["--ndim", "4"],
        ["--m", "0"],
        ["--rep", "x"],
        ["extra\x1b[31m\n"],
    ],
)
def test_commands_that_make_no_sense(
    arguments: list[str], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(*F23, *arguments) == 2
    assert command.out == ""
    assert command.error_is_one_line
    assert os.listdir(tmp_path) == []


def test_no_arguments_give_help_on_stderr(command: Command) -> None:
    assert command() == 2
    assert command.out == ""
    assert command.error.startswith("usage: python -m winograd.error")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--points=0,1,1,2"], "points 1 and 2 are both 1"),
        (["--points=0,1"], "F(2,3) needs"),
        (["--moduli=x,x-1"], "F(2,3)"),
        (["--m", "1000"], "at most 64"),
        (["--experiment", "layer", "--dtype", "float64"], "float64"),
    ],
)
def test_what_the_mathematics_refuses(arguments: list[str], message: str, command: Command) -> None:
    assert command(*F23, *arguments) == 1
    assert command.out == ""
    assert command.error_is_one_line
    assert message in command.error


@pytest.mark.parametrize("option", ["--json", "--report"])
@pytest.mark.parametrize("path", ["missing/file", ".", "", "caf\xe9\n/x", "a\0b", "n" * 256])
def test_files_that_cannot_be_written(
    option: str, path: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(*F23, option, path) == 1
    assert command.out == ""
    assert command.error_is_one_line
    assert os.listdir(tmp_path) == []


def test_a_refused_command_leaves_files_as_they_were(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_bytes(b"old")
    assert command(*F23, "--points=0,1,1,2", "--report", str(file)) == 1
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["report.html"]


def test_without_matplotlib_the_extra_is_named(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    file = tmp_path / "report.html"
    assert command(*F23, "--report", str(file)) == 1
    assert command.error_is_one_line
    assert "winograd[plot]" in command.error
    assert not file.exists()
    assert command(*F23) == 0


def test_the_command_loads_neither_torch_nor_matplotlib() -> None:
    program = (
        "import sys; from winograd import error; sys.exit(any(name in sys.modules for name in ('torch', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, cwd=ROOT).returncode == 0


def test_the_best_of_more_products_and_its_recipe_are_one_algorithm(command: Command) -> None:
    assert command("--m", "4", "--r", "3", "--trials", "20", "--best", "--products", "7") == 0
    found = command.out
    assert found.startswith("F(4,3), 7 multiplications")
    recipe = catalogue_row(4, 3, 7).construction
    assert command("--m", "4", "--r", "3", "--trials", "20", "--recipe", recipe) == 0
    assert command.out == found


def test_products_are_for_the_best_only(command: Command) -> None:
    assert command(*F23, "--products", "5") == 2
    assert command.error_is_one_line
    assert "argument --products: is for --best only" in command.error
