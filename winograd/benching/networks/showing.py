"""Whole networks as text. In: a `NetworksBenchmark`. Out: a table, with how it was made above."""

from __future__ import annotations

from typing import Final

from winograd.accuracy.showing.table import mebibytes, scientific, text_table
from winograd.benching.networks.result import NetworksBenchmark, NetworkTimes, Run
from winograd.benching.networks.rivals import Rival
from winograd.benching.statistics import LAYER_INTERVAL

_WORDS: Final = {
    Rival.DIRECT: "eager torch",
    Rival.DIRECT_FOLDED: "eager torch, folded",
    Rival.COMPILED: "torch.compile, frozen",
    Rival.OURS: "ours",
    Rival.OURS_FOLDED: "ours, folded",
}

_BESIDE: Final = {Rival.COMPILED: "compiled", Rival.OURS: "unfolded", Rival.OURS_FOLDED: "folded"}
"""Beside whom each ratio stands."""

_HEADER: Final = ("network", "by", "memory format", "ms", "error", "ratio", "interval")


def networks_text(benchmark: NetworksBenchmark) -> str:
    """Return heading, a row for each network and rival, and what ours holds in memory."""
    rows = [row for network in benchmark.networks for row in _rows(network)]
    costs = [_cost_line(network) for network in benchmark.networks]
    return "\n".join([*_heading(benchmark), "", text_table(_HEADER, rows, left=3), "", *costs])


def _heading(benchmark: NetworksBenchmark) -> list[str]:
    machine = benchmark.machine
    variables = ", ".join(f"{name}={value}" for name, value in benchmark.environment.items())
    return [
        f"whole networks, float32, tolerance {benchmark.tolerance:g} a convolution, weights transformed beforehand",
        f"{machine['processor']}, {benchmark.threads} threads, torch {machine['torch']}, {machine['date']}, "
        f"seed {benchmark.seed}; medians of {benchmark.repeats} interleaved rounds, the faster memory format of each",
        *([f"environment: {variables}"] if variables else []),
        "folded: batch norm folded into the convolution before it; ours and torch.compile take the ReLU behind it, too",
        "error: relative L2 of the scores against direct convolution in float64",
        "ratio: how many times faster than eager torch ours is, folded than folded; beside torch.compile, than that "
        "ours, folded, is; the median over the rounds",
        f"interval: {LAYER_INTERVAL}",
    ]


def _rows(network: NetworkTimes) -> list[tuple[str, ...]]:
    first = f"{network.network} {'x'.join(map(str, network.input))}"
    runs = [(rival, network.runs[rival]) for rival in _WORDS if rival in network.runs]
    return [(first if not row else "", *_cells(network, rival, run)) for row, (rival, run) in enumerate(runs)]


def _cells(network: NetworkTimes, rival: Rival, run: Run) -> tuple[str, ...]:
    ratio = network.ratios.get(_BESIDE.get(rival, ""))
    beside = ("", "") if ratio is None else (f"{ratio.value:.2f}", f"{ratio.low:.2f}-{ratio.high:.2f}")
    return (_WORDS[rival], run.layout, f"{run.median_ms:.1f}", scientific(run.error), *beside)


def _cost_line(network: NetworkTimes) -> str:
    costs = network.costs
    return (
        f"{network.network}: {costs.by_winograd} of {costs.convolutions} convolutions by Winograd; "
        f"weights {mebibytes(costs.weight_bytes)} MiB, transformed and packed {mebibytes(costs.packed_bytes)} MiB, "
        f"workspace {mebibytes(costs.workspace_bytes)} MiB at most"
    )
