"""The table of all networks: figures are those of the JSON, and the JSON that is shipped keeps what is promised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from winograd.benching.network_tables import all_networks_table, network_cells
from winograd.benching.study_tables import study_tables
from winograd.networks import list_networks

SHIPPED = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "all_networks.json"

ROW: dict[str, Any] = {
    "network": "r3d_18",
    "input_shape": [3, 8, 64, 64],
    "own_shape": [3, 16, 112, 112],
    "layers": 20,
    "by_winograd": 13,
    "predicted_error": 8.1e-6,
    "measured_error": 4e-6,
    "error": 1.2e-5,
    "direct_error": 2e-6,
    "clip_distance": 0.41,
    "agreement": ["order", "set"],
    "margin": 56.4,
    "above_tolerance": None,
}


def failures(row: dict[str, Any]) -> list[str]:
    limits = {
        "error": row["error"] <= 1e-4,
        "clip_distance": row["clip_distance"] > 0.1,
        "agreement": set(row["agreement"]) <= {"order", "set"},
        "margin": row["margin"] is None or row["margin"] > 1,
        "above_tolerance": row["above_tolerance"] is None,
    }
    return [name for name, is_kept in limits.items() if not is_kept]


def test_a_row_says_what_was_measured_and_what_was_reduced() -> None:
    assert network_cells(ROW) == (
        "r3d_18", "3x8x64x64 (3x16x112x112)", "20", "13", "8.1e-06, 4.0e-06", "1.2e-05", "2.0e-06", "41%",
        "same order / same set", "56",
    )  # fmt: skip
    own = network_cells({**ROW, "input_shape": ROW["own_shape"], "by_winograd": 0, "margin": None})
    assert own[1] == "3x16x112x112"
    assert own[4] == own[9] == "-"


def test_the_table_has_a_row_a_network() -> None:
    tables = study_tables("all_networks.json", {"rows": [ROW, {**ROW, "agreement": ["none"]}]})
    lines = tables["all_networks"].splitlines()
    assert len(lines) == 4
    assert "OTHERS" in lines[-1]
    assert tables["all_networks"] == all_networks_table({"rows": [ROW, {**ROW, "agreement": ["none"]}]})


@pytest.mark.skipif(not SHIPPED.exists(), reason="no figures of benchmarks/all_networks.py are shipped")
def test_what_is_shipped_keeps_the_limits() -> None:
    rows = json.loads(SHIPPED.read_text())["rows"]
    assert {row["network"] for row in rows} <= set(list_networks())
    assert {row["network"]: found for row in rows if (found := failures(row))} == {}


@pytest.mark.parametrize(
    "wrong",
    [{"error": 2e-4}, {"clip_distance": 0.09}, {"agreement": ["none"]}, {"margin": 0.5}, {"above_tolerance": "conv1"}],
)
def test_a_limit_that_is_not_kept_is_noticed(wrong: dict[str, Any]) -> None:
    assert failures(ROW) == []
    assert failures({**ROW, **wrong}) == list(wrong)
