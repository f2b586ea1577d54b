"""``python -m winograd.bench``: what it prints and writes, what it refuses, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.benching.made_up import layer, measurement
from tests.commands import Command
from winograd import bench
from winograd.benching import measurement as measuring
from winograd.benching import runs
from winograd.benching.layers import BenchLayer, Part
from winograd.benching.random_layers import random_layers
from winograd.benching.result import LayerMeasurement
from winograd.benching.suites import RANDOM, SUITES

ROOT = Path(__file__).resolve().parents[1]
SMALL = ("--suite", "small", "--repeats", "2", "--threads", "1")
FILES = ("--json", "a.json", "--plot", "a.png")


def small(batch: int) -> tuple[BenchLayer, ...]:
    wide = layer("wide", 64, 64, 4, 16, 16, batch=batch, count=2)  # large enough for a generated kernel
    return (wide, layer("tiny", 3, 4, 4, 5, 5, batch=batch, has_bias=False))


@pytest.fixture(autouse=True)
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing else runs."""
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))


@pytest.fixture(autouse=True)
def small_suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setitem(SUITES, "small", small)  # type: ignore[arg-type]
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes]) -> Command:
    return Command(capfdbinary, bench)


def written() -> set[str]:
    return {path.name for path in Path().iterdir()}


def test_the_table_goes_to_stdout_and_progress_to_stderr(command: Command) -> None:
    assert command(*SMALL, *FILES, "--batch", "2", "--seed", "3", "--tolerance", "2e-6") == 0
    out = command.out.decode("ascii")
    assert out.startswith("small, batch 2: ")
    assert " F(" in out
    assert "\nstack of 2, " in out
    assert "python -m" not in out
    steps = [f"{name} ({number} of 2): {step}" for number, name in ((1, "wide"), (2, "tiny"))
             for step in ("packing", "verifying", "timing")]  # fmt: skip
    said = [line for line in command.error.splitlines() if not line.endswith(": timing again")]
    assert said == [f"python -m winograd.bench: {step}" for step in steps]
    assert written() == {"a.json", "a.png"}
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")


def test_json_says_what_a_figure_of_speed_is_worth_nothing_without(command: Command) -> None:
    assert command(*SMALL, "--json", "a.json", "--layer", "w*", "--seed", "3", "--tolerance", "2e-6") == 0
    figures = json.loads(Path("a.json").read_text())
    assert (figures["suite"], figures["batch"], figures["repeats"], figures["seed"]) == ("small", 1, 2, 3)
    assert (figures["tolerance"], figures["threads"]) == (2e-6, 1)
    assert figures["machine"]["torch"] == torch.__version__
    assert {"processor", "python", "winograd", "date"} <= set(figures["machine"])
    (wide,) = figures["layers"]
    assert (wide["layer"], wide["count"], wide["input"]) == ("wide", 2, [1, 64, 4, 16, 16])
    assert 0 < wide["measured_error"] <= 2e-6
    assert wide["predicted_error"] <= 2e-6
    counted = 2 if wide["first_rounds"] is None else 6
    assert len(wide["rounds"]["direct_ms"]) == len(wide["rounds"]["ours_ms"]) == counted
    assert figures["stack"]["direct_ms"] == pytest.approx(2 * wide["direct_ms"], rel=1e-12)
    assert figures["above_tolerance"] == []


def test_several_layers_another_dtype_and_live_filters(command: Command) -> None:
    options = ("--layer", "tiny", "--layer", "wide", "--dtype", "bfloat16", "--live", "--only", "stride1")
    assert command(*SMALL, *options, "--json", "a.json") == 0
    figures = json.loads(Path("a.json").read_text())
    assert [layer["layer"] for layer in figures["layers"]] == ["wide", "tiny"]
    assert (figures["dtype"], figures["filters"], figures["tolerance"]) == ("bfloat16", "live", 1e-5)
    assert figures["layers"][0]["packed_bytes"] == 0
    assert " bfloat16, tolerance 1e-05, filters transformed in every call" in command.out.decode()


