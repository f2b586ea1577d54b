"""One transform of a tile: its passes and matrices, and the words by which the parts for transforms are filled in.

In: a request and a stage. Out: a `Transform`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from winograd.algebra.bilinear import FractionRows, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.nested import AxisPass
from winograd.codegen.targets.axes import matrix_of
from winograd.codegen.targets.c.parts import DTYPES, Dtype
from winograd.codegen.targets.contract import Request, Stage


@dataclass(frozen=True, slots=True)
class Transform:
    """One function of the file.

    Parameters
    ----------
    stage : Stage
    passes : tuple of AxisPass
    matrices : tuple of FractionRows
        What the passes compute, one per axis in the order of axes.
    transposed : bool
    dtype : Dtype
    positions : int
        Values of the buffer: products of a tile.
    """

    stage: Stage
    passes: tuple[AxisPass, ...]
    matrices: tuple[FractionRows, ...]
    transposed: bool
    dtype: Dtype
    positions: int

    @property
    def name(self) -> str:
        """Name of the function after the prefix."""
        return f"{self.stage}_transposed" if self.transposed else str(self.stage)

    @property
    def stores(self) -> bool:
        """Whether outputs, not inputs, are of the stored type; what is transformed is of the arithmetic's."""
        return (self.stage is Stage.INVERSE) is not self.transposed

    @property
    def rows(self) -> tuple[int, ...]:
        """Elements of an output tile along every axis."""
        return tuple(len(matrix) for matrix in self.matrices)

    @property
    def columns(self) -> tuple[int, ...]:
        """Elements of an input tile along every axis."""
        return tuple(len(matrix[0]) for matrix in self.matrices)


def transform_of(request: Request, stage: Stage) -> Transform:
    """Return the transform of a stage for an algorithm of three axes."""
    transposed = request.lowering.transposed
    matrices = tuple(_matrices(request.algorithm, stage))
    if transposed:
        matrices = tuple(tuple(zip(*matrix, strict=True)) for matrix in matrices)
    passes = request.programs.of(stage)
    return Transform(stage, passes, matrices, transposed, DTYPES[request.dtype], request.algorithm.rank)


def _matrices(nested: NestedAlgorithm, stage: Stage) -> list[FractionRows]:
    return [fraction_rows(matrix_of(axis, stage)) for axis in nested.axes]


def filled(text: str, transform: Transform, **more: str) -> str:
    """Return a part for transforms with what its words in capitals stand for, and with more words."""
    doubles = transform.stage is Stage.FILTER
    stored = {"TYPE": "NAME_stored", "NARROW": "NAME_narrow", "WIDEN": "NAME_widen"}
    real = {"TYPE": "NAME_real", "NARROW": "(NAME_real)", "WIDEN": "(double)"}
    x, y = (real, stored) if transform.stores else (stored, real)
    words = {
        "STAGE": transform.name,
        "ELEMENTS": str(max(prod(transform.rows), prod(transform.columns))),
        "VALUE": "double" if doubles else "NAME_vector",
        "LANES": "NAME_PANEL" if doubles else "NAME_WIDTH",
        "BUFFER": f"({transform.positions} * NAME_PANEL)" if doubles else str(transform.positions),
        **{f"X_{key}": value for key, value in x.items()},
        **{f"Y_{key}": value for key, value in y.items()},
    }
    for word, meaning in (words | more).items():
        text = text.replace(word, meaning)
    return text
