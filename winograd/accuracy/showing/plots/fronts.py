"""The Pareto front: products per output against error, one series of algorithms beside another.

In: named series of `FrontRow`. Out: a figure; the non-dominated rows of each series are joined and labelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from winograd.accuracy.showing.pareto import FrontRow, non_dominated
from winograd.accuracy.showing.plots.canvas import COLOURS, MARKERS, in_style, log_scale, new_figure, plain_log_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@in_style
def draw_front(series: Mapping[str, Sequence[FrontRow]], *, error: str, title: str = "") -> Figure:
    """Draw error over products per output; every series with its own front, dominated rows small and pale.

    Parameters
    ----------
    series : mapping of str to sequence of FrontRow
        By name, such as "found by search" and "published".
    error : str
        Name of the error.
    title : str
        Axes, protocol and dtype.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    figure = new_figure(7.6, 5.2)
    axes = figure.subplots()
    for number, (name, rows) in enumerate(series.items()):
        _draw(axes, name, rows, number)
    log_scale(axes)
    plain_log_scale(axes)
    axes.set_xlabel("multiplications per output (fewer is faster)")
    axes.set_ylabel(error)
    axes.set_title(title, loc="left")
    axes.margins(x=0.12, y=0.14)
    if series:
        axes.legend()
    return figure


def _draw(axes: Axes, name: str, rows: Sequence[FrontRow], number: int) -> None:
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    front = non_dominated(rows)
    others = [row for row in rows if row not in front]
    axes.plot(
        [row.products for row in others], [row.error for row in others], marker,
        color=colour, markersize=4, alpha=0.4, linestyle="none",
    )  # fmt: skip
    # Between two algorithms nothing is known but the cheaper one's error: the front is a staircase.
    axes.plot(
        [row.products for row in front], [row.error for row in front], color=colour, marker=marker,
        drawstyle="steps-post", linestyle=("solid", "dashed", "dashdot")[number % 3], linewidth=1.2, label=name,
    )  # fmt: skip
    # The labels of the first series stand below its points, those of the next above; slanted, neighbours do not meet.
    above = number % 2 == 1
    for row in front:
        axes.annotate(
            row.label, (row.products, row.error), xytext=(3, 4) if above else (-3, -4), textcoords="offset points",
            fontsize="x-small", color=colour, rotation=40, rotation_mode="anchor",
            horizontalalignment="left" if above else "right", verticalalignment="bottom" if above else "top",
        )  # fmt: skip
