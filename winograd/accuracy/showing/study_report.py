"""The report of one `ErrorStudy`: its tables and pictures as one HTML page.

In: a study, and the errors of its trials. Out: the bytes of the page, the same for the same study.
Refused, with the extra that helps: machines without matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.showing.html_report import heading, html_page, paragraph, picture
from winograd.accuracy.showing.plots.canvas import svg_bytes
from winograd.accuracy.showing.plots.fronts import draw_front
from winograd.accuracy.showing.plots.histograms import draw_histogram
from winograd.accuracy.showing.plots.places import draw_places
from winograd.accuracy.showing.plots.tiles import draw_error_by_tile
from winograd.accuracy.showing.plots.valleys import draw_valley
from winograd.accuracy.showing.study import HEADER, SHARES, ErrorStudy
from winograd.accuracy.showing.surroundings import front_rows, tile_series, valley
from winograd.accuracy.showing.table import html_table


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
    yield heading("Where in the tile the error sits")
    yield picture(
        svg_bytes(draw_places(np.sqrt((errors**2).mean(axis=0)), rms)),
        f"Root mean square error of every output of a tile. {shown}",
    )
    yield from _surroundings(study)


def _surroundings(study: ErrorStudy) -> Iterator[str]:
    series, moved, front = tile_series(study), valley(study), front_rows(study)
    if series is not None:
        yield heading("Beside other tile sizes")
        yield picture(
            svg_bytes(draw_error_by_tile(series, error="relative L2 error")),
            f"Relative L2 error at other tile sizes, with default points, as the model has it. {study.conditions}",
        )
    if moved is not None:
        yield heading(f"With the point {moved.name} elsewhere")
        measured = (moved.at, study.report.relative_l2, study.report.relative_l2_interval)
        drawn = draw_valley(
            moved.values, moved.predicted, moved.kappas, [measured], error="relative L2 error", point=moved.name
        )
        yield picture(
            svg_bytes(drawn), f"Relative L2 error predicted, and kappa, as one point moves. {study.conditions}"
        )
    if front is not None:
        yield heading("Beside the catalogue")
        yield picture(
            svg_bytes(draw_front(front, error="relative L2 error, predicted")),
            "The best known algorithms of 2 to 8 outputs per axis: layer experiment, float32, lowered order, "
            f"64 channels, {study.report.algorithm.ndim}D",
        )
