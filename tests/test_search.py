"""``python -m winograd.search``: what it prints, what it writes, what it refuses and with which exit code."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.commands import Command
from winograd import search
from winograd.accuracy.catalogue import catalogue_text
from winograd.accuracy.cataloguing import build as catalogue_build

ROOT = Path(__file__).resolve().parents[1]
QUICK = ("--m", "2", "--r", "3", "--budget", "40", "--objective", "model", "--norm", "relative_l2")


@pytest.fixture
def command(capsysbinary: pytest.CaptureFixture[bytes]) -> Command:
    return Command(capsysbinary, search)


def test_the_table_alone_goes_to_stdout(command: Command) -> None:
    assert command(*QUICK) == 0
    header, rule, *rows = command.out.decode("ascii").splitlines()
    assert header.split()[:4] == ["points", "or", "moduli", "kappa"]
    assert set(rule) == {"-"}
    assert len(rows) == 16
    assert rows[0].startswith("0,1,-1,inf")
    assert command.error.startswith("python -m winograd.search: <SearchResult F(2,3)")
    assert command.error.count("\n") == 1


def test_files_are_written_and_stdout_stays_empty(command: Command, tmp_path: Path) -> None:
    table, found, storage = (str(tmp_path / name) for name in ("table.txt", "found.json", "trials.db"))
    assert command(*QUICK, "-o", table, "--json", found, "--storage", storage) == 0
    assert command.out == b""
    assert json.loads(Path(found).read_text(encoding="ascii"))["task"]["budget"] == 40
    first = Path(table).read_bytes(), Path(found).read_bytes()
    assert command(*QUICK, "-o", table, "--json", found, "--storage", storage) == 0
    assert (Path(table).read_bytes(), Path(found).read_bytes()) == first
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["found.json", "table.txt", "trials.db"]


def test_more_products_and_the_protocol_of_a_layer(command: Command, tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    words = (
        "--m",
        "2",
        "--r",
        "3",
        "--products",
        "5",
        "--experiment",
        "layer",
        "--objective",
        "kappa",
        "--budget",
        "40",
    )
    assert command(*words, "--json", str(found)) == 0
    task = json.loads(found.read_text())["task"]
    assert (task["rank"], task["order"], task["norm"]) == (5, "lowered", "relative_l2")
    assert task["experiment"]["channels"] == 64


def test_a_cost_has_its_weight(command: Command, tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    assert (
        command("--m", "2", "--r", "2", "--budget", "4", "--objective", "cost", "--weight", "3", "--json", str(found))
        == 0
    )
    assert json.loads(found.read_text())["task"]["objective"] == "1 log error + 3 log operations"


def test_the_catalogue_is_built_and_written(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built, calls = catalogue_build.build_catalogue(budget=200, max_tile=4), []
    monkeypatch.setattr(catalogue_build, "build_catalogue", lambda **options: calls.append(options) or built)
    path = tmp_path / "catalogue.json"
    assert command("--catalogue", str(path), "--budget", "200", "--workers", "2") == 0
    assert command.out == b""
    assert path.read_text(encoding="utf-8") == catalogue_text(built.rows, built.header)
    assert calls[0]["budget"] == 200
    assert calls[0]["workers"] == 2


def test_a_budget_of_0_is_an_empty_table(command: Command) -> None:
    assert command("--m", "4", "--r", "3", "--budget", "0") == 0
    assert command.out.count(b"\n") == 2
    assert "nothing found" in command.error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--r", "3"), "the following arguments are required: --m, --r, or --catalogue"),
        (("--m", "0", "--r", "3"), "argument --m: '0' must be an integer of at least 1"),
        (("--m", "4.5", "--r", "3"), "argument --m: '4.5' must be an integer"),
        (("--m", "__import__('os')", "--r", "3"), "argument --m"),
        (("--m", "4", "--r", "3", "--ndim", "4"), "argument --ndim"),
        (("--m", "4", "--r", "3", "--budget", "-1"), "argument --budget"),
        (("--m", "4", "--r", "3", "--objective", "speed"), "argument --objective: invalid choice: 'speed'"),
        (("--m", "4", "--r", "3", "--weight", "2"), "argument --weight: is for --objective cost alone"),
        (("--m", "4", "--r", "3", "--scheduler", "tcp://a"), "argument --scheduler: is for --backend dask alone"),
        (("--m", "4", "--r", "3", "--worker", "2"), "unrecognized arguments: --worker 2"),
        (("--m", "4", "--r", "3", "--backend", "multiprocessing"), "argument --backend: invalid choice"),
        (("--catalogue", "c.json", "--m", "9"), "argument --m: is not for --catalogue"),
        (("--catalogue", "c.json", "--max-height", "5"), "argument --max-height: is not for --catalogue"),
        (("--catalogue", "c.json", "-o", "table.txt"), "argument -o: is not for --catalogue"),
    ],
)
def test_a_wrong_command_is_one_line_and_2(command: Command, words: tuple[str, ...], message: str) -> None:
    assert command(*words) == 2
    assert command.out == b""
    assert command.error_is_one_line
    assert message in command.error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--m", "4", "--r", "3", "--products", "5"), "products is 5, must be at least 6"),
        (("--m", "4", "--r", "3", "--dtype", "int8"), "dtype is int8, must be one of float16"),
        (("--m", "60", "--r", "30"), "tile"),
        ((*QUICK, "--storage", "."), "Is a directory"),
        ((*QUICK, "--storage", "missing/trials.db"), "No such file or directory"),
        ((*QUICK, "--storage", __file__), "is no database of searches, and was left as it is"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_1(command: Command, words: tuple[str, ...], message: str) -> None:
    assert command(*words) == 1
    assert command.out == b""
    assert command.error_is_one_line
    assert message in command.error


def test_no_words_are_help_and_2(command: Command) -> None:
    assert command() == 2
    assert command.out == b""
    assert "--storage" in command.error


@pytest.mark.parametrize("option", ["-o", "--json", "--catalogue"])
def test_an_output_that_cannot_be_written_is_one_line_before_the_work(
    option: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "search_points", None)
    monkeypatch.setattr(catalogue_build, "build_catalogue", None)
    sizes = () if option == "--catalogue" else QUICK
    assert command(*sizes, option, str(tmp_path)) == 1
    assert command.error_is_one_line
    assert "is a directory" in command.error
    assert command(*sizes, option, str(tmp_path / "missing" / "file")) == 1
    assert "its directory does not exist" in command.error
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_died_is_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> None:
        raise RuntimeError("a worker process ended; what was finished is kept")

    monkeypatch.setattr(search, "search_points", die)
    assert command(*QUICK) == 1
    assert command.error_is_one_line
    assert "a worker process ended" in command.error


def run(*words: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "winograd.search", *words], check=False, cwd=ROOT, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has /dev/full")
def test_a_full_disk_is_one_line() -> None:
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
    with open("/dev/full", "wb") as full:
        ran = run(*QUICK, stdout=full, stderr=subprocess.PIPE)
    assert ran.returncode == 1
    assert ran.stderr == b"python -m winograd.search: error: stdout: No space left on device\n"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_prints_and_keeps_what_was_found(tmp_path: Path, workers: str) -> None:
    path = tmp_path / "trials.db"
    words = ["--m", "4", "--r", "3", "--ndim", "3", "--budget", "50000", "--workers", workers, "--storage", str(path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "winograd.search", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        start_new_session=True,
    )
    while process.poll() is None and (not path.exists() or path.stat().st_size < 20_000):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, error = process.communicate(timeout=120)
    assert process.returncode == 1
    assert error.decode("ascii").splitlines()[-1].endswith("error: interrupted, this is what was found until then")
    assert b"Traceback" not in error
    assert out.count(b"\n") > 2


def test_the_command_loads_no_torch() -> None:
    check = "any(name in sys.modules for name in ('torch', 'matplotlib'))"
    program = f"import sys; from winograd import search; sys.exit({check})"
    assert subprocess.run([sys.executable, "-c", program], check=False, cwd=ROOT).returncode == 0
