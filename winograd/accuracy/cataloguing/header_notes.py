"""Notes for the header of generated code: the model's error, and the catalogue's where it has the very algorithm.

In: an algorithm. Out: lines of printable ASCII, and a warning where nothing is left of a result in float32.
"""

from __future__ import annotations

from winograd.accuracy.catalogue import catalogue
from winograd.accuracy.cataloguing.row import DTYPES, CatalogueRow
from winograd.accuracy.model import predict_relative_l2
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.forms import balanced
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.header import MAX_NOTE_LENGTH


def predicted(nested: NestedAlgorithm, target: str) -> tuple[list[str], str | None]:
    """Return the notes on the model's error, and a warning where it leaves nothing of a result in float32.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> notes, warning = predicted(NestedAlgorithm((toom_cook(2, 3),)), "c")
    >>> notes[0], warning
    ('Predicted relative L2 error in float32 for independent zero-mean inputs (filters transformed in', None)
    """
    try:
        one, many = (predict_relative_l2(nested, channels=count) for count in (1, 64))
    except (OverflowError, ValueError) as error:  # large tiles leave float32's range
        note = f"No error is predicted: {error}"[:MAX_NOTE_LENGTH]
        return [note], f"{nested.label} is useless in float32 at these points: {error}"
    whose = "" if target == "c" else " of this algorithm in C,"
    notes = [
        f"Predicted relative L2 error{whose} in float32 for independent zero-mean inputs (filters transformed in",
        f"float64, everything else with fused multiply-add): {one:.1e} with 1 channel, {many:.1e} with 64 channels.",
    ]
    if one <= 1:
        return notes, None
    return notes, f"{nested.label} is useless in float32 at these points: the predicted relative error is {one:.1e}"


def catalogued(nested: NestedAlgorithm) -> list[str]:
    r"""Return the notes on the catalogue's row of an algorithm; none where it has another one, or axes differ.

    Figures are those of the dtypes for which the catalogue scales the algorithm like this one.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> print(*catalogued(NestedAlgorithm((toom_cook(4, 3),))), sep="\n")
    Catalogue (oneDNN, F(4,3)), F(4,3): x,x-5/8,x+5/8,x-3/2,x+3/2,inf filter
      predicted relative L2 error of a layer of 64 channels, by the dtype of transformed data and filters:
      float32 3.4e-07 (measured 3.6e-07), float16 6.3e-04 (measured 6.5e-04), bfloat16 5.1e-03 (measured 5.4e-03)
    """
    axis = nested.axes[0]
    if any(other != axis for other in nested.axes):
        return []
    for row in catalogue().filter(axis.m, axis.r):
        if row.rank == axis.rank:
            built = catalogue().build(row.m, row.r, row.products)
            dtypes = [dtype for dtype in DTYPES if axis == _in_dtype(built, row, nested.ndim, dtype)]
            if dtypes:
                return _row_notes(row, nested.ndim, dtypes)
    return []


def _in_dtype(built: BilinearAlgorithm, row: CatalogueRow, ndim: int, dtype: str) -> BilinearAlgorithm:
    return balanced(built) if row.is_scaled(ndim, dtype) else built


def _row_notes(row: CatalogueRow, ndim: int, dtypes: list[str]) -> list[str]:
    figures = [f"{dtype} {row.error(ndim, dtype):.1e}{_measured(row, ndim, dtype)}" for dtype in dtypes]
    return [
        f"Catalogue ({row.source}), {row.label}: {row.construction}"[:MAX_NOTE_LENGTH],
        "  predicted relative L2 error of a layer of 64 channels, by the dtype of transformed data and filters:",
        f"  {', '.join(figures)}",
    ]


def _measured(row: CatalogueRow, ndim: int, dtype: str) -> str:
    found = (one.relative_l2 for one in row.measured if (one.ndim, one.dtype) == (ndim, dtype))
    return "".join(f" (measured {value:.1e})" for value in found)