def test_random_convolutions_are_drawn_by_the_seed(command: Command) -> None:
    options = ("--suite", "random", "--number", "2", "--repeats", "1", "--threads", "1", "--seed", "4")
    assert command(*options, "--json", "a.json") == 0
    figures = json.loads(Path("a.json").read_text())
    assert [layer["layer"] for layer in figures["layers"]] == [one.name for one in random_layers(2, seed=4)]


def test_float64_has_a_tolerance_of_its_own(command: Command) -> None:
    assert command(*SMALL, "--layer", "tiny", "--dtype", "float64", "--json", "a.json") == 0
    assert json.loads(Path("a.json").read_text())["tolerance"] == 1e-5 * 2.0**-29


def wrong(run: object, *arguments: object, **named: object) -> Tensor:
    assert callable(run)
    output: Tensor = run(*arguments, **named)
    return output * (1 + 1e-3)


def test_a_busy_machine_is_warned_of(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (2.5, 0.0, 0.0))
    assert command(*SMALL, "--layer", "tiny") == 0
    assert command.error.startswith("python -m winograd.bench: warning: load average 2.5: ")


def test_an_error_above_the_tolerance_ends_with_exit_1_before_timing(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "run_plan", partial(wrong, measuring.run_plan))
    monkeypatch.setattr(measuring, "race", lambda *_: pytest.fail("it was timed"))
    assert command(*SMALL, *FILES) == 1
    assert command.out == b""
    said = command.error.splitlines()[-1]
    assert said.startswith("python -m winograd.bench: error: wide by native F(")
    assert said.endswith("contiguous: measured error 1.00e-03 is above the tolerance 1e-05")
    assert written() == set()


def test_torch_s_own_convolution_is_warned_of_and_not_refused(command: Command) -> None:
    assert command(*SMALL, "--layer", "tiny", "--tolerance", "1e-9", "--json", "a.json") == 0
    warning = "warning: torch's own convolution is above the tolerance 1e-09: tiny"
    assert command.error.splitlines()[-1] == f"python -m winograd.bench: {warning}"
    assert json.loads(Path("a.json").read_text())["above_tolerance"] == ["tiny"]


