"""A benchmark as text. In: a `Benchmark`. Out: a table, with how it was made above and the sums below."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from winograd.accuracy.showing.table import mebibytes, scientific, text_table
from winograd.benching.result import Benchmark, LayerMeasurement
from winograd.benching.statistics import LAYER_INTERVAL, LEAST_RATIO, SHORT_MS, STACK_INTERVAL, Ratio
from winograd.benching.sums import StackMeasurement

_HEADER: Final = (
    "layer", "shape", "algorithm", "direct ms", "ours ms", "ratio", "interval", "error", "direct's",
)  # fmt: skip
_LEFT: Final = 3
_WIDE_HEADER: Final = (
    "layer", "count", "shape", "algorithm", "layout", "best direct variant", "direct ms", "ours ms",
    "ratio", "interval", "added us", "predicted error", "measured error", "direct error",
    "effective", "executed", "direct", "% of roofline", "U MiB", "work MiB", "packed MiB",
)  # fmt: skip
_WIDE_LEFT: Final = 6
_FILTERS: Final = {"frozen": "transformed beforehand", "live": "transformed in every call"}
_ROOFLINE: Final = (
    "roofline: what the peaks of the nominal machine allow the plan's stages, the largest of operations and bytes at "
    "each level of memory, over the time of ours"
)
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
        f"{benchmark.dtype}, tolerance {benchmark.tolerance:g}, filters {_FILTERS[benchmark.filters]}",
        f"{machine['processor']}, {benchmark.threads} threads, torch {machine['torch']}, {machine['date']}, "
        f"seed {benchmark.seed}; medians of {benchmark.repeats} interleaved rounds",
        *([f"environment: {_variables(benchmark)}"] if benchmark.environment else []),
        "errors: relative L2 against float64, independent zero-mean inputs; verified before timing, in both layouts"
        + _partly(benchmark),
        "ratio: median over the rounds of best direct variant / ours",
        f"interval: {LAYER_INTERVAL}",
        *([f"GFLOP/s: {_RATES}"] if wide else []),
        *([_ROOFLINE] if wide else []),
    ]


def _partly(benchmark: Benchmark) -> str:
    """Return of how many layers only a part of the output channels was verified, or nothing."""
    partly = sum(layer.verified_outputs < layer.weight[0] for layer in benchmark.layers)
    return f"; of {partly} large ones by some of the output channels" if partly else ""


def _variables(benchmark: Benchmark) -> str:
    return ", ".join(f"{name}={value}" for name, value in benchmark.environment.items())


def _cells(layer: LayerMeasurement) -> tuple[str, ...]:
    rounds = layer.rounds
    return (
        layer.layer + (f" x{layer.count}" if layer.count > 1 else ""),
        f"{layer.input[1]}>{layer.weight[0]} {_sizes(layer.weight)}{_steps(layer)} {_sizes(layer.input)}",
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
        f"{rounds.added_us:.0f}",
        scientific(layer.predicted_error),
        scientific(layer.measured_error),
        scientific(layer.direct_error),
        f"{layer.effective_gflops:.0f}",
        f"{layer.executed_gflops:.0f}",
        f"{layer.direct_gflops:.0f}",
        f"{100 * layer.of_bound:.0f}",
        mebibytes(layer.filter_bytes),
        mebibytes(layer.workspace_bytes),
        mebibytes(layer.packed_bytes),
    )


def _shape(layer: LayerMeasurement) -> str:
    return f"{layer.input[1]} to {layer.weight[0]}, {_sizes(layer.weight)}{_steps(layer)} on {_sizes(layer.input)}"


def _steps(layer: LayerMeasurement) -> str:
    """Return stride, dilation and groups where they are not 1: " /2" where a stride is the same on all axes."""
    stride, dilation = (
        str(steps[0]) if len(set(steps)) == 1 else "x".join(map(str, steps)) for steps in (layer.stride, layer.dilation)
    )
    groups = "" if layer.groups == 1 else f" g{layer.groups}"
    return (f" /{stride}" if stride != "1" else "") + (f" d{dilation}" if dilation != "1" else "") + groups


def _sizes(tensor: Sequence[int]) -> str:
    return "x".join(map(str, tensor[2:]))


def _interval(ratio: Ratio) -> str:
    return f"{ratio.low:.2f} to {ratio.high:.2f}"


def _sums(benchmark: Benchmark) -> list[str]:
    stack, parts = benchmark.stack, benchmark.parts
    return [
        f"stack of {len(benchmark.layers)}, sums of medians, each as often as counted: {_summed(stack)}",
        f"its interval: {STACK_INTERVAL}",
        *([f"{name}, {part.convolutions}: {_summed(part)}" for name, part in parts.items()] if len(parts) > 1 else []),
        f"ours: {stack.effective_gflops:.0f} GFLOP/s effective, {stack.executed_gflops:.0f} executed; "
        f"worst error {scientific(stack.worst_error)}; U {stack.filter_bytes / 2**20:.1f} MiB in all, "
        f"workspace {stack.workspace_bytes / 2**20:.1f} MiB at most",
        *_verdict(benchmark),
    ]


def _summed(stack: StackMeasurement) -> str:
    return (
        f"best direct {stack.direct_ms:.1f} ms, ours {stack.ours_ms:.1f} ms, "
        f"ratio {stack.ratio.value:.2f} ({_interval(stack.ratio)})"
    )


def _verdict(benchmark: Benchmark) -> list[str]:
    """Return what falls short of direct convolution, and what is above the tolerance."""
    again = sum(layer.first_rounds is not None for layer in benchmark.layers)
    slower = [f"{layer.layer} {layer.rounds.ratio.value:.2f}" for layer in benchmark.short if not layer.rounds.is_short]
    most = benchmark.most_added
    return [
        f"below {LEAST_RATIO:g} where direct takes {SHORT_MS:g} ms or more: {', '.join(slower) or 'none'}; "
        f"{again} measured again",
        *([f"most added where it takes less: {most.rounds.added_us:.0f} us, {most.layer}"] if most else []),
        f"above the tolerance: {', '.join(benchmark.above_tolerance) or 'none'}",
    ]
