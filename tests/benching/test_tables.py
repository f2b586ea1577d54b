"""Tables for pages: made from JSON, put where the page asks for them, and nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.benching.made_up import benchmark, measurement
from winograd.benching.tables import layers_table, suites_table, with_layers, with_table

ROOT = Path(__file__).resolve().parents[2]

FAST = measurement("conv1", (8.0,) * 6, (2.0,) * 6, count=2)
SLOWER = measurement("conv2", (2.0,) * 6, (2.5,) * 6, is_direct=True)
TINY = replace(measurement("conv3", (0.1,) * 6, (0.115,) * 6, is_direct=True, part="pointwise"))

PAGE = """Made by `bench_made_up.json`:

| layer | ratio |
|---|---|
| old | 1.00 |

Another, `bench_other.json`:

| layer | ratio |
|---|---|
| kept | 1.00 |

<!-- table coverage -->
old
<!-- end of table coverage -->
end
"""


def figures() -> Any:
    return json.loads(json.dumps(benchmark(FAST, SLOWER, TINY).as_dict()))


def test_a_table_has_a_row_a_layer_and_their_sum() -> None:
    assert layers_table(figures()).splitlines() == [
        "| layer | direct, ms (error) | algorithm | ours, ms (error) | ratio |",
        "|---|---|---|---|---|",
        "| conv1 (x2) | 8.00 (5.0e-07) | F(2x2x2,3x3x3) | 2.00 (1.0e-06) | 4.00 |",
        "| conv2 | 2.00 (5.0e-07) | direct | 2.50 (1.0e-06) | 0.80 |",
        "| conv3 | 0.10 (5.0e-07) | direct | 0.12 (1.0e-06) | 0.87 |",
        "| all | 18.1 | | 6.6 (1.0e-06 at most) | 2.74 (2.74 to 2.74) |",
    ]


def test_a_suite_is_a_row_with_what_falls_short() -> None:
    row = suites_table([figures()]).splitlines()[-1]
    assert row == (
        "| made_up, batch 1 | 4.0 | 3 | 1 | 18.1 | 6.6 | 2.74 (2.74 to 2.74) | 2.77 | - | 1 | 15 | 1.0e-06 |"
    )


def test_a_page_gets_the_tables_that_it_asks_for() -> None:
    made = with_layers(PAGE, "bench_made_up.json", figures())
    assert "| old |" not in made
    assert f"`bench_made_up.json`:\n\n{layers_table(figures())}\n\nAnother" in made
    assert "| kept | 1.00 |" in made
    assert with_layers(made, "bench_made_up.json", figures()) == made
    assert with_layers(PAGE, "bench_unknown.json", figures()) == PAGE


def test_a_table_between_two_lines_is_replaced() -> None:
    made = with_table(PAGE, "coverage", "| new |")
    assert "<!-- table coverage -->\n\n| new |\n\n<!-- end of table coverage -->\nend" in made
    assert with_table(made, "coverage", "| new |") == made
    assert with_table(PAGE, "another", "| new |") == PAGE


@pytest.mark.parametrize(("text", "message"), [(None, "No such file"), ("{", "a.json is no JSON")])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    words = [sys.executable, ROOT / "benchmarks" / "tables.py", path]
    found = subprocess.run(
        words, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout, found.stderr.count("\n")) == (1, "", 1)
    assert message in found.stderr
