"""Programs: validation, counting, sharing."""

from __future__ import annotations

from fractions import Fraction

import pytest

from winograd.codegen.interpret import interpret
from winograd.codegen.program import Node, Op, Program, ProgramBuilder

HALF = Fraction(1, 2)


@pytest.mark.parametrize(
    ("op", "args", "constant"),
    [(Op.ADD, (0,), None), (Op.NEG, (0, 1), None), (Op.ZERO, (0,), None), (Op.FMA, (0,), HALF),
     (Op.ADD, (0, 1), HALF), (Op.SCALE, (0,), None), (Op.FMS, (0, 1), None)],
)  # fmt: skip
def test_nodes_with_wrong_arguments_are_refused(op: Op, args: tuple[int, ...], constant: Fraction | None) -> None:
    with pytest.raises(ValueError, match=op.name):
        Node(op, args, constant)


@pytest.mark.parametrize("argument", [2, 3, -1])
def test_nodes_read_only_what_exists_before_them(argument: int) -> None:
    with pytest.raises(ValueError, match=r"node 2 reads .* only 0 \.\. 1 exist"):
        Program(inputs=2, nodes=(Node(Op.NEG, (argument,)), Node(Op.NEG, (0,))), outputs=(2,))


@pytest.mark.parametrize("output", [3, -1])
def test_outputs_must_exist(output: int) -> None:
    with pytest.raises(ValueError, match="outputs"):
        Program(inputs=2, nodes=(Node(Op.NEG, (0,)),), outputs=(output,))


def test_counts_take_fused_operations_as_one_and_as_two() -> None:
    nodes = (
        Node(Op.ADD, (0, 1)),
        Node(Op.SUB, (0, 2)),
        Node(Op.NEG, (3,)),
        Node(Op.SCALE, (0,), HALF),
        Node(Op.FMA, (0, 1), HALF),
        Node(Op.FMS, (0, 1), HALF),
        Node(Op.ZERO),
    )
    counts = Program(inputs=2, nodes=nodes, outputs=(4,)).counts
    assert (counts.additions, counts.multiplications, counts.fused) == (3, 1, 2)
    assert (counts.instructions, counts.unfused) == (6, 8)


def test_the_builder_shares_equal_instructions() -> None:
    builder = ProgramBuilder(inputs=2)
    assert builder.emit(Op.ADD, 0, 1) == builder.emit(Op.ADD, 1, 0)
    assert builder.emit(Op.SUB, 0, 1) != builder.emit(Op.SUB, 1, 0)
    assert builder.scaled(Fraction(1), 1) == 1
    assert builder.accumulated(0, HALF, 1) == builder.accumulated(0, HALF, 1)


def test_the_builder_drops_what_no_output_needs() -> None:
    builder = ProgramBuilder(inputs=2)
    builder.emit(Op.NEG, 0)
    total = builder.emit(Op.ADD, 0, 1)
    builder.emit(Op.SUB, total, 1)
    program = builder.build([total, 0])
    assert program == Program(inputs=2, nodes=(Node(Op.ADD, (0, 1)),), outputs=(2, 0))


@pytest.mark.parametrize(
    "constants", [(), (1,), (-1,), (-1, -1), (-1, HALF), (HALF, -1), (-1, 1), (HALF, HALF), (-1, -1, -1), (2, -1, 1)]
)
def test_combinations_are_sums(constants: tuple[Fraction, ...]) -> None:
    builder = ProgramBuilder(inputs=3)
    value = builder.combination([(Fraction(constant), place) for place, constant in enumerate(constants)])
    inputs = [Fraction(3), Fraction(5), Fraction(7)]
    expected = sum((c * x for c, x in zip(constants, inputs, strict=False)), Fraction(0))
    assert interpret(builder.build([value]), inputs) == [expected]


def test_digests_see_every_part() -> None:
    programs = [
        Program(inputs=2, nodes=(Node(Op.FMA, (0, 1), HALF),), outputs=(2,)),
        Program(inputs=3, nodes=(Node(Op.FMA, (0, 1), HALF),), outputs=(2,)),
        Program(inputs=2, nodes=(Node(Op.FMS, (0, 1), HALF),), outputs=(2,)),
        Program(inputs=2, nodes=(Node(Op.FMA, (1, 0), HALF),), outputs=(2,)),
        Program(inputs=2, nodes=(Node(Op.FMA, (0, 1), -HALF),), outputs=(2,)),
        Program(inputs=2, nodes=(Node(Op.FMA, (0, 1), HALF),), outputs=(1,)),
    ]
    assert len({program.digest for program in programs}) == len(programs)
    assert programs[0].digest == Program(inputs=2, nodes=(Node(Op.FMA, (0, 1), HALF),), outputs=(2,)).digest
