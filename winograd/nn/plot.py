"""A picture of a comparison: errors through depth, errors of every layer by itself, and times where there are any.

In: a `Comparison`. Out: the bytes of a PNG. Needs matplotlib, which the extra ``plot`` installs; no display is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from textwrap import fill
from typing import Any, Final

from winograd.nn.comparison import Comparison

_LABELS: Final = 45
"""Names of layers that fit below a picture; of more layers, every second, third ... is named."""

_WIDEST: Final = 20.0

_LETTERS: Final = 9
"""Letters of the title that fit into an inch of the picture."""

_CONVERTED, _PREDICTED, _DIRECT = "tab:blue", "tab:green", "tab:orange"
"""Colours: one for each of them in all panels."""

_AXIS = "relative L2 error against float64"


def draw_comparison(comparison: Comparison, title: str) -> bytes:
    """Draw panels over the layers in the order in which they run, as a PNG.

    The errors that have built up at the output of each layer; the errors of each layer on its own input, as predicted
    and as measured; and the ratio of times direct / converted, if something was timed.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layers = comparison.layers
    draw = [_draw_depth, _draw_layers, *([_draw_times] if any(layer.times for layer in layers) else [])]
    width = min(max(6.0, 0.35 * len(layers) + 3), _WIDEST)
    figure = Figure(figsize=(width, 3.2 * len(draw)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(draw), 1, sharex=True)
    for panel, into in zip(panels, draw, strict=True):
        into(panel, comparison)
    step = -(-len(layers) // _LABELS)
    last = panels[-1]
    last.set_xticks(range(0, len(layers), step), [layer.layer for layer in layers[::step]], rotation=60, ha="right")
    last.set_xlim(-0.6, len(layers) - 0.4)
    figure.suptitle(fill(title, int(_LETTERS * width)))
    target = BytesIO()
    figure.savefig(target, format="png", dpi=120)
    return target.getvalue()


def _draw_depth(panel: Any, comparison: Comparison) -> None:
    layers = comparison.layers
    panel.set_title("at the output of each layer, errors of all layers before it included", fontsize="small")
    _draw_errors(panel, "converted network", [layer.error_so_far for layer in layers], "o-", _CONVERTED)
    label, errors = f"direct network, {comparison.dtype}", [layer.direct_error_so_far for layer in layers]
    _draw_errors(panel, label, errors, ".-", _DIRECT)
    panel.axhline(comparison.error, color="grey", linewidth=0.8, linestyle="--", label="outputs, converted")
    _finish_errors(panel)


def _draw_layers(panel: Any, comparison: Comparison) -> None:
    layers = comparison.layers
    panel.set_title("each layer by itself, on the activations that it sees", fontsize="small")
    _draw_errors(panel, "converted, measured", [layer.measured_error for layer in layers], "o", _CONVERTED)
    _draw_errors(panel, "converted, predicted", [layer.predicted_error for layer in layers], "x", _PREDICTED)
    _draw_errors(panel, "direct, measured", [layer.direct_error for layer in layers], ".", _DIRECT)
    _finish_errors(panel)


def _draw_errors(panel: Any, label: str, errors: Sequence[float | None], marker: str, color: str) -> None:
    shown = [(number, error) for number, error in enumerate(errors) if error]
    if shown:
        numbers, values = zip(*shown, strict=True)
        panel.plot(numbers, values, marker, markersize=4, label=label, color=color)


def _finish_errors(panel: Any) -> None:
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter(FormatStrFormatter("%.0e"))
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.set_ylabel(_AXIS, fontsize="small")
    panel.grid(axis="y", linewidth=0.3)
    panel.legend(fontsize="x-small")


def _draw_times(panel: Any, comparison: Comparison) -> None:
    ratios = [0.0 if layer.times is None else layer.times.ratio for layer in comparison.layers]
    panel.set_title("speed of each layer by itself", fontsize="small")
    panel.bar(range(len(ratios)), ratios, color="tab:blue")
    panel.axhline(1, color="black", linewidth=0.8)
    panel.set_ylabel("time of best direct / converted", fontsize="small")
