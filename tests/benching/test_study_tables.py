"""Tables of the studies: every kind and every tile has its place, and figures are those of the JSON."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from winograd.benching.study_tables import fft_tables, study_table, study_tables


def row(
    kind: str, algorithm: str, ms: float, final_ms: float | None, predicted_ms: float | None = 1.0
) -> dict[str, Any]:
    return {
        "layer": "c3d conv9",
        "kind": kind,
        "algorithm": algorithm,
        "ms": ms,
        "final_ms": final_ms,
        "predicted_ms": predicted_ms,
        "error": 1e-6,
    }


FFT = {
    "rows": [
        row("direct", "onednn", 9.0, 8.0),
        row("plan", "native F(4x4x4,3x3x3)", 2.0, 2.25, None),
        row("regular", "FFT(8x8x8,3x3x3)", 4.0, 4.25),
        row("regular", "FFT(6x6x6,3x3x3)", 5.0, None),
        row("gauss", "FFT(8x8x8,3x3x3)", 3.0, 3.25),
        row("winograd", "F(2x2x2,3x3x3)", 3.5, None),
        row("winograd", "F(4x4x4,3x3x3)", 2.0, 2.5),
        {**row("direct", "onednn", 1.0, 1.0), "layer": "vgg conv1_1"},
    ]
}

STUDY = {
    "layers": [
        {
            "name": "c3d conv9",
            "measured_ms": {"direct": 8.0, "F(2)": 4.0, "F(4)": 2.0},
            "predicted_ms": {"direct": 8.0, "F(2)": 2.0, "F(4)": 2.5},
            "spearman": 0.5,
            "chosen": "F(2)",
            "best": "F(4)",
        },
        {
            "name": "c3d conv8",
            "measured_ms": {"direct": 8.0},
            "predicted_ms": {"direct": 10.0},
            "spearman": None,
            "chosen": "direct",
            "best": "direct",
        },
    ]
}


def test_the_best_of_every_kind_and_every_tile() -> None:
    best, tiles = fft_tables(FFT, "c3d").split("\n\n")
    assert best.splitlines()[2:] == [
        "| conv9 | 8.00 / 1.00 ms, 1.0e-06 | F(4x4x4): 2.25 ms, 1.0e-06 | FFT(8x8x8): 4.25 / 1.00 ms, 1.0e-06 "
        "| FFT(8x8x8): 3.25 / 1.00 ms, 1.0e-06 |"
    ]
    assert tiles.splitlines()[0] == "| layer | F(2) | F(4) |"
    assert tiles.splitlines()[2:] == ["| conv9 | 3.50 / 1.00 ms, 1.0e-06 | 2.50 / 1.00 ms, 1.0e-06 |"]


def test_a_layer_without_a_kind_is_refused() -> None:
    with pytest.raises(KeyError, match="plan"):
        fft_tables(FFT, "vgg")


def test_what_the_study_found() -> None:
    found = dict(line.strip("| ").split(" | ") for line in study_table(STUDY).splitlines()[2:])
    assert found == {
        "layers, those with 12 candidates and direct convolution": "2, 1",
        "rank correlation of predicted and measured order, median": "0.50",
        "cost of the choice over the measured best, median": "100.0%",
        "the same, nine layers of ten at most": "100.0%",
        "times of the chosen plans are off by, median": "62.5%",
        "times within 30 %": "1 of 2",
    }


def test_a_changed_time_changes_the_table() -> None:
    other = copy.deepcopy(STUDY)
    other["layers"][1]["measured_ms"]["direct"] = 5.0  # type: ignore[index]
    assert study_table(other) != study_table(STUDY)


def test_files_of_other_kinds_have_no_such_tables() -> None:
    assert study_tables("bench_c3d.json", {}) == {}
    assert set(study_tables("roofline_study.json", STUDY)) == {"roofline_chosen"}
