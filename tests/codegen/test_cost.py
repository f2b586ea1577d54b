"""The cost model: spills as a perfect allocator has them, loads, stores, and what does not add up."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings

from tests.codegen.programs import programs
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.cost import MACHINES, Cost, Machine, cost_of, spills, total_cost
from winograd.codegen.lower import lower_axis
from winograd.codegen.passes.scheduling import live_values
from winograd.codegen.program import Arithmetic, Node, Op, Program


@given(programs())
@settings(deadline=None)
def test_as_many_registers_as_live_values_spill_nothing(program: Program) -> None:
    assert spills(program, max(3, live_values(program))) == 0


@given(programs(most_inputs=8, most_nodes=24))
@settings(deadline=None)
def test_more_registers_spill_no_more(program: Program) -> None:
    counts = [spills(program, registers) for registers in range(3, 12)]
    assert counts == sorted(counts, reverse=True)


def test_too_few_registers_spill() -> None:
    data = lower_axis(toom_cook(8, 3)).data
    assert live_values(data) > 4
    assert spills(data, live_values(data)) == 0 < spills(data, 4)


def test_an_input_is_loaded_again_and_another_value_is_stored_first() -> None:
    """Three registers: the first value waits for the end while three others are held."""

    def waiting(first: Node) -> Program:
        nodes = (first, Node(Op.ADD, (1, 2)), Node(Op.ADD, (1, 3)), Node(Op.ADD, (2, 3)), Node(Op.ADD, (4, 0)))
        return Program(inputs=4, nodes=(*nodes, Node(Op.SUB, (4, 0))), outputs=(5, 6, 7, 8, 9))

    assert spills(waiting(Node(Op.NEG, (0,))), 6) == 0
    kept, stored = (spills(waiting(Node(Op.NEG, (0,))), registers) for registers in (4, 3))
    assert 0 < kept < stored


def test_loads_are_the_inputs_that_are_read_and_stores_the_outputs() -> None:
    program = Program(inputs=3, nodes=(Node(Op.FMA, (0, 1), Fraction(2)),), outputs=(3, 3, 0))
    fused, separate = (cost_of(program, MACHINES[name]) for name in ("AVX2", "SSE2"))
    assert fused == Cost(instructions=1, loads=2, stores=3, live=2, spills=0)
    assert separate.instructions == 2


def test_costs_add_up_but_live_values_do_not() -> None:
    one = Cost(instructions=4, loads=3, stores=2, live=5, spills=1)
    assert total_cost([one.times(3), one]) == Cost(instructions=16, loads=12, stores=8, live=5, spills=4)
    assert total_cost([]) == Cost(0, 0, 0, 0, 0)


def test_a_machine_holds_an_instruction() -> None:
    with pytest.raises(ValueError, match="registers is 2, must be at least 3"):
        Machine("tiny", Arithmetic.FUSED, 2)
