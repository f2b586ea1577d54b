"""How errors are distributed: a histogram with the model's density, and the largest error of a tile with quantiles.

In: signed errors, the model's root mean square error per output, quantiles. Out: a figure. Refused: no errors at all,
errors that are not finite, shapes that do not go together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.showing.plots.canvas import COLOURS, in_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS = 81


def mixture_density(at: NDArray[np.float64], rms_by_output: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the density of an error of a random output: a mixture of normal ones, one for each output.

    Parameters
    ----------
    at : ndarray
        Where it is wanted.
    rms_by_output : ndarray
        Root mean square error of every output; outputs that are exact (0) have no density and are left out.

    Returns
    -------
    ndarray of the shape of ``at``
        The share of exact outputs is missing from its integral.

    Examples
    --------
    >>> mixture_density(np.zeros(1), np.ones(4)).round(3).tolist()
    [0.399]
    """
    spreads = rms_by_output[rms_by_output > 0]
    densities = np.exp(-0.5 * (at[..., None] / spreads) ** 2) / (np.sqrt(2 * np.pi) * spreads)
    return np.asarray(densities.sum(axis=-1) / rms_by_output.size)


@in_style
def draw_histogram(
    errors: NDArray[np.float64],
    rms_by_output: NDArray[np.float64] | None = None,
    quantiles: Sequence[tuple[float, float]] = (),
    *,
    title: str = "",
) -> Figure:
    """Draw the distribution of the errors of all outputs, and that of the largest error of a tile.

    Parameters
    ----------
    errors : ndarray of shape (trials, *m)
        Signed errors, as `winograd.accuracy.measuring.samples.sample_errors` returns them.
    rms_by_output : ndarray of shape (*m,), optional
        The model's root mean square errors, for its density.
    quantiles : sequence of pairs of float
        Probability p, and the model's p-quantile of the largest absolute error of a tile.
    title : str
        Algorithm, protocol, dtype, trials and seed.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there are no errors, one is not finite, or there is not one root mean square for each output.
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    if errors.size == 0 or not np.isfinite(errors).all():
        raise ValueError(f"errors of shape {errors.shape} must be at least one, all finite")
    if rms_by_output is not None and rms_by_output.shape != errors.shape[1:]:
        raise ValueError(f"rms_by_output of shape {rms_by_output.shape}, must be {errors.shape[1:]} like a tile")
    figure = new_figure(9.6, 4.0)
    left, right = figure.subplots(1, 2)
    _draw_density(left, errors, rms_by_output)
    _draw_tail(right, np.abs(errors).reshape(len(errors), -1).max(axis=1), quantiles)
    figure.suptitle(title, x=0.01, horizontalalignment="left", fontsize="medium")
    return figure


def _draw_density(axes: Axes, errors: NDArray[np.float64], rms: NDArray[np.float64] | None) -> None:
    spread = float(np.sqrt((errors**2).mean())) or 1.0
    edge = 4.5 * spread
    edges = np.linspace(-edge, edge, _BINS + 1)
    counts, _ = np.histogram(errors, edges)
    axes.stairs(
        counts / (errors.size * np.diff(edges)), edges, fill=True, color=COLOURS[5], alpha=0.75, label="measured"
    )
    if rms is not None:
        at = np.linspace(-edge, edge, 481)
        axes.plot(at, mixture_density(at, rms), color="black", label="predicted, normal for each output")
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.3 / (errors.size * (edges[1] - edges[0])))
    axes.set_xlabel("error of an output")
    axes.set_ylabel("probability density")
    axes.legend(loc="lower center")


def _draw_tail(axes: Axes, largest: NDArray[np.float64], quantiles: Sequence[tuple[float, float]]) -> None:
    ordered = np.sort(largest)
    above = 1 - np.arange(len(ordered)) / len(ordered)
    axes.step(ordered, above, where="pre", color=COLOURS[0], label="measured")
    if quantiles:
        axes.plot(
            [value for _, value in quantiles], [1 - share for share, _ in quantiles],
            "kD", markerfacecolor="none", markersize=7, label="predicted quantiles",
        )  # fmt: skip
        for share, value in quantiles:
            axes.annotate(
                f"{100 * share:g} %", (value, 1 - share), xytext=(8, 2), textcoords="offset points", fontsize="small"
            )
    axes.set_yscale("log")
    axes.set_xlabel("largest |error| in a tile")
    axes.set_ylabel("share of tiles above it")
    axes.margins(x=0.12)
    axes.legend(loc="lower left")
