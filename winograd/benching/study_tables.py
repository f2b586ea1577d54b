"""Tables in Markdown from the JSON of studies: FFT or Winograd, how good the cost model is, training steps.

In: figures as ``benchmarks/fft_or_winograd.py``, ``roofline_study.py`` and ``training.py`` write them. Out: tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final

from winograd.benching.network_tables import ALL_NETWORKS, all_networks_table
from winograd.benching.tables import markdown

Figures = Mapping[str, Any]

NETWORKS: Final = {"fft_or_winograd_c3d": "c3d", "fft_or_winograd_vgg": "vgg"}
"""First word of the layers in each table of the comparison with the FFT, by the name of the table."""

CHOSEN: Final = "roofline_chosen"
"""Name of the table of the cost model's choices."""

_KINDS: Final = {"direct": "direct", "plan": "plan", "regular": "Regular-FFT", "gauss": "Gauss-FFT"}
_NEAR: Final = 0.3


def study_tables(file: str, figures: Figures) -> dict[str, str]:
    """Return the tables of a file by their names; none for a file of another kind."""
    if file == "fft_or_winograd.json":
        return {name: fft_tables(figures, network) for name, network in NETWORKS.items()}
    if file == "training.json":
        from winograd.benching.training.tables import TRAINING, training_table  # loads torch

        return {TRAINING: training_table(figures)}
    if file == "all_networks.json":
        return {ALL_NETWORKS: all_networks_table(figures)}
    return {CHOSEN: study_table(figures)} if file == "roofline_study.json" else {}


def fft_tables(figures: Figures, network: str) -> str:
    """Return two tables of the layers of a network: the best of every kind, and Winograd with every tile.

    Times are measured ones, with the predicted ones behind a stroke.
    """
    rows = [row for row in figures["rows"] if row["layer"].startswith(f"{network} ")]
    names = list(dict.fromkeys(row["layer"] for row in rows))
    best = [_best_cells(name, [row for row in rows if row["layer"] == name]) for name in names]
    tiles = [_tile_cells(name, [row for row in rows if row["layer"] == name]) for name in names]
    header = ("layer", *_KINDS.values())
    return "\n\n".join([markdown(header, best), markdown(("layer", *(f"F({m})" for m in _every_m(rows))), tiles)])


def study_table(figures: Figures) -> str:
    """Return what the study of the cost model found, over its layers."""
    layers = figures["layers"]
    compared = [layer for layer in layers if layer["spearman"] is not None]
    costs = [_milliseconds(layer, "chosen") / _milliseconds(layer, "best") - 1 for layer in compared]
    off = [_off(layer) for layer in layers]
    near = sum(one <= _NEAR for one in off)
    return markdown(
        ("what", "figure"),
        [
            ("layers, those with 12 candidates and direct convolution", f"{len(layers)}, {len(compared)}"),
            ("rank correlation of predicted and measured order, median", _two(layer["spearman"] for layer in compared)),
            ("cost of the choice over the measured best, median", f"{median(costs):.1%}"),
            ("the same, nine layers of ten at most", f"{sorted(costs)[int(0.9 * len(costs))]:.1%}"),
            ("times of the chosen plans are off by, median", f"{median(off):.1%}"),
            ("times within 30 %", f"{near} of {len(layers)}"),
        ],
    )


def _best_cells(name: str, rows: Sequence[Figures]) -> tuple[str, ...]:
    last = {row["kind"]: row for row in rows if row["final_ms"] is not None}
    return (name.partition(" ")[2], *(_cell(last[kind], with_name=True) for kind in _KINDS))


def _tile_cells(name: str, rows: Sequence[Figures]) -> tuple[str, ...]:
    by_m = {_m(row): row for row in rows if row["kind"] == "winograd"}
    return (name.partition(" ")[2], *(_cell(by_m[m], with_name=False) for m in sorted(by_m)))


def _every_m(rows: Iterable[Figures]) -> list[int]:
    return sorted({_m(row) for row in rows if row["kind"] == "winograd"})


def _m(row: Figures) -> int:
    """Return the outputs per axis of an algorithm such as F(4x4x4,3x3x3)."""
    return int(str(row["algorithm"]).removeprefix("F(").partition("x")[0])


def _cell(row: Figures, *, with_name: bool) -> str:
    measured = row["ms"] if row["final_ms"] is None else row["final_ms"]
    predicted = "" if row["predicted_ms"] is None else f" / {row['predicted_ms']:.2f}"
    times = f"{measured:.2f}{predicted} ms, {row['error']:.1e}"
    if not with_name or row["kind"] == "direct":
        return times
    return f"{str(row['algorithm']).removeprefix('native ').replace(',3x3x3', '').replace(',3x3', '')}: {times}"


def _milliseconds(layer: Figures, which: str) -> float:
    return float(layer["measured_ms"][layer[which]])


def _off(layer: Figures) -> float:
    """Return by how much the predicted time of the chosen plan is too small or too large."""
    ratio = float(layer["predicted_ms"][layer["chosen"]]) / _milliseconds(layer, "chosen")
    return max(ratio, 1 / ratio) - 1


def _two(values: Iterable[float]) -> str:
    return f"{median(values):.2f}"
