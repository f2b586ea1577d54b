"""The report of one `ErrorStudy`: its tables and pictures as one HTML page.

In: a study, and the errors of its trials. Out: the bytes of the page, the same for the same study.
Refused, with the extra that helps: machines without matplotlib.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.html_report import heading, html_page, paragraph, picture
from winograd.accuracy.model import predict_error
from winograd.accuracy.plots.canvas import svg_bytes
from winograd.accuracy.plots.histograms import draw_histogram
from winograd.accuracy.plots.places import draw_places
from winograd.accuracy.plots.tiles import Source, TileSeries, draw_error_by_tile
from winograd.accuracy.study import HEADER, SHARES, ErrorStudy
from winograd.accuracy.table import html_table
from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook

_SIZES: Final = range(2, 9)
"""Outputs per axis of the algorithms that one is shown beside."""


def study_page(study: ErrorStudy, errors: NDArray[np.float64]) -> bytes:
    """Return the page of a study.

    Parameters
    ----------
    study : ErrorStudy
    errors : ndarray of shape (trials, *m)
        Signed errors of some trials of the study's experiment, float64. Where one is not finite, the pictures are left
        out.

    Returns
    -------
    bytes
        HTML in UTF-8.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    label = study.report.algorithm.label
    parts = [
        paragraph(f"{study.cost}, kappa {study.bound.kappa:.4g}."),
        html_table(study.conditions, HEADER, study.rows),
        paragraph(
            "The intervals of averages are 95 % confidence intervals from the spread over the trials; that of the "
            "largest error runs from what was seen to the worst case, for inputs and taps of magnitude at most 1. "
            "Predicted is what the second-moment model says without running anything."
        ),
        html_table("Largest error of a tile, predicted", ("share of tiles", "stays under"), study.quantile_rows),
        html_table(
            "Range, rounding included in the last row", ("no overflow in", "for inputs up to"), study.range_rows
        ),
        *(_pictures(study, errors) if np.isfinite(errors).all() else [paragraph("Outputs overflowed: no pictures.")]),
    ]
    return html_page(f"Error of {label}", parts)


def _pictures(study: ErrorStudy, errors: NDArray[np.float64]) -> Iterator[str]:
    rms = study.prediction.rms_by_output
    shown = study.conditions.replace(f"{study.report.trials} trials", f"{len(errors)} trials")
    quantiles = [(share, study.prediction.quantile(share)) for share in SHARES]
    yield heading("How the errors are distributed")
    yield picture(
        svg_bytes(draw_histogram(errors, rms, quantiles)),
        f"Left: errors of all outputs, and the model's density. Right: the largest error of a tile. {shown}",
    )
    if len(set(study.report.algorithm.m)) == 1:
        yield heading("Beside other tile sizes")
        yield picture(
            svg_bytes(draw_error_by_tile(tile_series(study), error="relative L2 error")),
            f"Relative L2 error at other tile sizes, with default points, as the model has it. {study.conditions}",
        )
    yield heading("Where in the tile the error sits")
    yield picture(
        svg_bytes(draw_places(np.sqrt((errors**2).mean(axis=0)), rms)),
        f"Root mean square error of every output of a tile. {shown}",
    )


def tile_series(study: ErrorStudy) -> tuple[TileSeries, TileSeries]:
    """Return the predicted errors of default points at several tile sizes, and the study's own measured one."""
    report, nested = study.report, study.report.algorithm
    predicted = {}
    for m in sorted({*_SIZES, nested.m[0]}):
        with contextlib.suppress(OverflowError, ValueError):  # constants that the dtype does not hold
            others = nest(*(toom_cook(m, r) for r in nested.r))
            found = predict_error(others, report.dtype, report.protocol, report.order).relative_l2
            if math.isfinite(found):
                predicted[m] = found
    return (
        TileSeries("default points, predicted", tuple(predicted), tuple(predicted.values()), source=Source.PREDICTED),
        TileSeries(f"{nested.label}, measured", nested.m[:1], (report.relative_l2,), (report.relative_l2_interval,)),
    )
