"""``python -m winograd.bench --network``: what it prints and writes, what it refuses, and with which exit code."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.benching.networks.small_networks import times
from tests.commands import Command
from winograd import bench
from winograd.benching import runs
from winograd.benching.networks.result import NetworkTimes
from winograd.benching.verification import AboveToleranceError

BOTH = ("--network", "c3d", "--network", "r3d_18")


@pytest.fixture(autouse=True)
def idle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes]) -> Command:
    return Command(capfdbinary, bench)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Return which networks were to be measured, and how; nothing is."""
    calls: list[tuple[str, dict[str, Any]]] = []

    def measured(name: str, **options: Any) -> NetworkTimes:
        options.pop("progress")("timing")
        calls.append((name, options))
        return times()

    monkeypatch.setattr(runs, "measure_whole", measured)
    return calls


def test_networks_are_measured_one_after_the_other(command: Command, asked: list[tuple[str, dict[str, Any]]]) -> None:
    options = ("--repeats", "3", "--seed", "2", "--batch", "2", "--without-compiled", "--json", "a.json")
    assert command(*BOTH, *options) == 0
    expected = {"tolerance": 1e-5, "repeats": 3, "seed": 2, "batch": 2, "compiled": False}
    assert asked == [("c3d", expected), ("r3d_18", expected)]
    assert command.out.decode("ascii").startswith("whole networks, float32, tolerance 1e-05 a convolution")
    said = [f"{name} ({number} of 2): timing" for number, name in ((1, "c3d"), (2, "r3d_18"))]
    assert command.error.splitlines() == [f"python -m winograd.bench: {line}" for line in said]
    figures = json.loads(Path("a.json").read_text())
    assert [network["ratios"]["folded"]["value"] for network in figures["networks"]] == [3.0, 3.0]
    assert {"machine", "threads", "seed", "environment", "tolerance"} <= set(figures)


@pytest.mark.parametrize("error", [AboveToleranceError("too far off"), KeyboardInterrupt()])
def test_what_was_measured_is_printed_and_no_file_written(
    error: BaseException, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[NetworkTimes] = [times()]

    def failing(*_: object, **__: object) -> NetworkTimes:
        if not found:
            raise error
        return found.pop()

    monkeypatch.setattr(runs, "measure_whole", failing)
    assert command(*BOTH, "--json", "a.json") == 1
    assert "eager torch, folded" in command.out.decode()
    assert command.error.endswith("; the table is of what was measured until then\n")
    assert not Path("a.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--network", "c4d"], "argument --network: network 'c4d' is unknown; nearest: c3d"),
        (["--network", "c3d", "--suite", "c3d"], "argument --suite: not allowed with argument --network"),
        (["--network", "c3d", "--layer", "conv*"], "argument --layer: is for --suite"),
        (["--network", "c3d", "--dtype", "float64"], "argument --dtype: is for --suite"),
        (["--network", "c3d", "--batch", "9" * 9], "argument --batch: 999999999 clips of c3d take 2,24"),
        (["--network", "c3d", "--live"], "argument --live: is for --suite"),
        (["--suite", "c3d", "--without-compiled"], "argument --without-compiled: is for --network"),
    ],
)
def test_wrong_usage_exits_with_2_and_one_line(arguments: list[str], words: str, command: Command) -> None:
    assert command(*arguments) == 2
    assert command.out == b""
    assert command.error_is_one_line
    assert words in command.error
