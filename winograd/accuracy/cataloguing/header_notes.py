"""Notes for the header of generated code: the model's error, and the catalogue's where it has a row of the size.

In: an algorithm and how its code is made. Out: lines of printable ASCII, and a warning where nothing is left of a
result. The model knows the programs with fused multiply-add and terms in their order; figures for others are marked.
"""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import Final

import numpy as np

from winograd.accuracy.catalogue import catalogue
from winograd.accuracy.cataloguing.row import DTYPES, CatalogueRow
from winograd.accuracy.model import predict_experiment
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import LAYER, Experiment, FilterRounding
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.forms import balanced
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.emit import ARITHMETIC
from winograd.codegen.header import MAX_NOTE_LENGTH
from winograd.codegen.interpret import Contraction
from winograd.codegen.lower import DEFAULT_LOWERING, Lowering

_WIDTH: Final = 118


def predicted(
    nested: NestedAlgorithm, target: str, dtype: str = "", lowering: Lowering = DEFAULT_LOWERING
) -> tuple[list[str], str | None]:
    r"""Return the notes on the model's error, and a warning where it leaves nothing of a result.

    Parameters
    ----------
    nested : NestedAlgorithm
    target : str
        The figures are those of C; others say so.
    dtype : str
        Of the code; "" is taken as float32.
    lowering : Lowering
        How its programs are made. Transposed ones have no notes; others than the default are taken for these, fused
        instructions rounding twice where there are none: up to 10 % from what is measured.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> notes, warning = predicted(NestedAlgorithm((toom_cook(2, 3),)), "c")
    >>> print(*notes, warning, sep="\n")
    Predicted relative L2 error in float32 for independent zero-mean inputs (filters transformed in float64, everything
    else with fused multiply-add): 6.2e-08 with 1 channel, 1.9e-07 with 64 channels.
    None
    """
    if lowering.transposed:
        return [], None
    named = dtype or "float32"
    try:
        one, many = (_relative_l2(nested, named, lowering, channels) for channels in (1, 64))
    except (OverflowError, ValueError) as error:  # large tiles leave float32's range
        note = f"No error is predicted: {error}"[:MAX_NOTE_LENGTH]
        return [note], f"{nested.label} is useless in {named} at these points: {error}"
    whose = "" if target == "c" else " of this algorithm in C,"
    about = "" if lowering == DEFAULT_LOWERING else "about "
    sentence = (
        f"Predicted relative L2 error{whose} in {named} for independent zero-mean inputs "
        f"({_conditions(named, lowering)}): {about}{one:.1e} with 1 channel, {about}{many:.1e} with 64 channels."
    )
    notes = textwrap.wrap(sentence, _WIDTH)
    if one <= 1:
        return notes, None
    return notes, f"{nested.label} is useless in {named} at these points: the predicted relative error is {one:.1e}"


def measured(
    nested: NestedAlgorithm, dtype: str = "", lowering: Lowering = DEFAULT_LOWERING, trials: int | None = None
) -> list[str]:
    """Return lines on the error that is measured where `predicted` predicts it, with 1 channel.

    Parameters
    ----------
    nested : NestedAlgorithm
    dtype : str
        Of the code; "" is taken as float32. In float64 every multiply-add rounds twice: nothing fuses it exactly.
    lowering : Lowering
        How its programs are made, not transposed; others than the default are taken for these.
    trials : int, optional
        Tiles; 5000 unless given, 500 in float64, whose references are slow.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> measured(NestedAlgorithm((toom_cook(2, 3),)), "float64", trials=100)[0].partition("(")[0]
    'In float64 with 1 channel '
    """
    from winograd.accuracy.experiment import measure_error

    named = dtype or "float32"
    made = replace(lowering, fma=lowering.fma and named != "float64")
    tiles = trials or (500 if named == "float64" else 5000)
    experiment = _experiment(named, made, channels=1)
    report = measure_error(nested, ARITHMETIC[named], experiment, tiles, Order.LOWERED)
    return [*textwrap.wrap(f"In {named} with 1 channel ({_conditions(named, made)}):", _WIDTH), repr(report)]


