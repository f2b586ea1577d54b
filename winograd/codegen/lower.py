"""Lowering: a matrix becomes a straight-line `Program`.

In: a rational matrix. Out: its program, row by row or after all passes of `winograd.codegen.pipeline`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm, FractionRows, fraction_rows
from winograd.codegen.pipeline import PASSES, run_passes
from winograd.codegen.program import Program
from winograd.codegen.sums import Sums, program_of


class SumOrder(StrEnum):
    """In which order the terms of a sum are added where a pass is free to choose."""

    SEQUENTIAL = "sequential"
    BALANCED = "balanced"
    HUFFMAN = "huffman"


@dataclass(frozen=True, slots=True)
class Lowering:
    """How programs are made from matrices.

    Parameters
    ----------
    order : SumOrder
    fma : bool
        Whether fused multiply-add is used.
    transposed : bool
        Whether the matrices are transposed first, for gradients: data then maps the products to a tile, and so on.
    """

    order: SumOrder = SumOrder.SEQUENTIAL
    fma: bool = True
    transposed: bool = False


DEFAULT_LOWERING: Final = Lowering()
"""Terms in their order, fused multiply-add, matrices as they are."""


@dataclass(frozen=True, slots=True)
class AxisPrograms:
    """The three transforms of one axis: data (tile -> rank), filter (r -> rank), inverse (rank -> m)."""

    data: Program
    filter: Program
    inverse: Program


@lru_cache(maxsize=1024)
def lower_axis(algorithm: BilinearAlgorithm, lowering: Lowering = DEFAULT_LOWERING) -> AxisPrograms:
    """Return the programs of the three transforms of one axis.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> programs = lower_axis(toom_cook(4, 3, "0,1,-1,2,-2,inf"))
    >>> programs.data.counts.instructions, programs.inverse.counts.instructions
    (12, 10)
    """
    return AxisPrograms(
        data=lower_matrix(algorithm.bt), filter=lower_matrix(algorithm.g), inverse=lower_matrix(algorithm.at)
    )


def lower_matrix(matrix: sympy.ImmutableMatrix) -> Program:
    """Return a program for ``outputs = matrix @ inputs`` after all passes.

    Raises
    ------
    NotImplementedError
        If an entry is not rational.
    """
    return lower_rows(fraction_rows(matrix))


def lower_rows(rows: FractionRows, passes: Sequence[str] = tuple(PASSES)) -> Program:
    """Return the program that `lower_matrix` does, for a matrix given as rows, after the passes of the given names."""
    return run_passes(row_by_row(rows), passes)[0]


def row_by_row(rows: FractionRows) -> Program:
    """Return the program that computes every row by itself, from left to right: what the passes begin with."""
    columns = len(rows[0])
    sums = tuple(tuple((entry, column) for column, entry in enumerate(row) if entry) for row in rows)
    return program_of(Sums(columns, sums, tuple(range(columns, columns + len(rows)))), fused=False)
