"""Lowering: programs equal their matrices exactly, in the number of instructions that is known to be enough."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import algorithms
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.interpret import interpret
from winograd.codegen.lower import lower_axis, lower_matrix
from winograd.codegen.program import Node, Op, Program

F43 = toom_cook(4, 3, ["0", "1", "-1", "2", "-2", "inf"])


def matrix_of(program: Program) -> tuple[tuple[Fraction, ...], ...]:
    """Return the matrix of a program, column by column from the unit vectors."""
    units = [[Fraction(row == column) for row in range(program.inputs)] for column in range(program.inputs)]
    return tuple(zip(*(interpret(program, unit) for unit in units), strict=True))


@st.composite
def matrices(draw: st.DrawFn) -> sympy.ImmutableMatrix:
    """Rational matrices with many zeros, signs and repeated sizes, where sharing and pairing have something to find."""
    entries = st.sampled_from(["0", "1", "-1", "2", "-2", "1/2", "-5/3"])
    columns = draw(st.integers(1, 6))
    rows = draw(st.lists(st.lists(entries, min_size=columns, max_size=columns), min_size=1, max_size=6))
    return sympy.ImmutableMatrix([[sympy.Rational(entry) for entry in row] for row in rows])


@given(matrices())
def test_a_program_is_its_matrix(matrix: sympy.ImmutableMatrix) -> None:
    assert matrix_of(lower_matrix(matrix)) == fraction_rows(matrix)


@given(
    st.integers(3, 6).flatmap(lambda n: st.lists(st.tuples(*[st.sampled_from([1, -1])] * n), min_size=2, max_size=5))
)
def test_rows_that_pairs_of_columns_tell_apart_are_no_pair(rows: list[tuple[int, ...]]) -> None:
    # All rows and all columns have the same absolute values; after the columns are paired, the rows may not have.
    matrix = sympy.ImmutableMatrix(rows)
    assert matrix_of(lower_matrix(matrix)) == fraction_rows(matrix)


def test_a_pair_of_columns_and_a_pair_of_rows_may_exclude_each_other() -> None:
    matrix = sympy.ImmutableMatrix([[-1, 1, 1], [-1, -1, 1], [1, 1, 1]])  # g of F(1,3) mod x^2+1, x-1
    assert matrix_of(lower_matrix(matrix)) == fraction_rows(matrix)


@given(algorithms())
def test_the_programs_of_an_axis_are_its_matrices(algorithm: BilinearAlgorithm) -> None:
    programs = lower_axis(algorithm)
    assert matrix_of(programs.data) == fraction_rows(algorithm.bt)
    assert matrix_of(programs.filter) == fraction_rows(algorithm.g)
    assert matrix_of(programs.inverse) == fraction_rows(algorithm.at)


@given(matrices())
def test_a_program_takes_no_more_than_its_rows_one_by_one(matrix: sympy.ImmutableMatrix) -> None:
    nonzero = [sum(entry != 0 for entry in row) for row in fraction_rows(matrix)]
    assert lower_matrix(matrix).counts.instructions <= sum(nonzero)


@pytest.mark.parametrize(
    ("algorithm", "data", "inverse", "filter_at_most"),
    [
        (toom_cook(2, 3, ["0", "1", "-1", "inf"]), 4, 4, 5),
        (F43, 12, 10, 9),
        (toom_cook(4, 3), 12, 12, 9),
        (toom_cook(4, 3, ["0", "1/2", "-1/2", "3/2", "-3/2", "inf"]), 12, 12, 9),
    ],
)
def test_known_instruction_counts(algorithm: BilinearAlgorithm, data: int, inverse: int, filter_at_most: int) -> None:
    programs = lower_axis(algorithm)
    assert (programs.data.counts.instructions, programs.inverse.counts.instructions) == (data, inverse)
    assert programs.filter.counts.instructions <= filter_at_most


@pytest.mark.parametrize("size", [(1, 3), (3, 1), (1, 1)])
def test_direct_algorithms_transform_nothing(size: tuple[int, int]) -> None:
    programs = lower_axis(toom_cook(*size))
    assert (programs.data.nodes, programs.filter.nodes) == ((), ())
    assert programs.inverse.counts.instructions == max(size) - 1 if size[0] == 1 else programs.inverse.nodes == ()


STAGES = [("data", F43.bt), ("filter", F43.g), ("inverse", F43.at)]


@pytest.mark.parametrize(("stage", "matrix"), STAGES)
def test_every_altered_instruction_changes_the_matrix(stage: str, matrix: sympy.ImmutableMatrix) -> None:
    program: Program = getattr(lower_axis(F43), stage)
    for place, node in enumerate(program.nodes):
        for other in altered(node):
            nodes = (*program.nodes[:place], other, *program.nodes[place + 1 :])
            assert matrix_of(replace(program, nodes=nodes)) != fraction_rows(matrix), (place, node, other)


@pytest.mark.parametrize(("stage", "matrix"), STAGES)
def test_every_dropped_instruction_changes_the_matrix(stage: str, matrix: sympy.ImmutableMatrix) -> None:
    program: Program = getattr(lower_axis(F43), stage)
    for place, node in enumerate(program.nodes):
        # Whoever read the dropped value reads its first argument instead.
        dropped = (*program.nodes[:place], Node(Op.SCALE, node.args[:1], Fraction(1)), *program.nodes[place + 1 :])
        assert matrix_of(replace(program, nodes=dropped)) != fraction_rows(matrix), (place, node)


def altered(node: Node) -> list[Node]:
    swapped = {Op.ADD: Op.SUB, Op.SUB: Op.ADD, Op.FMA: Op.FMS, Op.FMS: Op.FMA}
    others = [Node(swapped[node.op], node.args, node.constant)] if node.op in swapped else []
    if node.constant is not None:
        others += [replace(node, constant=-node.constant), replace(node, constant=node.constant + Fraction(1, 10**9))]
    return others


def test_symbols_are_refused_by_name() -> None:
    a = sympy.Symbol("a")
    with pytest.raises(NotImplementedError, match=r"entry -?a.* is not rational; substitute numbers"):
        lower_axis(toom_cook(2, 3, [0, a, -a, "inf"]))


def test_lowering_is_the_same_every_time() -> None:
    assert lower_matrix(F43.bt).digest == lower_matrix(sympy.ImmutableMatrix(F43.bt.tolist())).digest
