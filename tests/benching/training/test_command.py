"""The command ``benchmarks/training.py``, on layers that take no time."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.benching.made_up import layer
from winograd.benching.layers import Suite

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "training.py"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    script = runpy.run_path(str(SCRIPT))
    suite = Suite("made_up", (layer("conv2", 4, 4, 4, 6, 6), layer("conv3b", 4, 6, 4, 6, 6)))
    script["main"].__globals__["make_suite"] = lambda *_: suite
    return script["main"]


def test_layers_are_measured_printed_and_written(command: Any, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "training.json"
    assert command(["--layer", "conv3*", "--repeats", "2", "--parts", "--json", str(path)]) == 0
    written = json.loads(path.read_text())
    assert [found["layer"] for found in written["layers"]] == ["conv3b"]
    assert written["machine"]["torch"]
    captured = capsys.readouterr()
    assert "conv3b" in captured.out
    assert captured.err.splitlines() == ["conv3b: verifying", "conv3b: timing", "conv3b: timing the parts"]


def test_an_error_above_what_is_allowed_is_one_line_and_no_file(
    command: Any, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winograd.benching.training.step._OF_TORCH", 0.0)
    path = tmp_path / "training.json"
    with pytest.raises(SystemExit) as ended:
        command(["--layer", "conv2", "--tolerance", "1e-12", "--json", str(path)])
    assert ended.value.code == 1
    assert "above 1e-12" in capsys.readouterr().err.splitlines()[-1]
    assert not path.exists()


@pytest.mark.parametrize(("words", "status"), [([], 2), (["--layer", "conv9"], 1)])
def test_nothing_to_measure_is_refused(command: Any, words: list[str], status: int) -> None:
    with pytest.raises(SystemExit) as ended:
        command(words)
    assert ended.value.code == status
