"""Pairing where there is nothing to pair."""

from __future__ import annotations

import pytest

from winograd.codegen.passes.pairing import pair
from winograd.codegen.program import Arithmetic, Node, Op, Program


@pytest.mark.parametrize("arithmetic", Arithmetic)
@pytest.mark.parametrize("nodes", [(), (Node(Op.ADD, (0, 1)),)])
def test_a_program_without_outputs_stays_as_it_is(nodes: tuple[Node, ...], arithmetic: Arithmetic) -> None:
    program = Program(inputs=4, nodes=nodes, outputs=())
    assert pair(program, arithmetic) == program
