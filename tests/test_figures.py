"""The figures in the README and on the page of the kernels are those of the committed results."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from winograd.benching.networks.tables import NETWORKS, networks_table
from winograd.benching.study_tables import study_tables
from winograd.benching.tables import COVERAGE, layer_cells, layers_table, suites_table, with_layers, with_table

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks/results"
PAGE = "docs/how-the-kernels-work.md"
SUITES = {
    "c3d_batch1": "README.md",
    "c3d_batch8": "README.md",
    "c3d_batch1_1e-6": PAGE,
    "c3d_batch8_1e-6": PAGE,
    "r3d_18": PAGE,
    "r2plus1d_18": PAGE,
    "i3d_rgb": PAGE,
    "c3d_stem": PAGE,
}


def result(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"bench_{name}.json").read_text(encoding="utf-8"))


def section(file: str, name: str) -> str:
    """Return the table whose line before it names the result's file."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return text.partition(f"bench_{name}.json")[2].partition("bench_")[0].partition("\n## ")[0]


def rows(name: str) -> list[str]:
    return layers_table(result(name)).splitlines()[2:]


@pytest.mark.parametrize(("name", "file"), SUITES.items(), ids=SUITES)
def test_tables_quote_the_committed_results(name: str, file: str) -> None:
    quoted = re.findall(r"^\| (?!layer |---).*\|$", section(file, name), re.MULTILINE)
    assert quoted == rows(name)


def test_the_readme_says_where_and_when() -> None:
    found = result("c3d_batch1")
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Figures")[2].partition("\n## ")[0]
    machine = found["machine"]
    tight = [result(f"c3d_batch{batch}_1e-6")["stack"]["ratio"]["value"] for batch in (1, 8)]
    assert f"{tight[0]:.2f} times as fast at batch 1, {tight[1]:.2f} times at batch 8" in text
    for part in (machine["date"], machine["processor"], f"torch {machine['torch']}", f"{found['repeats']} rounds"):
        assert part in text


def test_the_page_says_what_large_pages_change() -> None:
    found = result("c3d_batch8_large_pages")
    ratio = found["stack"]["ratio"]
    assert found["environment"]["THP_MEM_ALLOC_ENABLE"] == "1"
    quoted = f"{ratio['value']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
    assert quoted in (ROOT / PAGE).read_text(encoding="utf-8")


def test_a_changed_figure_is_noticed() -> None:
    found = result("c3d_batch1")["layers"][0]
    assert layer_cells({**found, "ours_ms": found["ours_ms"] + 0.1}) != layer_cells(found)


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_making_the_tables_anew_changes_no_page(page: Path) -> None:
    text = made = page.read_text(encoding="utf-8")
    results = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("bench_*.json"))}
    for name, figures in results.items():
        made = with_layers(made, name, figures)
    whole = [figures for name, figures in results.items() if name.startswith("bench_whole_")]
    made = with_table(made, COVERAGE, suites_table(whole)) if whole else made
    networks = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("networks_*.json"))]
    made = with_table(made, NETWORKS, networks_table(networks))
    studies = [RESULTS / f"{name}.json" for name in ("all_networks", "fft_or_winograd", "roofline_study", "training")]
    for file in (path.name for path in studies if path.exists()):
        for name, table in study_tables(file, json.loads((RESULTS / file).read_text(encoding="utf-8"))).items():
            made = with_table(made, name, table)
    assert made == text
