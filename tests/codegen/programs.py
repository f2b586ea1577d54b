"""Random programs and matrices: shared values, dead values, equal outputs, zeros, signs and repeated sizes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import strategies as st

from winograd.algebra.bilinear import FractionRows
from winograd.codegen.program import Node, Op, Program

CONSTANTS = [Fraction(*pair) for pair in ((2, 1), (-2, 1), (1, 2), (3, 1), (-5, 4), (1, 6), (25, 64), (-1, 3), (4, 1))]


@st.composite
def programs(draw: st.DrawFn, most_inputs: int = 5, most_nodes: int = 14) -> Program:
    """Programs of every operation; outputs are any values, several times too, or none."""
    inputs = draw(st.integers(1, most_inputs))
    nodes: list[Node] = []
    for number in range(inputs, inputs + draw(st.integers(0, most_nodes))):
        op = draw(st.sampled_from([op for op in Op if op is not Op.ZERO or number == inputs]))
        value = st.integers(0, number - 1)
        arity = {Op.ZERO: 0, Op.NEG: 1, Op.SCALE: 1}.get(op, 2)
        constant = draw(st.sampled_from(CONSTANTS)) if op in (Op.SCALE, Op.FMA, Op.FMS) else None
        nodes.append(Node(op, tuple(draw(value) for _ in range(arity)), constant))
    outputs = draw(st.lists(st.integers(0, inputs + len(nodes) - 1), max_size=6))
    return Program(inputs, tuple(nodes), tuple(outputs))


@st.composite
def matrices(draw: st.DrawFn, most: int = 6) -> FractionRows:
    """Rational matrices with many zeros, signs and repeated sizes, where sharing and pairing have something to find."""
    entries = st.sampled_from([Fraction(*pair) for pair in ((0, 1), (1, 1), (-1, 1), (2, 1), (-2, 1), (1, 2), (-5, 3))])
    columns = draw(st.integers(1, most))
    return tuple(
        tuple(row)
        for row in draw(st.lists(st.lists(entries, min_size=columns, max_size=columns), min_size=1, max_size=most))
    )


def altered(program: Program) -> Program:
    """Return the program with its last addition turned into a subtraction, or the other way round."""
    swapped = {Op.ADD: Op.SUB, Op.SUB: Op.ADD, Op.FMA: Op.FMS, Op.FMS: Op.FMA}
    place = max(place for place, node in enumerate(program.nodes) if node.op in swapped)
    nodes = [*program.nodes]
    nodes[place] = replace(nodes[place], op=swapped[nodes[place].op])
    return replace(program, nodes=tuple(nodes))
