"""The table in Markdown of whole networks. In: figures as `NetworksBenchmark.as_dict` gives them. Out: a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from winograd.benching.tables import markdown

NETWORKS: Final = "whole_networks"
"""Name of the table."""

_HEADER: Final = (
    "network", "eager, ms", "eager folded, ms", "torch.compile, ms", "ours, ms", "ours folded, ms", "against eager",
    "folded against folded", "against torch.compile",
)  # fmt: skip

_RUNS: Final = ("direct", "direct_folded", "compiled", "ours", "ours_folded")

_RATIOS: Final = ("unfolded", "folded", "compiled")


def networks_table(files: Iterable[Mapping[str, Any]]) -> str:
    """Return a row for each network: times with the error of the scores, and ratios with their intervals."""
    rows = [_cells(network) for figures in files for network in figures["networks"]]
    return markdown(_HEADER, rows)


def _cells(network: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        network["network"],
        *(_time(network["runs"].get(rival)) for rival in _RUNS),
        *(_ratio(network["ratios"].get(name)) for name in _RATIOS),
    )


def _time(run: Mapping[str, Any] | None) -> str:
    return "-" if run is None else f"{run['median_ms']:.1f} ({run['error']:.1e})"


def _ratio(ratio: Mapping[str, float] | None) -> str:
    return "-" if ratio is None else f"{ratio['value']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
