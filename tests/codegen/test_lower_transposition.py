"""Transposition: the transposed matrix, in as many multiplications, and additions by the numbers of ends (Tellegen)."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.codegen.programs import altered, programs
from winograd.algebra.bilinear import FractionRows, fraction_rows
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.forms import matrix_of
from winograd.codegen.lower import lower_matrix, row_by_row
from winograd.codegen.program import Node, Op, Program
from winograd.codegen.transposition import transpose_program

F43 = toom_cook(4, 3, "0,1,-1,2,-2,inf")


def turned(rows: FractionRows) -> FractionRows:
    return tuple(zip(*rows, strict=True))


@given(programs())
def test_it_is_the_transposed_matrix(program: Program) -> None:
    assume(program.outputs)  # a matrix without rows does not say how many columns it has
    assert matrix_of(transpose_program(program)) == turned(matrix_of(program))


@given(programs())
def test_twice_is_the_matrix_again(program: Program) -> None:
    assume(program.outputs)
    assert matrix_of(transpose_program(transpose_program(program))) == matrix_of(program)


@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=5))
def test_additions_change_by_the_numbers_of_ends(rows: list[list[int]]) -> None:
    """No signs here: where a minus ends up is no matter of the count of a program, but of its sums."""
    matrix = tuple(tuple(map(Fraction, row)) for row in rows)
    assume(all(map(any, matrix)) and all(map(any, turned(matrix))))
    program = row_by_row(matrix)
    back = transpose_program(program).counts
    assert back.additions <= program.counts.additions + len(rows) - 4
    assert back.multiplications <= program.counts.multiplications


@pytest.mark.parametrize("matrix", [F43.bt, F43.g, F43.at])
def test_an_altered_instruction_would_be_noticed(matrix) -> None:
    program = lower_matrix(matrix)
    assert matrix_of(transpose_program(altered(program))) != turned(fraction_rows(matrix))


def test_an_input_that_nobody_reads_becomes_a_zero_and_one_that_is_returned_stays() -> None:
    program = Program(inputs=3, nodes=(Node(Op.ADD, (0, 1)),), outputs=(3, 0))
    back = transpose_program(program)
    assert matrix_of(back) == ((1, 1), (1, 0), (0, 0))
    assert back.counts.instructions == 1
