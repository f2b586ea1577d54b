"""Pairing where there is nothing to pair."""

from __future__ import annotations

from fractions import Fraction

import pytest

from winograd.codegen.forms import matrix_of
from winograd.codegen.lower import row_by_row
from winograd.codegen.passes.pairing import pair
from winograd.codegen.program import Arithmetic, Node, Op, Program


@pytest.mark.parametrize("arithmetic", Arithmetic)
@pytest.mark.parametrize("nodes", [(), (Node(Op.ADD, (0, 1)),)])
def test_a_program_without_outputs_stays_as_it_is(nodes: tuple[Node, ...], arithmetic: Arithmetic) -> None:
    program = Program(inputs=4, nodes=nodes, outputs=())
    assert pair(program, arithmetic) == program


@pytest.mark.parametrize("sign", [1, -1])
def test_a_row_and_its_negative_or_copy_stay_what_they_are(sign: int) -> None:
    row = (1, 2, 3)
    rows = [tuple(map(Fraction, row)), tuple(Fraction(sign * entry) for entry in row)]
    paired = pair(row_by_row(rows))
    assert [list(form) for form in matrix_of(paired)] == [list(form) for form in rows]
    assert paired.counts.instructions <= row_by_row(rows).counts.instructions
