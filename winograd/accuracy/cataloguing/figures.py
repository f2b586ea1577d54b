"""Figures of one algorithm of the catalogue: what it costs, and its error in every dtype and number of axes.

In: an exact algorithm of one axis. Out: predicted errors, where range asks for scaled rows, measured errors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite
from typing import Final

import sympy

from winograd.accuracy.cataloguing.row import DTYPES, NDIMS, Errors, Measured
from winograd.accuracy.experiment import measure_error
from winograd.accuracy.formats import float_format
from winograd.accuracy.model import predict_error
from winograd.accuracy.modelling.variance import variances
from winograd.accuracy.protocol import LAYER, Experiment
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.forms import balanced
from winograd.algebra.nesting import nest
from winograd.codegen.lower import lower_axis

REACH: Final = 16
"""Inputs of at most this size must not overflow the dtype that they are stored in when they are transformed."""

_BETTER: Final = 0.99
_DIGITS: Final = 5


@dataclass(frozen=True, slots=True)
class Figures:
    """What is derived of an algorithm; see `CatalogueRow` for what the fields are."""

    instructions: tuple[int, int, int]
    largest: tuple[str, str, str]
    predicted: tuple[Errors, ...]
    scaled: tuple[tuple[int, ...], ...]


def storage_experiment(dtype: str) -> Experiment:
    """Return the layer protocol with U and V stored in a dtype and everything else in float32.

    Examples
    --------
    >>> storage_experiment("float16").storage
    'float16'
    """
    return LAYER if dtype == "float32" else replace(LAYER, name=f"layer, {dtype} storage", storage=dtype)


def predicted_error(axis: BilinearAlgorithm, ndim: int, dtype: str) -> float:
    """Return the model's relative L2 error of one layer, to the digits that the catalogue keeps.

    Examples
    --------
    >>> from winograd import toom_cook
    >>> f"{predicted_error(toom_cook(2, 3), 1, 'float32'):.1e}"
    '1.9e-07'
    """
    figure = predict_error(nest(*[axis] * ndim), "float32", storage_experiment(dtype), "lowered").relative_l2
    variances.cache_clear()  # its arrays have a million entries for the large nests
    if not isfinite(figure):
        raise OverflowError(f"predicted error of {axis!r} in {ndim}D {dtype} is {figure}")
    return float(f"{figure:.{_DIGITS - 1}e}")


def overflows(axis: BilinearAlgorithm, ndim: int, dtype: str) -> bool:
    """Say whether transformed inputs of size `REACH` may be beyond a dtype.

    Examples
    --------
    >>> from winograd import toom_cook
    >>> axis = toom_cook(8, 3, "0,1,-1,2,-2,1/2,-1/2,4,-4,inf")
    >>> overflows(axis, 1, "float16"), overflows(axis, 2, "float16")
    (False, True)
    """
    sums = (sum(map(abs, row), start=Fraction(0)) for matrix in (axis.g, axis.bt) for row in fraction_rows(matrix))
    return float(max(sums)) ** ndim * REACH > float_format(dtype).largest


def figures_of(axis: BilinearAlgorithm) -> Figures:
    """Derive the figures of an algorithm of one axis."""
    programs = lower_axis(axis)
    found = [[_predicted(axis, ndim, dtype) for ndim in NDIMS] for dtype in DTYPES]
    return Figures(
        instructions=(
            programs.data.counts.instructions,
            programs.filter.counts.instructions,
            programs.inverse.counts.instructions,
        ),
        largest=(_largest(axis.at), _largest(axis.g), _largest(axis.bt)),
        predicted=tuple((one[0][0], one[1][0], one[2][0]) for one in found),
        scaled=tuple(tuple(ndim for ndim, (_, scaled) in zip(NDIMS, one, strict=True) if scaled) for one in found),
    )


def measured_errors(axis: BilinearAlgorithm, scaled: tuple[tuple[int, ...], ...], trials: int) -> tuple[Measured, ...]:
    """Measure an algorithm in every dtype and number of axes, with scaled rows where these are asked for."""
    found = []
    for dtype, axes in zip(DTYPES, scaled, strict=True):
        for ndim in NDIMS:
            chosen = nest(*[balanced(axis) if ndim in axes else axis] * ndim)
            report = measure_error(chosen, "float32", storage_experiment(dtype), trials, "lowered", seed=_SEED)
            low, high = report.relative_l2_interval
            found.append(Measured(ndim, dtype, report.relative_l2, (low, high), trials, _SEED))
    return tuple(found)


_SEED: Final = 0


def _predicted(axis: BilinearAlgorithm, ndim: int, dtype: str) -> tuple[float, bool]:
    """Return the error and whether it is that of the algorithm with scaled rows: where it overflows or is worse."""
    plain = predicted_error(axis, ndim, dtype)
    must = overflows(axis, ndim, dtype)
    if not must and dtype != "float16":
        return plain, False
    scaled = predicted_error(balanced(axis), ndim, dtype)
    return (scaled, True) if must or scaled < _BETTER * plain else (plain, False)


def _largest(matrix: sympy.ImmutableMatrix) -> str:
    return str(max(abs(entry) for row in fraction_rows(matrix) for entry in row))
