"""Lowering: a matrix becomes a straight-line `Program`.

In: a rational matrix. Out: the cheapest of four programs: with paired outputs, paired inputs, both or neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm, FractionRows, fraction_rows
from winograd.codegen.passes.pairing import Pair, Row, find_pairs, is_pair, split, transpose
from winograd.codegen.program import Program, ProgramBuilder


@dataclass(frozen=True, slots=True)
class AxisPrograms:
    """The three transforms of one axis: data (tile -> rank), filter (r -> rank), inverse (rank -> m)."""

    data: Program
    filter: Program
    inverse: Program


@lru_cache(maxsize=1024)
def lower_axis(algorithm: BilinearAlgorithm) -> AxisPrograms:
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
    """Return the cheapest program for ``outputs = matrix @ inputs`` among paired and unpaired forms.

    Raises
    ------
    NotImplementedError
        If an entry is not rational.
    """
    return lower_rows(fraction_rows(matrix))


def lower_rows(rows: FractionRows) -> Program:
    """Return the cheapest program as `lower_matrix` does, for a matrix given as rows."""
    column_pairs, row_pairs = find_pairs(transpose(rows)), find_pairs(rows)
    forms = [_lower(rows, columns, paired) for columns in ((), column_pairs) for paired in ((), row_pairs)]
    return min(forms, key=lambda program: (program.counts.instructions, program.counts.fused))


def _lower(rows: FractionRows, column_pairs: tuple[Pair, ...], row_pairs: tuple[Pair, ...]) -> Program:
    builder = ProgramBuilder(inputs=len(rows[0]))
    columns, values = _pair_inputs(builder, transpose(rows), column_pairs)
    core = transpose(columns)
    kept = [pair for pair in row_pairs if is_pair(core[pair.first], core[pair.second])]
    outputs = dict(_pair_outputs(builder, core, values, kept))
    for number, row in enumerate(core):
        if number not in outputs:
            outputs[number] = builder.combination(_terms(row, values))
    return builder.build([outputs[number] for number in range(len(rows))])


def _pair_inputs(builder: ProgramBuilder, columns: Sequence[Row], pairs: Sequence[Pair]) -> tuple[list[Row], list[int]]:
    """Replace each pair of inputs by their sum and difference; return the columns and the values they multiply."""
    changed, values = list(columns), list(range(len(columns)))
    one = Fraction(1)
    for pair in pairs:
        changed[pair.first], changed[pair.second] = split(columns[pair.first], columns[pair.second])
        values[pair.first] = builder.accumulated(pair.first, one, pair.second)
        values[pair.second] = builder.accumulated(pair.first, -one, pair.second)
    return changed, values


def _pair_outputs(
    builder: ProgramBuilder, rows: Sequence[Row], values: Sequence[int], pairs: Sequence[Pair]
) -> list[tuple[int, int]]:
    """Compute each pair of rows from its even and odd part; return (row, value) for all of them."""
    outputs = []
    for pair in pairs:
        even, odd = split(rows[pair.first], rows[pair.second])
        terms = [_normalised(builder, part, values) for part in (even, odd) if any(part)]
        outputs.append((pair.first, builder.combination(terms)))
        if any(odd):
            terms[-1] = (-terms[-1][0], terms[-1][1])
        outputs.append((pair.second, builder.combination(terms)))
    return outputs


def _normalised(builder: ProgramBuilder, row: Row, values: Sequence[int]) -> tuple[Fraction, int]:
    """Return ``(c, v)`` with row = c * v, where v is scaled so that its commonest coefficient, 1 in a tie, is 1."""
    nonzero = [entry for entry in row if entry]
    sizes = Counter(abs(entry) for entry in nonzero)
    size = max(sizes, key=lambda entry: (sizes[entry], entry == 1))
    scale = next(entry for entry in reversed(nonzero) if abs(entry) == size)
    return scale, builder.combination(_terms(tuple(entry / scale for entry in row), values))


def _terms(row: Row, values: Sequence[int]) -> list[tuple[Fraction, int]]:
    return [(entry, value) for entry, value in zip(row, values, strict=True) if entry]
