"""What surrounds the algorithm of a study: other tile sizes, other values of one point, the catalogue's front.

In: an `ErrorStudy`. Out: plain figures for `winograd.accuracy.showing.plots`, or None where there are none. Nothing is
measured here.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from winograd.accuracy.batch import predict_toom_cook
from winograd.accuracy.catalogue import TAPS, catalogue
from winograd.accuracy.model import kappa, predict_error
from winograd.accuracy.showing.pareto import FrontRow
from winograd.accuracy.showing.plots.tiles import Source, TileSeries
from winograd.accuracy.showing.study import ErrorStudy
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import nest
from winograd.algebra.points import Infinity
from winograd.algebra.toom_cook import toom_cook

_SIZES: Final = range(2, 9)
"""Outputs per axis of the algorithms that one is shown beside."""

_STEPS: Final = range(24, 65)
"""Fortieths of a point's value that it is moved to."""

Points = list[Fraction | Infinity]


@dataclass(frozen=True, slots=True)
class Valley:
    """Predicted relative L2 error and kappa of one axis over the value of one point, called +-3/2, which is at 3/2."""

    name: str
    at: float
    values: tuple[float, ...]
    predicted: tuple[float, ...]
    kappas: tuple[float, ...]


def tile_series(study: ErrorStudy) -> tuple[TileSeries, TileSeries] | None:
    """Return the predicted errors of default points at several tile sizes, and the study's own measured one.

    None where the outputs per axis differ.
    """
    report, nested = study.report, study.report.algorithm
    if len(set(nested.m)) != 1:
        return None
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


def valley(study: ErrorStudy) -> Valley | None:
    """Return the errors with the largest point, and its negative if that is one too, moved to other values.

    None where the axes differ, or are no Toom-Cook algorithms at rational points.
    """
    report, axes = study.report, study.report.algorithm.axes
    points = _rational_points(axes[0])
    if points is None or any(axis != axes[0] for axis in axes):
        return None
    finite = [point for point in points if isinstance(point, Fraction)]
    moved = max(finite, key=abs)
    if moved == 0:
        return None
    sets = list(_moved(points, moved))
    m, r = axes[0].m, axes[0].r
    found = predict_toom_cook(
        m, r, [points for _, points in sets], ndim=len(axes), dtype=report.dtype, experiment=report.protocol,
        order=report.order,
    )  # fmt: skip
    figures = [(value, one, error) for (value, one), error in zip(sets, found.tolist(), strict=True)]
    kept = [figure for figure in figures if math.isfinite(figure[2])]
    if not kept:
        return None
    return Valley(
        name=f"\u00b1{abs(moved)}" if -moved in finite else str(moved),
        at=float(abs(moved)),
        values=tuple(float(value) for value, _, _ in kept),
        predicted=tuple(error for _, _, error in kept),
        kappas=tuple(kappa(toom_cook(m, r, one)) for _, one, _ in kept),
    )


def front_rows(study: ErrorStudy) -> dict[str, list[FrontRow]] | None:
    """Return products per output and predicted error in a float32 layer: of the catalogue's rows, and of the study's.

    None where the taps per axis differ or are not in the catalogue.
    """
    nested = study.report.algorithm
    if len(set(nested.r)) != 1 or nested.r[0] not in TAPS:
        return None
    rows = [row for row in catalogue().filter(r=nested.r[0]) if row.m in _SIZES]
    own = FrontRow(nested.label, nested.rank / math.prod(nested.m), predict_error(nested).relative_l2)
    best = [FrontRow(row.label, float(row.products_per_output**nested.ndim), row.error(nested.ndim)) for row in rows]
    return {"catalogue": best, "this algorithm": [own]}


def _rational_points(axis: BilinearAlgorithm) -> Points | None:
    """Return the points of an axis that is Toom-Cook at them, or None."""
    points: Points = []
    for point in axis.points:
        if isinstance(point, Infinity):
            points.append(point)
        elif point.is_Rational:
            points.append(Fraction(int(point.p), int(point.q)))
        else:
            return None
    return points if points and toom_cook(axis.m, axis.r, points) == axis else None


def _moved(points: Points, moved: Fraction) -> Iterator[tuple[Fraction, Points]]:
    """Yield values, rising in size, and the points with ``moved`` and its negative there; none of equal points."""
    for step in _STEPS:
        value = moved * step / 40
        others = [point for point in points if not isinstance(point, Fraction) or abs(point) != abs(moved)]
        new: Points = [value] if -moved not in points else [value, -value]
        if not set(others) & set(new):
            yield abs(value), [*new, *others]