def catalogued(nested: NestedAlgorithm) -> list[str]:
    r"""Return the notes on the catalogue's row of a size with as many products; none where axes differ.

    Where the algorithm is the row's, the figures are those of the dtypes for which the catalogue scales it like this
    one. Where it is another one, they are those of the catalogue's, to compare with.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> print(*catalogued(NestedAlgorithm((toom_cook(2, 5),))), sep="\n")
    Catalogue (oneDNN, F(4,3)), this F(2,5): x,x-5/8,x+5/8,x-3/2,x+3/2,inf filter
      predicted relative L2 error of a layer of 64 channels, by the dtype of transformed data and filters:
      float32 3.6e-07 (measured 3.2e-07), float16 6.7e-04 (measured 6.7e-04), bfloat16 5.4e-03 (measured 5.2e-03)
    """
    axis = nested.axes[0]
    if any(other != axis for other in nested.axes):
        return []
    for row in catalogue().filter(axis.m, axis.r):
        if row.rank == axis.rank:
            built = catalogue().build(row.m, row.r, row.products)
            dtypes = [dtype for dtype in DTYPES if axis == _in_dtype(built, row, nested.ndim, dtype)]
            whose = "this" if dtypes else "its best"
            return _row_notes(row, nested.ndim, dtypes or list(DTYPES), whose)
    return []


def _relative_l2(nested: NestedAlgorithm, dtype: str, lowering: Lowering, channels: int) -> float:
    experiment = _experiment(dtype, lowering, channels)
    with np.errstate(all="ignore"):  # large tiles leave float64's range, too, and the figure says so
        return predict_experiment(nested, experiment, dtype=ARITHMETIC[dtype], order=Order.LOWERED)


def _experiment(dtype: str, lowering: Lowering, channels: int) -> Experiment:
    """Return the experiment of code of this dtype: what is stored, how it fuses and how it transforms filters."""
    return replace(
        LAYER,
        channels=channels,
        channel_block=None,
        contraction=Contraction.FUSED if lowering.fma else Contraction.SEPARATE,
        filter_rounding=FilterRounding.EVERY_INSTRUCTION if dtype == "float64" else FilterRounding.ONCE,
        interface=None if ARITHMETIC[dtype] == dtype else dtype,
    )


def _conditions(dtype: str, lowering: Lowering) -> str:
    fused = "with fused multiply-add" if lowering.fma else "without fused multiply-add"
    kind = "everything" if dtype == "float64" else "filters transformed in float64, everything else"
    where = "" if ARITHMETIC[dtype] == dtype else f" in {ARITHMETIC[dtype]}"
    return f"{kind}{where} {fused}"


def _in_dtype(built: BilinearAlgorithm, row: CatalogueRow, ndim: int, dtype: str) -> BilinearAlgorithm:
    return balanced(built) if row.is_scaled(ndim, dtype) else built


def _row_notes(row: CatalogueRow, ndim: int, dtypes: list[str], whose: str) -> list[str]:
    figures = [f"{dtype} {row.error(ndim, dtype):.1e}{_measured(row, ndim, dtype)}" for dtype in dtypes]
    return [
        f"Catalogue ({row.source}), {whose} {row.label}: {row.construction}"[:MAX_NOTE_LENGTH],
        "  predicted relative L2 error of a layer of 64 channels, by the dtype of transformed data and filters:",
        f"  {', '.join(figures)}",
    ]


def _measured(row: CatalogueRow, ndim: int, dtype: str) -> str:
    found = (one.relative_l2 for one in row.measured if (one.ndim, one.dtype) == (ndim, dtype))
    return "".join(f" (measured {value:.1e})" for value in found)
