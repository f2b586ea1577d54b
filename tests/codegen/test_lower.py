"""Lowering: programs equal their matrices exactly, in the number of instructions that is known to be enough."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codegen.programs import matrices
from tests.strategies import algorithms
from winograd.algebra.bilinear import BilinearAlgorithm, FractionRows, fraction_rows
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.interpret import interpret
from winograd.codegen.lower import Lowering, SumOrder, lower_axis, lower_matrix, lower_with_gains, row_by_row
from winograd.codegen.pipeline import passes_for, run_passes
from winograd.codegen.program import Node, Op, Program
from winograd.codegen.transposition import transpose_program

LOWERINGS = st.builds(Lowering, st.sampled_from(SumOrder), st.booleans(), st.booleans())
WRITTEN = [
    (((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, -1, 0, 1)), "ed08080cfd07df36"),
    (
        (
            (4, 0, -5, 0, 1, 0),
            (0, -4, -4, 1, 1, 0),
            (0, 4, -4, -1, 1, 0),
            (0, -2, -1, 2, 1, 0),
            (0, 2, -1, -2, 1, 0),
            (0, 4, 0, -5, 0, 1),
        ),
        "5061a5109781a4c3",
    ),
    (((1, 2, 3), (2, 4, 6), (3, -2, 1), (3, 2, 1)), "d031003596495a29"),
]
"""Matrices and the first digits of what their programs have been since the catalogue was made."""

F43 = toom_cook(4, 3, ["0", "1", "-1", "2", "-2", "inf"])


def matrix_of(program: Program) -> tuple[tuple[Fraction, ...], ...]:
    """Return the matrix of a program, column by column from the unit vectors."""
    units = [[Fraction(row == column) for row in range(program.inputs)] for column in range(program.inputs)]
    return tuple(zip(*(interpret(program, unit) for unit in units), strict=True))


@given(matrices(), LOWERINGS)
@settings(deadline=None, max_examples=40)
def test_a_program_is_its_matrix_however_it_is_lowered(rows: FractionRows, lowering: Lowering) -> None:
    program = lower_matrix(sympy.ImmutableMatrix(rows), lowering)
    assert matrix_of(program) == (tuple(zip(*rows, strict=True)) if lowering.transposed else rows)
    if not lowering.fma:
        assert program.counts.fused == 0


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


@given(algorithms(), LOWERINGS)
@settings(deadline=None, max_examples=20)
def test_the_programs_of_an_axis_are_its_matrices(algorithm: BilinearAlgorithm, lowering: Lowering) -> None:
    programs = lower_axis(algorithm, lowering)
    for program, matrix in (
        (programs.data, algorithm.bt),
        (programs.filter, algorithm.g),
        (programs.inverse, algorithm.at),
    ):
        assert matrix_of(program) == fraction_rows(matrix.T if lowering.transposed else matrix)


@given(matrices(), st.booleans())
@settings(deadline=None, max_examples=40)
def test_a_program_takes_no_more_than_its_rows_one_by_one(rows: FractionRows, fma: bool) -> None:
    lowered = lower_matrix(sympy.ImmutableMatrix(rows), Lowering(fma=fma))
    assert lowered.counts.instructions <= row_by_row(rows).counts.instructions
    if fma:
        assert lowered.counts.instructions <= sum(entry != 0 for row in rows for entry in row)


@given(matrices(), st.sampled_from(SumOrder), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=40)
def test_no_order_of_sums_takes_more(rows: FractionRows, order: SumOrder, fma: bool, transposed: bool) -> None:
    matrix = sympy.ImmutableMatrix(rows)
    ordered, sequential = (lower_matrix(matrix, Lowering(one, fma, transposed)) for one in (order, SumOrder.SEQUENTIAL))
    assert ordered.counts.instructions <= sequential.counts.instructions


@pytest.mark.parametrize(("rows", "digest"), WRITTEN, ids=["F(2,3)", "F(4,3)", "three ratios"])
def test_sequential_programs_are_the_same_bytes_for_ever(rows: FractionRows, digest: str) -> None:
    """Errors of the catalogue are those of these programs."""
    assert lower_matrix(sympy.ImmutableMatrix(rows), Lowering(order=SumOrder.SEQUENTIAL)).digest.startswith(digest)


def test_another_order_gives_other_bytes() -> None:
    rows = [[1, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 5, 3, 1]]
    programs = [lower_matrix(sympy.ImmutableMatrix(rows), Lowering(order=order)) for order in SumOrder]
    assert len({program.digest for program in programs}) == len(SumOrder)


@given(matrices(), st.booleans())
@settings(deadline=None, max_examples=40)
def test_a_transposed_program_is_the_cheaper_of_two(rows: FractionRows, fma: bool) -> None:
    matrix, lowering = sympy.ImmutableMatrix(rows), Lowering(fma=fma)
    found = lower_matrix(matrix, replace(lowering, transposed=True)).counts.instructions
    assert found <= lower_matrix(matrix.T, lowering).counts.instructions
    forward, _ = run_passes(row_by_row(rows), passes_for(lowering.arithmetic, SumOrder.SEQUENTIAL))
    assert found <= transpose_program(forward).counts.instructions


def test_the_transposed_program_is_the_cheaper_of_the_two_here_and_the_lowered_rows_there() -> None:
    """Neither alone would do."""
    algorithm = toom_cook(6, 3, "0,1,-1,2,-2,1/2,-1/2,inf")
    names = [
        [gain.name for gain in lower_with_gains(matrix, Lowering(fma=fma, transposed=True))[1]]
        for matrix, fma in ((algorithm.at, True), (algorithm.bt, False))
    ]
    assert ["transposition" in one for one in names] == [False, True]


@given(matrices())
@settings(deadline=None, max_examples=40)
def test_without_fma_a_matrix_and_its_transpose_are_the_same_work(rows: FractionRows) -> None:
    """What turning round finds for one it finds for the other."""
    matrix = sympy.ImmutableMatrix(rows)
    found = [
        lower_matrix(one, Lowering(fma=False, transposed=transposed))
        for one, transposed in ((matrix, False), (sympy.ImmutableMatrix(matrix.T), True))
    ]
    assert found[0] == found[1]


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


@pytest.mark.parametrize("order", ["random", "", "HUFFMAN", None, 3, [], "x" * 10_000])
def test_an_order_that_is_none_is_refused_in_one_short_line(order: object) -> None:
    with pytest.raises(ValueError, match=r"order is .*, must be one of sequential, balanced, huffman") as caught:
        Lowering(order=order)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["fma", "transposed"])
@pytest.mark.parametrize("value", ["no", 1, None])
def test_a_choice_is_a_bool(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"{name} is {value!r}, must be True or False"):
        Lowering(**{name: value})  # type: ignore[arg-type]


def test_the_name_of_an_order_is_that_order() -> None:
    assert Lowering("balanced") == Lowering(SumOrder.BALANCED)  # type: ignore[arg-type]
    assert hash(Lowering("balanced")) == hash(Lowering(SumOrder.BALANCED))  # type: ignore[arg-type]


def test_symbols_are_refused_by_name() -> None:
    a = sympy.Symbol("a")
    with pytest.raises(NotImplementedError, match=r"entry -?a.* is not rational; substitute numbers"):
        lower_axis(toom_cook(2, 3, [0, a, -a, "inf"]))


def test_lowering_is_the_same_every_time() -> None:
    assert lower_matrix(F43.bt).digest == lower_matrix(sympy.ImmutableMatrix(F43.bt.tolist())).digest
