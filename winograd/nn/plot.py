"""A picture of a comparison: ratio of times and errors by layer.

In: a `Comparison`. Out: the bytes of a PNG. Needs matplotlib, which the extra ``plot`` installs; no display is needed.
"""

from __future__ import annotations

from io import BytesIO

from winograd.nn.comparison import Comparison


def draw_comparison(comparison: Comparison, title: str) -> bytes:
    """Draw two panels over the layers: the ratio direct / converted, and the errors against float64, as a PNG.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    names = [layer.layer for layer in comparison.layers]
    figure = Figure(figsize=(max(6.0, 0.9 * len(names)), 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    speed, error = figure.subplots(2, 1, sharex=True)
    speed.bar(names, [layer.ratio for layer in comparison.layers], color="tab:blue")
    speed.axhline(1, color="black", linewidth=0.8)
    speed.set_ylabel("time of best direct / converted")
    for label, values, marker in (
        ("converted, measured", [layer.measured_error for layer in comparison.layers], "o"),
        ("converted, predicted", [layer.predicted_error for layer in comparison.layers], "x"),
        ("direct, measured", [layer.direct_error for layer in comparison.layers], "."),
    ):
        shown = [(name, value) for name, value in zip(names, values, strict=True) if value]
        error.plot([name for name, _ in shown], [value for _, value in shown], marker, label=label)
    error.set_yscale("log")
    error.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    error.yaxis.set_major_formatter(FormatStrFormatter("%.0e"))
    error.yaxis.set_minor_formatter(NullFormatter())
    error.set_ylabel("relative L2 error against float64")
    error.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1), fontsize="small", frameon=False)
    error.tick_params(axis="x", rotation=45)
    figure.suptitle(title)
    target = BytesIO()
    figure.savefig(target, format="png", dpi=120)
    return target.getvalue()
