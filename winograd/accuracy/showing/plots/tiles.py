"""Error against tile size: measured figures with their intervals, the model's curves, published rows.

In: series of plain numbers. Out: a figure. Refused: series whose columns differ in length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from winograd.accuracy.showing.plots.canvas import COLOURS, MARKERS, in_style, integer_ticks, log_scale, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Source(Enum):
    """Where the figures of a series come from, which decides how they are drawn."""

    MEASURED = "measured"
    """Points with their intervals, joined by a line."""
    PREDICTED = "predicted"
    """A dashed line."""
    PUBLISHED = "published"
    """Open diamonds, not joined."""


@dataclass(frozen=True, slots=True)
class TileSeries:
    """Errors of one family of algorithms over their tile sizes.

    Parameters
    ----------
    label : str
        What the legend says.
    sizes : tuple of int
        Outputs of a tile per axis.
    errors : tuple of float
        One per size.
    intervals : tuple of pairs of float
        One per size, or none.
    source : Source
        Where they come from.
    family : str, optional
        Series of one family share a colour; None is a family of its own.

    Raises
    ------
    ValueError
        If there are not as many errors, or intervals, as sizes.
    """

    label: str
    sizes: tuple[int, ...]
    errors: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...] = ()
    source: Source = Source.MEASURED
    family: str | None = None

    def __post_init__(self) -> None:
        if len(self.errors) != len(self.sizes) or len(self.intervals) not in {0, len(self.sizes)}:
            counts = f"{len(self.errors)} errors and {len(self.intervals)} intervals for {len(self.sizes)} sizes"
            raise ValueError(f"series {self.label!r} has {counts}, must be one per size; intervals may be left out")


@in_style
def draw_error_by_tile(series: Sequence[TileSeries], *, error: str, title: str = "") -> Figure:
    """Draw errors over the outputs of a tile per axis, on a logarithmic scale.

    Parameters
    ----------
    series : sequence of TileSeries
    error : str
        Name of the error, for the vertical axis.
    title : str
        Protocol, dtype and whatever else holds for all series.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    figure = new_figure(7.2, 4.4)
    axes = figure.subplots()
    families = list(dict.fromkeys(one.family or one.label for one in series))
    for one in series:
        _draw(axes, one, families.index(one.family or one.label))
    log_scale(axes)
    integer_ticks(axes)
    axes.set_xlabel("outputs m of a tile, per axis")
    axes.set_ylabel(error)
    axes.set_title(title, loc="left")
    if series:
        axes.legend()
    return figure


def _draw(axes: Axes, series: TileSeries, family: int) -> None:
    colour, marker = COLOURS[family % len(COLOURS)], MARKERS[family % len(MARKERS)]
    if series.source is Source.PREDICTED:
        axes.plot(series.sizes, series.errors, color=colour, linestyle=(0, (4, 2)), linewidth=1.2, label=series.label)
    elif series.source is Source.PUBLISHED:
        axes.plot(
            series.sizes, series.errors, "D", markersize=8.5, markerfacecolor="none",
            markeredgecolor="black", markeredgewidth=1.1, label=series.label,
        )  # fmt: skip
    else:
        axes.plot(series.sizes, series.errors, color=colour, marker=marker, label=series.label)
        if series.intervals:
            low, high = zip(*series.intervals, strict=True)
            axes.vlines(series.sizes, low, high, color=colour, linewidth=4, alpha=0.4)
