"""Sharing, collecting and beginning: what each finds that the others do not, and products that are read twice."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given

from tests.codegen.programs import matrices
from winograd.algebra.bilinear import FractionRows
from winograd.codegen.forms import matrix_of
from winograd.codegen.graph import Graph
from winograd.codegen.lower import row_by_row
from winograd.codegen.passes.beginning import begin_positive
from winograd.codegen.passes.collecting import collect
from winograd.codegen.passes.products import with_products
from winograd.codegen.passes.reach import Line, Reach
from winograd.codegen.passes.sharing import share
from winograd.codegen.program import Arithmetic, Node, Op, Program

FUSED, SEPARATE = Arithmetic.FUSED, Arithmetic.SEPARATE


def rows_of(*rows: tuple[int, ...]) -> FractionRows:
    return tuple(tuple(map(Fraction, row)) for row in rows)


@pytest.mark.parametrize(
    ("rows", "before", "after"),
    [
        (rows_of((1, 1, 1), (2, 2, 2)), 7, 3),  # a multiple
        (rows_of((1, 2, 1), (-1, -2, -1)), 6, 4),  # a negative
        (rows_of((1, 1, 1, 0), (1, 1, 2, 1)), 5, 4),  # another value and two terms more
    ],
)
def test_multiples_and_negatives_are_the_same_value(rows: FractionRows, before: int, after: int) -> None:
    program = row_by_row(rows)
    shared = share(program, SEPARATE)
    assert matrix_of(shared) == rows
    assert (program.counts.unfused, shared.counts.unfused) == (before, after)


def test_of_two_sums_that_differ_in_signs_one_may_be_computed_from_the_other() -> None:
    """It is computed anew: b + c and (b + c) + a, then (b + c) - a without a sum of its own."""
    nodes = (
        Node(Op.ADD, (0, 1)),
        Node(Op.ADD, (3, 2)),
        Node(Op.SCALE, (0,), Fraction(2)),
        Node(Op.SUB, (4, 5)),
    )
    program = Program(inputs=3, nodes=nodes, outputs=(4, 6))
    shared = share(program, SEPARATE)
    assert matrix_of(shared) == matrix_of(program)
    assert (program.counts.unfused, shared.counts.unfused) == (4, 3)


def test_a_sum_that_is_shared_may_be_the_negative_of_what_both_have_in_common() -> None:
    """Of 2 c - (a + b) and -2 c - (a + b) that is a + b: no instruction adds two negatives."""
    nodes = (
        Node(Op.ADD, (0, 1)),
        Node(Op.NEG, (3,)),
        Node(Op.SCALE, (2,), Fraction(2)),
        Node(Op.ADD, (4, 5)),
        Node(Op.SUB, (4, 5)),
    )
    program = Program(inputs=3, nodes=nodes, outputs=(6, 7))
    shared = share(program, FUSED)
    assert matrix_of(shared) == matrix_of(program)
    assert (program.counts.instructions, shared.counts.instructions) == (5, 3)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("size", "gentle"), [(1, True), (2, False), (8, False)])
def test_what_is_shared_is_not_made_of_much_larger_parts(size: int, gentle: bool, sign: int) -> None:
    """size a + b, without size a, is b up to the multiple of c that both outputs may add; b itself is not at hand."""
    reach = Reach([(1, 0, 0), (0, 1, 0), (0, 0, 1), (size, 1, 0)], [0, 2, 3])
    line = Line.of((0, 0, 1))
    assert line is not None
    found = reach.instruction_along((0, sign, 0), line)
    assert (found is not None) is gentle
    if found is not None:
        assert tuple(map(abs, reach.vector_of(found)[:2])) == (0, 1)


def test_without_fma_two_more_terms_are_added_at_once() -> None:
    """4 a - 5 c + e, where e - c is there: 4 (a - c) + (e - c)."""
    rows = rows_of((0, 0, -1, 0, 1), (4, 0, -5, 0, 1))
    shared = share(row_by_row(rows), SEPARATE)
    assert matrix_of(shared) == rows
    assert shared.counts.unfused == 4


@given(matrices())
def test_collecting_leaves_no_two_terms_in_one_ratio_that_would_save_something(rows: FractionRows) -> None:
    for arithmetic in Arithmetic:
        collected = collect(row_by_row(rows), arithmetic)
        assert matrix_of(collected) == rows
        assert collect(collected, arithmetic) == collected


def test_terms_in_one_ratio_are_added_once() -> None:
    rows = rows_of((1, 3, 5, 0, 0), (2, 6, 0, 7, 0), (-1, -3, 0, 0, 1))
    collected = collect(row_by_row(rows), FUSED)
    assert matrix_of(collected) == rows
    assert collected.counts.instructions == 1 + 1 + 2 + 1


def test_terms_in_other_ratios_are_not() -> None:
    program = row_by_row(rows_of((1, 3, 5, 0), (2, 5, 0, 7)))
    assert collect(program, SEPARATE) == program


def test_a_product_and_its_negative_are_one_product() -> None:
    rows = rows_of((1, 2, 0), (0, -2, 3))
    begun = begin_positive(row_by_row(rows))
    assert matrix_of(begun) == rows
    assert begun.counts.multiplications == 2


@pytest.mark.parametrize("op", [Op.FMA, Op.FMS])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("there", [3, -3])
def test_products_that_are_there_are_read(op: Op, sign: int, there: int) -> None:
    product = Node(Op.SCALE, (0,), Fraction(there))
    fused = Program(inputs=2, nodes=(product, Node(op, (0, 1), Fraction(3 * sign))), outputs=(2, 3))
    graph = Graph.of(fused)
    written = graph.replaced(with_products({3: fused.nodes[1]}, graph, frozenset({3})))
    assert matrix_of(written) == matrix_of(fused)
    assert written.counts.fused == 0
    read = there == 3 * sign or op is Op.FMA
    assert written.counts.multiplications == (1 if read else 2)


def test_a_product_of_its_own_is_not_read() -> None:
    """What a replacement makes needless it must not need."""
    fused = Program(
        inputs=2, nodes=(Node(Op.SCALE, (0,), Fraction(3)), Node(Op.FMA, (0, 1), Fraction(3))), outputs=(3,)
    )
    written = with_products({3: fused.nodes[1]}, Graph.of(fused), frozenset({2, 3}))
    assert 2 not in {argument for node in written.values() for argument in node.args}
