"""A benchmark as a picture: ratios with their intervals, and errors.

In: a `Benchmark`. Out: the bytes of a PNG. Needs matplotlib, which the extra ``plot`` installs; no display is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Final

from winograd.accuracy.showing.plots.canvas import COLOURS, MARKERS, in_style, log_scale, new_figure, style
from winograd.benching.result import Benchmark

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STACK: Final = "stack"

_WIDEST: Final = 60.0
"""Inches, however many layers there are."""


def benchmark_png(benchmark: Benchmark) -> bytes:
    """Draw two panels over the layers: ratios with their intervals, the stack's last, and errors; as a PNG.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    target = BytesIO()
    figure = _drawn(benchmark)
    with style():
        figure.savefig(target, format="png", dpi=120)
    return target.getvalue()


@in_style
def _drawn(benchmark: Benchmark) -> Figure:
    figure = new_figure(min(max(6.5, 0.9 * len(benchmark.layers) + 2), _WIDEST), 6.5)
    speed, error = figure.subplots(2, 1, sharex=True)
    _draw_ratios(speed, benchmark)
    _draw_errors(error, benchmark)
    machine = benchmark.machine
    figure.suptitle(
        f"{benchmark.suite}, batch {benchmark.batch}, tolerance {benchmark.tolerance:g}\n"
        f"{machine['processor']}, {benchmark.threads} threads, torch {machine['torch']}, {machine['date']}",
        fontsize="medium",
    )
    return figure


def _draw_ratios(axes: Axes, benchmark: Benchmark) -> None:
    ratios = [*(layer.rounds.ratio for layer in benchmark.layers), benchmark.stack.ratio]
    names = [*(layer.layer for layer in benchmark.layers), _STACK]
    reach = [[ratio.value - ratio.low for ratio in ratios], [ratio.high - ratio.value for ratio in ratios]]
    colours = [COLOURS[0]] * len(benchmark.layers) + [COLOURS[1]]
    axes.bar(names, [ratio.value for ratio in ratios], yerr=reach, color=colours, capsize=3)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_ylabel("best direct variant / ours")


def _draw_errors(axes: Axes, benchmark: Benchmark) -> None:
    layers = benchmark.layers
    series: dict[str, Sequence[float | None]] = {
        "measured": [layer.measured_error for layer in layers],
        "predicted": [layer.predicted_error for layer in layers],
        "direct, measured": [layer.direct_error for layer in layers],
    }
    for (label, values), colour, marker in zip(series.items(), COLOURS, MARKERS, strict=False):
        shown = [(layer.layer, value) for layer, value in zip(layers, values, strict=True) if value]
        axes.plot([name for name, _ in shown], [value for _, value in shown], marker, color=colour, label=label)
    axes.axhline(benchmark.tolerance, color="black", linewidth=0.8, linestyle="--", label="tolerance")
    log_scale(axes)
    axes.set_ylabel("relative L2 error against float64")
    axes.tick_params(axis="x", rotation=45)
    axes.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
