"""The table of all networks on a clip, in Markdown. In: figures of ``benchmarks/all_networks.py``. Out: the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from winograd.benching.tables import markdown

Figures = Mapping[str, Any]

ALL_NETWORKS: Final = "all_networks"
"""Name of the table."""

_HEADER: Final = (
    "network", "clip", "convolutions", "by Winograd", "worst layer: predicted, measured", "network: converted",
    "float32 direct", "two clips apart", "five largest", "margin",
)  # fmt: skip

_AGREEMENT: Final = {"order": "same order", "set": "same set", "none": "OTHERS"}


def all_networks_table(figures: Figures) -> str:
    """Return a row for each network; errors are relative L2 against float64, the worst of both clips."""
    return markdown(_HEADER, [network_cells(row) for row in figures["rows"]])


def network_cells(row: Figures) -> tuple[str, ...]:
    """Return the cells of one network; an own size that was not taken stands in brackets."""
    own = "" if row["input_shape"] == row["own_shape"] else f" ({_spelled(row['own_shape'])})"
    layers = "-" if not row["by_winograd"] else f"{row['predicted_error']:.1e}, {row['measured_error']:.1e}"
    return (
        row["network"],
        _spelled(row["input_shape"]) + own,
        str(row["layers"]),
        str(row["by_winograd"]),
        layers,
        f"{row['error']:.1e}",
        f"{row['direct_error']:.1e}",
        f"{row['clip_distance']:.0%}",
        " / ".join(dict.fromkeys(_AGREEMENT[one] for one in row["agreement"])),
        "-" if row["margin"] is None else f"{row['margin']:.0f}",
    )


def _spelled(shape: list[int]) -> str:
    return "x".join(map(str, shape))
