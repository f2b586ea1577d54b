"""Where in the tile the error sits: root mean square error by output, measured beside predicted.

In: arrays over the outputs of a tile of one to three axes. Out: a figure: a line, an image, or one image per depth.
Refused: other numbers of axes, and two arrays of different shapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.showing.plots.canvas import COLOURS, GREYS, in_style, integer_ticks, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WRITTEN = 6
"""Largest number of outputs along an axis for which every figure is written into its cell."""


@in_style
def draw_places(
    measured: NDArray[np.float64], predicted: NDArray[np.float64] | None = None, *, title: str = ""
) -> Figure:
    """Draw the root mean square error of every output of a tile.

    Parameters
    ----------
    measured : ndarray of shape (*m,)
        Root mean square error by output.
    predicted : ndarray of shape (*m,), optional
        The model's.
    title : str
        Algorithm, protocol, dtype, trials and seed.

    Returns
    -------
    matplotlib.figure.Figure
        One axis: curves. Two: one image each, on one colour scale. Three: a row of images each, one per depth.

    Raises
    ------
    ValueError
        If there are no or more than three axes, or the shapes differ.
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    if not 1 <= measured.ndim <= 3:
        raise ValueError(f"measured of shape {measured.shape}, must have one to three axes")
    if predicted is not None and predicted.shape != measured.shape:
        raise ValueError(f"predicted of shape {predicted.shape}, must be {measured.shape} like measured")
    figures = {"measured": measured} | ({} if predicted is None else {"predicted": predicted})
    figure = _lines(figures) if measured.ndim == 1 else _images(figures)
    figure.suptitle(title, x=0.01, horizontalalignment="left", fontsize="medium")
    return figure


def _lines(figures: dict[str, NDArray[np.float64]]) -> Figure:
    figure = new_figure(6.4, 3.6)
    axes = figure.subplots()
    styles: tuple[dict[str, Any], ...] = (
        {"color": COLOURS[0], "marker": "o"},
        {"color": "black", "marker": "x", "linestyle": "dashed"},
    )
    for (name, values), chosen in zip(figures.items(), styles, strict=False):
        axes.plot(np.arange(len(values)), values, label=name, **chosen)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("output of the tile")
    axes.set_ylabel("root mean square error")
    axes.legend()
    integer_ticks(axes)
    return figure


def _images(figures: dict[str, NDArray[np.float64]]) -> Figure:
    stacks = {name: values.reshape(-1, *values.shape[-2:]) for name, values in figures.items()}
    depth, height, width = next(iter(stacks.values())).shape
    beside = depth == 1  # one image each: side by side; else one row of images each
    rows, columns = (1, len(stacks)) if beside else (len(stacks), depth)
    size = 3.4 if beside else 1.9
    figure = new_figure(max(5.0, size * columns + 1.4), max(2.4, size * rows * min(1.6, height / width)) + 0.9)
    grid = figure.subplots(rows, columns, squeeze=False)
    top = max(float(values.max()) for values in stacks.values())
    unit = 10.0 ** int(np.floor(np.log10(top / 3))) if top > 0 else 1.0
    images = [(name, place, image) for name, stack in stacks.items() for place, image in enumerate(stack)]
    for axes, (name, place, image) in zip(grid.flat, images, strict=True):
        _image(axes, image / unit, top / unit)
        axes.set_title(name if beside else f"{name}, d = {place}", fontsize="small")
    for axes in grid[-1]:
        axes.set_xlabel("output w")
    for axes in grid[:, 0]:
        axes.set_ylabel("output h")
    figure.colorbar(grid[0, 0].images[0], ax=grid, label=f"root mean square error / {unit:.0e}")
    return figure


def _image(axes: Axes, image: NDArray[np.float64], top: float) -> None:
    axes.imshow(image, cmap=GREYS, vmin=0.0, vmax=top or 1.0)
    axes.grid(visible=False)
    axes.set_xticks(range(image.shape[1]))
    axes.set_yticks(range(image.shape[0]))
    if max(image.shape) > _WRITTEN:
        return
    for (row, column), value in np.ndenumerate(image):
        axes.text(
            column, row, f"{value:.1f}", color="black" if value > 0.6 * top else "white",
            fontsize="x-small", horizontalalignment="center", verticalalignment="center",
        )  # fmt: skip
