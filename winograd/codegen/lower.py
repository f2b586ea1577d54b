"""Lowering: a matrix becomes a straight-line `Program`.

In: a rational matrix. Out: its program, row by row or after all passes of `winograd.codegen.pipeline`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm, FractionRows, fraction_rows
from winograd.codegen.passes.summation import SumOrder
from winograd.codegen.pipeline import PASSES, Gain, gain_between, passes_for, run_passes
from winograd.codegen.program import Arithmetic, Program
from winograd.codegen.sums import Sums, cost_under, program_of
from winograd.codegen.transposition import transpose_program
from winograd.quoting import quote

__all__ = [
    "DEFAULT_LOWERING",
    "AxisPrograms",
    "Lowering",
    "SumOrder",
    "lower_axis",
    "lower_matrix",
    "lower_rows",
    "lower_with_gains",
    "row_by_row",
]


@dataclass(frozen=True, slots=True)
class Lowering:
    """How programs are made from matrices.

    Parameters
    ----------
    order : SumOrder or str
        In which order the terms of a sum are added where it is free to choose; the default leaves them as they are.
    fma : bool
        Whether fused multiply-add is used; if not, programs have no such instruction and take the fewest others.
    transposed : bool
        Whether the matrices are transposed first, for gradients: data then maps the products to a tile (rank -> tile),
        filter the transformed filter to a filter (rank -> r), and inverse outputs to products (m -> rank).

    Raises
    ------
    ValueError
        If there is no such order.
    TypeError
        If ``fma`` or ``transposed`` is not a bool.

    Examples
    --------
    >>> Lowering("huffman").order
    <SumOrder.HUFFMAN: 'huffman'>
    >>> Lowering("random")
    Traceback (most recent call last):
    ...
    ValueError: order is 'random', must be one of sequential, balanced, huffman
    """

    order: SumOrder = SumOrder.SEQUENTIAL
    fma: bool = True
    transposed: bool = False

    def __post_init__(self) -> None:
        if self.order not in list(SumOrder):
            raise ValueError(f"order is {quote(self.order)}, must be one of {', '.join(SumOrder)}")
        object.__setattr__(self, "order", SumOrder(self.order))
        for name in ("fma", "transposed"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is {quote(getattr(self, name))}, must be True or False")

    @property
    def arithmetic(self) -> Arithmetic:
        """What ``c * a + b`` takes."""
        return Arithmetic.FUSED if self.fma else Arithmetic.SEPARATE


DEFAULT_LOWERING: Final = Lowering()
"""Terms in their order, fused multiply-add, matrices as they are."""


@dataclass(frozen=True, slots=True)
class AxisPrograms:
    """The three transforms of one axis: data (tile -> rank), filter (r -> rank), inverse (rank -> m)."""

    data: Program
    filter: Program
    inverse: Program


def lower_axis(algorithm: BilinearAlgorithm, lowering: Lowering = DEFAULT_LOWERING) -> AxisPrograms:
    """Return the programs of the three transforms of one axis.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> f4 = toom_cook(4, 3, "0,1,-1,2,-2,inf")
    >>> lower_axis(f4).data.counts, lower_axis(f4, Lowering(fma=False)).data.counts
    (Counts(additions=4, multiplications=0, fused=8), Counts(additions=12, multiplications=5, fused=0))
    """
    return _lower_axis(algorithm, lowering)


@lru_cache(maxsize=1024)
def _lower_axis(algorithm: BilinearAlgorithm, lowering: Lowering) -> AxisPrograms:
    return AxisPrograms(
        data=lower_matrix(algorithm.bt, lowering),
        filter=lower_matrix(algorithm.g, lowering),
        inverse=lower_matrix(algorithm.at, lowering),
    )


def lower_matrix(matrix: sympy.ImmutableMatrix, lowering: Lowering = DEFAULT_LOWERING) -> Program:
    """Return a program for ``outputs = matrix @ inputs`` (or ``matrix.T @ inputs``) after all passes.

    Raises
    ------
    NotImplementedError
        If an entry is not rational.
    """
    return lower_with_gains(matrix, lowering)[0]


def lower_with_gains(
    matrix: sympy.ImmutableMatrix, lowering: Lowering = DEFAULT_LOWERING
) -> tuple[Program, tuple[Gain, ...]]:
    """Return the program that `lower_matrix` does, and what every pass gained on the way to it.

    Transposed matrices, and all without fused multiply-add, are lowered from their rows and by turning the program of
    the other side round, which is a gain called transposition; the cheaper program is taken, of equal ones that of the
    rows. With fused multiply-add a matrix as it is is lowered from its rows only: errors of the catalogue are those of
    these programs.
    """
    rows = fraction_rows(matrix)
    across = tuple(zip(*rows, strict=True))
    wanted, other = (across, rows) if lowering.transposed else (rows, across)
    passes = passes_for(lowering.arithmetic, lowering.order)
    found = [run_passes(row_by_row(wanted), passes)]
    if lowering.transposed or not lowering.fma:
        turned = _turned(other, lowering.arithmetic)
        program, gains = run_passes(turned, passes)
        found.append((program, (gain_between("transposition", row_by_row(wanted), turned), *gains)))
    return min(found, key=lambda one: cost_under(one[0], lowering.arithmetic))


def _turned(rows: FractionRows, arithmetic: Arithmetic) -> Program:
    """Return the program of the transposed matrix that the program of a matrix gives."""
    program, _ = run_passes(row_by_row(rows), passes_for(arithmetic, SumOrder.SEQUENTIAL))
    return transpose_program(program)


def lower_rows(rows: FractionRows, passes: Sequence[str] = tuple(PASSES)) -> Program:
    """Return the program that `lower_matrix` does, for a matrix given as rows, after the passes of the given names."""
    return run_passes(row_by_row(rows), {name: PASSES[name] for name in passes})[0]


def row_by_row(rows: FractionRows) -> Program:
    """Return the program that computes every row by itself, from left to right: what the passes begin with."""
    columns = len(rows[0])
    sums = tuple(tuple((entry, column) for column, entry in enumerate(row) if entry) for row in rows)
    return program_of(Sums(columns, sums, tuple(range(columns, columns + len(rows)))), fused=False)
