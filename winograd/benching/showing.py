"""A benchmark as text. In: a `Benchmark`. Out: a table, with how it was made above and the sums below."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from winograd.benching.result import Benchmark, LayerMeasurement
from winograd.benching.statistics import LAYER_INTERVAL, STACK_INTERVAL, Ratio
from winograd.nn.table import mebibytes, scientific, text_table

_HEADER: Final = (
    "layer", "shape", "algorithm", "direct ms", "ours ms", "ratio", "interval", "error", "direct's",
)  # fmt: skip
_LEFT: Final = 3
_WIDE_HEADER: Final = (
    "layer", "count", "shape", "algorithm", "layout", "best direct variant", "direct ms", "ours ms",
    "ratio", "interval", "predicted error", "measured error", "direct error",
    "effective", "executed", "direct", "U MiB", "work MiB",
)  # fmt: skip
_WIDE_LEFT: Final = 6
_RATES: Final = "effective, ours counted as direct convolution; executed, ours in its own products; direct, the other"


def benchmark_text(benchmark: Benchmark, *, wide: bool = False) -> str:
    """Return heading, table and sums; all figures of every layer if ``wide``."""
    if wide:
        table = text_table(_WIDE_HEADER, [_wide_cells(layer) for layer in benchmark.layers], left=_WIDE_LEFT)
    else:
        table = text_table(_HEADER, [_cells(layer) for layer in benchmark.layers], left=_LEFT)
    return "\n".join([*_heading(benchmark, wide), "", table, "", *_sums(benchmark)])


def _heading(benchmark: Benchmark, wide: bool) -> list[str]:
    machine, macs = benchmark.machine, sum(layer.count * layer.macs for layer in benchmark.layers)
    return [
        f"{benchmark.suite}, batch {benchmark.batch}: {macs / 1e9:.3f} GMACs, "
        f"float32, tolerance {benchmark.tolerance:g}, filters transformed beforehand",
        f"{machine['processor']}, {benchmark.threads} threads, torch {machine['torch']}, {machine['date']}, "
        f"seed {benchmark.seed}; medians of {benchmark.repeats} interleaved rounds",
        *([f"environment: {_variables(benchmark)}"] if benchmark.environment else []),
        "errors: relative L2 against float64, independent zero-mean inputs; verified before timing, in both layouts",
        "ratio: median over the rounds of best direct variant / ours",
        f"interval: {LAYER_INTERVAL}",
        *([f"GFLOP/s: {_RATES}"] if wide else []),
    ]


def _variables(benchmark: Benchmark) -> str:
    return ", ".join(f"{name}={value}" for name, value in benchmark.environment.items())


def _cells(layer: LayerMeasurement) -> tuple[str, ...]:
    rounds = layer.rounds
    return (
        layer.layer + (f" x{layer.count}" if layer.count > 1 else ""),
        f"{layer.input[1]}>{layer.weight[0]} {_sizes(layer.weight)} {_sizes(layer.input)}",
        _short(layer.algorithm),
        f"{rounds.direct_median_ms:.2f}",
        f"{rounds.ours_median_ms:.2f}",
        f"{rounds.ratio.value:.2f}",
        f"{rounds.ratio.low:.2f}-{rounds.ratio.high:.2f}",
        scientific(layer.measured_error),
        scientific(layer.direct_error),
    )


def _short(algorithm: str) -> str:
    """Return the outputs of a tile, and the products where they are not the least; the shape has the taps.

    Examples
    --------
    >>> _short("native F(4x4x7,3x3x3) of 6x6x10 products"), _short("direct")
    ('F(4x4x7) 6x6x10', 'direct')
    """
    return re.sub(r",[\dx]+\)", ")", algorithm.removeprefix("native ")).replace(" of ", " ").removesuffix(" products")


def _wide_cells(layer: LayerMeasurement) -> tuple[str, ...]:
    rounds = layer.rounds
    return (
        layer.layer,
        str(layer.count),
        _shape(layer),
        layer.algorithm,
        layer.layout,
        layer.direct_variant,
        f"{rounds.direct_median_ms:.2f}",
        f"{rounds.ours_median_ms:.2f}",
        f"{rounds.ratio.value:.2f}",
        _interval(rounds.ratio),
        scientific(layer.predicted_error),
        scientific(layer.measured_error),
        scientific(layer.direct_error),
        f"{layer.effective_gflops:.0f}",
        f"{layer.executed_gflops:.0f}",
        f"{layer.direct_gflops:.0f}",
        mebibytes(layer.filter_bytes),
        mebibytes(layer.workspace_bytes),
    )


def _shape(layer: LayerMeasurement) -> str:
    return f"{layer.input[1]} to {layer.weight[0]}, {_sizes(layer.weight)} on {_sizes(layer.input)}"


def _sizes(tensor: Sequence[int]) -> str:
    return "x".join(map(str, tensor[2:]))


def _interval(ratio: Ratio) -> str:
    return f"{ratio.low:.2f} to {ratio.high:.2f}"


def _sums(benchmark: Benchmark) -> list[str]:
    stack = benchmark.stack
    return [
        f"stack of {len(benchmark.layers)}, sums of medians, each as often as counted: "
        f"best direct {stack.direct_ms:.1f} ms, ours {stack.ours_ms:.1f} ms, "
        f"ratio {stack.ratio.value:.2f} ({_interval(stack.ratio)})",
        f"its interval: {STACK_INTERVAL}",
        f"ours: {stack.effective_gflops:.0f} GFLOP/s effective, {stack.executed_gflops:.0f} executed; "
        f"worst error {scientific(stack.worst_error)}; U {stack.filter_bytes / 2**20:.1f} MiB in all, "
        f"workspace {stack.workspace_bytes / 2**20:.1f} MiB at most",
    ]
