"""A comparison as text: a table of the layers, then lines on the whole. In: a `Comparison`. Out: lines of text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from winograd.accuracy.showing.table import scientific, text_table
from winograd.nn.comparison import Comparison, LayerComparison, OutputComparison

_ERRORS = (
    "layer", "input", "algorithm", "predicted error", "measured error", "direct error", "so far", "direct so far",
)  # fmt: skip

_TIMES = ("best direct variant", "ms", "converted ms", "ratio")

_LEFT = 3
"""Columns of words, aligned to the left."""


def comparison_text(comparison: Comparison) -> str:
    """Return the table and the lines; columns of times only where something was timed."""
    timed = any(layer.times is not None for layer in comparison.layers)
    header = (*_ERRORS, *(_TIMES if timed else ()))
    table = text_table(header, [_cells(layer, timed=timed) for layer in comparison.layers], left=_LEFT)
    return "\n".join([table, "", *_lines(comparison)])


def _cells(layer: LayerComparison, *, timed: bool) -> tuple[str, ...]:
    figures = (
        layer.predicted_error,
        layer.measured_error,
        layer.direct_error,
        layer.error_so_far,
        layer.direct_error_so_far,
    )
    cells = (layer.layer, "x".join(map(str, layer.input)), layer.algorithm, *map(scientific, figures))
    if not timed:
        return cells
    if layer.times is None:
        return (*cells, *("-" for _ in _TIMES))
    times = layer.times
    return (*cells, times.direct_variant, f"{times.direct_ms:.1f}", f"{times.converted_ms:.1f}", f"{times.ratio:.2f}")


def _lines(comparison: Comparison) -> Iterator[str]:
    if not math.isnan(comparison.stack_ratio):
        yield (
            f"stack ({', '.join(comparison.stack)}), sums of medians: best direct {comparison.stack_direct_ms:.1f} ms, "
            f"converted {comparison.stack_converted_ms:.1f} ms, ratio {comparison.stack_ratio:.2f}"
        )
    if comparison.times is not None:
        times = comparison.times
        yield (
            f"whole network: direct in its better layout ({times.direct_variant}) {times.direct_ms:.1f} ms, "
            f"converted ({times.converted_variant}) {times.converted_ms:.1f} ms, ratio {times.ratio:.2f}"
        )
    others = "the two clips" if len(comparison.outputs) == 2 else "the first clip and of any other"
    yield f"outputs of {others} lie {comparison.clip_distance:.1%} apart (relative L2, float64)"
    for number, output in enumerate(comparison.outputs, start=1):
        error, direct = scientific(output.error), scientific(output.direct_error)
        change, direct_change = scientific(output.largest_change), scientific(output.direct_largest_change)
        yield (
            f"clip {number}: relative L2 error of the whole network against float64: {error} "
            f"({comparison.dtype} direct: {direct}); largest change of any output, relative to the largest output: "
            f"{change} ({direct_change})"
        )
        yield f"clip {number}: {_top_line(output)}"


def _top_line(output: OutputComparison) -> str:
    count = len(output.top)
    agrees = {
        "order": "the same outputs in the same order",
        "set": "the same outputs in another order",
        "none": "OTHER OUTPUTS",
    }[output.agreement]
    margin = "" if output.margin is None else f"; the next output is {output.margin:.0f} times the largest change away"
    return f"top {count} of float64 {_listed(output.top)}, converted {_listed(output.converted_top)}: {agrees}{margin}"


def _listed(indices: Sequence[int]) -> str:
    return " ".join(map(str, indices))