def test_a_failure_keeps_what_was_measured_and_ends_in_one_line(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[LayerMeasurement | RuntimeError] = [
        RuntimeError("the compiler failed\nand said a lot"),
        measurement("wide", (4.0, 4.0), (1.0, 1.0)),
    ]

    def failing(*_: object, **__: object) -> LayerMeasurement:
        last = found.pop()
        if isinstance(last, RuntimeError):
            raise last
        return last

    monkeypatch.setattr(runs, "measure_layer", failing)
    assert command(*SMALL, *FILES) == 1
    assert "\nwide " in command.out.decode()
    assert command.error_is_one_line
    assert "error: the compiler failed; the table is of what was measured" in command.error
    assert written() == set()


@pytest.mark.parametrize("done", [0, 1])
def test_an_interruption_prints_what_was_measured_and_writes_no_file(
    done: int, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [measurement("wide", (4.0, 4.0), (1.0, 1.0))][:done]

    def interrupted(*_: object, **__: object) -> LayerMeasurement:
        if not found:
            raise KeyboardInterrupt
        return found.pop()

    monkeypatch.setattr(runs, "measure_layer", interrupted)
    assert command(*SMALL, *FILES) == 1
    assert ("\nwide " in command.out.decode()) == bool(done)
    assert ("\nstack of 1, " in command.out.decode()) == bool(done)
    kept = "; the table is of what was measured until then" * done
    assert command.error == f"python -m winograd.bench: error: interrupted{kept}\n"
    assert written() == set()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--batch", "1"], "one of the arguments --suite --network is required"),
        (["--suite", "c4d"], "argument --suite: 'c4d' is unknown; nearest: c3d"),
        (["--suite", "small", "--only", "grouped"], "argument --only: grouped is no layer of small, which has stride1"),
        (["--suite", "small", "--only", "big"], "argument --only: invalid choice: 'big'"),
        (["--suite", "small", "--number", "3"], "argument --number: is for --suite random, got 'small'"),
        (["--suite", "random", "--number", "0"], "argument --number: '0' must be an integer of at least 1"),
        (["--suite", "small", "--dtype", "int8"], "argument --dtype: invalid choice: 'int8'"),
        (["--suite", "random", "--number", "10001"], "argument --number: '10001' must be"),
        (["--suite", "small", "--batch", "9" * 10], "argument --batch: 9999999999 images take 4,88"),
        (["--suite", "small", "--batch", "0"], "argument --batch: '0' must be an integer of at least 1"),
        (["--suite", "small", "--batch", "1.5"], "argument --batch: '1.5' must be an integer"),
        (["--suite", "small", "--tolerance", "0"], "argument --tolerance: '0' must be a number above 0"),
        (["--suite", "small", "--tolerance", "nan"], "argument --tolerance: 'nan' must be a number above 0"),
        (["--suite", "small", "--tolerance", "inf"], "argument --tolerance: 'inf' must be a number above 0"),
        (["--suite", "small", "--repeats", "0"], "argument --repeats: '0' must be an integer of at least 1"),
        (["--suite", "small", "--threads", "0"], "argument --threads: '0' must be an integer of at least 1, at most"),
        (["--suite", "small", "--threads", "99999"], "argument --threads: '99999' must be an integer"),
        (["--suite", "small", "--seed", "-1"], "argument --seed: "),
        (["--suite", "small", "--plot", "a.jpg"], "argument --plot: 'a.jpg' must end in .png"),
        (["--suite", "small", "--layer", "conv*"], "argument --layer: 'conv*' matches no layer of small, which"),
        (["--suite", "small", "--layer", "\x1b\n"], "argument --layer: '\\x1b\\n' matches no layer"),
        (["--suite", "small", "--lay", "wide"], "argument --lay: is unknown; nearest: --layer"),
    ],
)  # fmt: skip
def test_wrong_usage_exits_with_2_and_one_line(arguments: list[str], words: str, command: Command) -> None:
    assert command(*arguments) == 2
    assert command.out == b""
    assert command.error_is_one_line
    assert words in command.error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--json", "nowhere/a.json"], "nowhere/a.json: its directory does not exist"),
        (["--json", "."], ".: is a directory"),
        (["--json", "a.png", "--plot", "a.png"], "a.png: is named twice"),
    ],
)
def test_files_are_checked_before_the_work(
    arguments: list[str], words: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "measure_layer", lambda *_, **__: pytest.fail("it ran"))
    assert command(*SMALL, *arguments) == 1
    assert command.out == b""
    assert command.error_is_one_line
    assert words in command.error


@pytest.mark.parametrize(("module", "extra"), [("torch", "torch"), ("matplotlib.style", "plot")])
def test_a_missing_extra_is_named(module: str, extra: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    if module == "torch":
        monkeypatch.setattr("winograd.extras.find_spec", lambda _: None)
    else:
        monkeypatch.setitem(sys.modules, module, None)
    assert command(*SMALL, *FILES) == 1
    assert command.error_is_one_line
    assert command.error.endswith(f"pip install 'winograd[{extra}]'\n")


def test_without_words_there_is_help_on_stderr(command: Command) -> None:
    assert command() == 2
    assert command.out == b""
    assert "--suite" in command.error


def test_help_needs_no_torch() -> None:
    code = "import sys; from winograd import bench; bench.main(['--help']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--layer PATTERN" in done.stdout


def test_files_are_written_even_where_nobody_reads_the_table() -> None:
    program = (
        "import sys; from tests.test_bench import small; from winograd import bench; "
        "from winograd.benching.suites import SUITES; SUITES['small'] = small; sys.exit(bench.main(sys.argv[1:]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", program, *SMALL, "--layer", "tiny", "--json", "a.json"]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait() == 1, said
    steps = [line for line in said.splitlines() if ": warning: load average" not in line]
    assert len(steps) in (3, 4)  # a tiny layer may be measured again
    assert json.loads(Path("a.json").read_text())["suite"] == "small"


def test_the_documentation_names_every_option_and_suite() -> None:
    page = (ROOT / "docs" / "bench-command.md").read_text(encoding="utf-8")
    options = [word for action in bench._parser()._actions for word in action.option_strings if word.startswith("--")]
    assert [word for word in options if word != "--help" and f"`{word}" not in page] == []
    assert [name for name in (*SUITES, RANDOM) if name != "small" and f"`{name}`" not in page] == []
    assert [part.value for part in Part if f"`{part.value}`" not in page] == []
