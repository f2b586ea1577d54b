"""The valley: error over the value of one interpolation point, and kappa, which explains it.

In: a grid of values with the model's error and kappa at each, and a few measured errors. Out: a figure.
Refused: columns that differ in length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from winograd.accuracy.showing.plots.canvas import COLOURS, in_style, log_scale, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MeasuredPoint = tuple[float, float, tuple[float, float]]
"""Value of the point, error, interval."""


@in_style
def draw_valley(
    values: Sequence[float],
    predicted: Sequence[float],
    kappas: Sequence[float],
    measured: Sequence[MeasuredPoint] = (),
    *,
    error: str,
    point: str = "a",
    title: str = "",
) -> Figure:
    """Draw the predicted and measured error over the value of a point, above kappa over the same values.

    Parameters
    ----------
    values : sequence of float
        Grid of the point's values, rising.
    predicted, kappas : sequence of float
        One per value.
    measured : sequence of MeasuredPoint
        Measurements at some values.
    error : str
        Name of the error that is predicted and measured.
    point : str
        Name of the point that varies.
    title : str
        Algorithm, protocol and dtype.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the grid is empty or its columns differ in length.
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    if not values or len({len(values), len(predicted), len(kappas)}) != 1:
        counts = f"{len(values)} values, {len(predicted)} predicted errors and {len(kappas)} kappas"
        raise ValueError(f"a valley of {counts}, must be as many of each, at least one")
    figure = new_figure(7.2, 5.4)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    top.plot(values, predicted, color=COLOURS[0], label="predicted")
    _mark_least(top, values, predicted)
    if measured:
        at, errors, intervals = zip(*measured, strict=True)
        low, high = zip(*intervals, strict=True)
        top.vlines(at, low, high, color=COLOURS[1], linewidth=4, alpha=0.4)
        top.plot(at, errors, "s", color=COLOURS[1], label="measured, with 95 % interval")
    bottom.plot(values, kappas, color=COLOURS[2], linestyle="dashdot", label="kappa of one axis")
    _mark_least(bottom, values, kappas)
    for axes, name in ((top, error), (bottom, "kappa")):
        log_scale(axes)
        axes.set_ylabel(name)
        axes.legend(loc="upper center")
    bottom.yaxis.set_minor_formatter("{x:g}")
    bottom.yaxis.set_major_formatter("{x:g}")
    bottom.set_xlabel(f"value of the point {point}")
    top.set_title(title, loc="left")
    return figure


def _mark_least(axes: Axes, values: Sequence[float], heights: Sequence[float]) -> None:
    place = int(np.argmin(heights))
    axes.axvline(values[place], color="0.35", linewidth=0.9, linestyle="dotted")
    axes.annotate(
        f"least: {heights[place]:.3g} at {values[place]:.3g}", (values[place], 0.5), fontsize="small",
        xycoords=axes.get_xaxis_transform(), xytext=(6, 0), textcoords="offset points",
    )  # fmt: skip
