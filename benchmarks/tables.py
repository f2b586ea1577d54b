"""Tables of the README and the documentation from the JSON of benchmarks.

    python benchmarks/tables.py [--pages] FILE...

Prints a table of layers for each file of python -m winograd.bench, and one of all suites; files named
bench_whole_*.json are those that are run on all layers of networks, and stand in the table "coverage" of the
documentation; networks_*.json, of python -m winograd.bench --network, have a table of whole networks together;
fft_or_winograd.json, roofline_study.json and training.json have tables of their own. --pages puts them into README.md
and docs/*.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from winograd.artefact import write_atomically
from winograd.benching.networks.tables import NETWORKS, networks_table
from winograd.benching.study_tables import study_tables
from winograd.benching.tables import COVERAGE, layers_table, suites_table, with_layers, with_table

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description="Tables in Markdown from JSON of python -m winograd.bench")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--pages", action="store_true", help="put them into README.md and docs/*.md")
    options = parser.parse_args()
    results = {path.name: _read(parser, path) for path in options.files}
    studies = {name: table for file, figures in results.items() for name, table in study_tables(file, figures).items()}
    networks = [figures for name, figures in results.items() if name.startswith("networks_")]
    if networks:
        studies[NETWORKS] = networks_table(networks)
    results = {name: figures for name, figures in results.items() if name.startswith("bench_")}
    whole = [figures for name, figures in results.items() if name.startswith("bench_whole_")]
    if options.pages:
        for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
            _update(page, results, whole, studies)
        return 0
    for name, figures in results.items():
        print(f"{name}:\n\n{layers_table(figures)}\n")
    if whole:
        print(suites_table(whole))
    for name, table in studies.items():
        print(f"{name}:\n\n{table}\n")
    return 0


def _read(parser: argparse.ArgumentParser, path: Path) -> Any:
    """Return the JSON of a file, or end in one line."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        parser.exit(1, f"{parser.prog}: error: {path}: {error.strerror}\n")
    except ValueError as error:
        parser.exit(1, f"{parser.prog}: error: {path} is no JSON: {error}\n")


def _update(page: Path, results: dict[str, Any], whole: list[Any], studies: dict[str, str]) -> None:
    before = after = page.read_text(encoding="utf-8")
    for name, figures in results.items():
        after = with_layers(after, name, figures)
    if whole:
        after = with_table(after, COVERAGE, suites_table(whole))
    for name, table in studies.items():
        after = with_table(after, name, table)
    if after != before:
        write_atomically(str(page), after.encode())
        print(f"{page.relative_to(ROOT)}: tables made anew", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
