"""The figures in the README are those of the committed results."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_readme_quotes_the_committed_benchmark() -> None:
    results = json.loads((ROOT / "benchmarks/results/c3d_stack_batch1.json").read_text(encoding="utf-8"))
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Figures")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| (conv\w+) \| (.*) \|$", section, re.MULTILINE))
    layers = [row["layer"] for row in results["rows"] if row["is_planned"]]
    assert list(rows) == layers
    for layer, quoted in rows.items():
        direct = next(row for row in results["rows"] if row["layer"] == layer)
        ours = next(row for row in results["rows"] if row["layer"] == layer and row["is_planned"])
        cells = [
            *(f"{row['ms']:.1f} ({row['measured_error']:.1e})" for row in (direct, ours)),
            ours["by"],
            f"{ours['ratio']:.2f}",
        ]
        assert sorted(quoted.split(" | ")) == sorted(cells)
    assert f"a ratio of {results['stack']['ratio']:.2f}" in section
    assert results["machine"]["date"] in section
