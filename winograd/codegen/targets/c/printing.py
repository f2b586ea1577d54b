"""Programs as C statements: one constant per input, one per instruction, one statement per output.

In: a `Program`, the type of its values, and C for reading inputs and writing outputs. Out: lines of C.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from winograd.codegen.literals import float64_literal
from winograd.codegen.program import Node, Op, Program


@dataclass(frozen=True, slots=True)
class Notation:
    """How one instruction is written: the type of a value, a literal, and fused multiply-add and -subtract."""

    type_name: str
    literal: Callable[[Fraction], str]
    fma: str
    fms: str


def _vector_literal(constant: Fraction) -> str:
    # C rounds the literal of a double, which reads back exactly, to NAME_real; so does the interpreter.
    return f"(NAME_real){float64_literal(constant)}"


VECTOR: Final = Notation("NAME_vector", _vector_literal, "NAME_fma({c}, {a}, {b})", "NAME_fms({c}, {a}, {b})")
"""Vectors of `NAME_real`."""

DOUBLE: Final = Notation("double", float64_literal, "{c} * {a} + {b}", "{c} * {a} - {b}")
"""Single numbers in double, rounded after the product and after the sum."""


def print_program(
    program: Program, notation: Notation, read: Callable[[int], str], write: Callable[[int, str], str]
) -> Iterator[str]:
    r"""Yield one C statement per input that is used, before its first use, per instruction and per output.

    Parameters
    ----------
    program : Program
    notation : Notation
    read : callable
        Returns the C expression of an input by its number.
    write : callable
        Returns the C statement that writes an output: its number and the name of its value are given.

    Examples
    --------
    >>> program = Program(inputs=2, nodes=(Node(Op.FMA, (0, 1), Fraction(1, 2)),), outputs=(2,))
    >>> print(*print_program(program, DOUBLE, "x[{}]".format, "y[{}] = {};".format), sep="\n")
    const double x0 = x[0];
    const double x1 = x[1];
    const double t0 = 0.5 * x0 + x1;
    y[0] = t0;
    """
    names = [f"x{number}" for number in range(program.inputs)] + [f"t{number}" for number in range(len(program.nodes))]
    unread = set(range(program.inputs))

    def reads(values: Sequence[int]) -> Iterator[str]:
        for number in dict.fromkeys(values):
            if number in unread:
                unread.remove(number)
                yield f"const {notation.type_name} {names[number]} = {read(number)};"

    for number, node in enumerate(program.nodes, start=program.inputs):
        yield from reads(node.args)
        yield f"const {notation.type_name} {names[number]} = {_expression(node, names, notation)};"
    yield from reads(program.outputs)
    for number, output in enumerate(program.outputs):
        yield write(number, names[output])


def _expression(node: Node, names: Sequence[str], notation: Notation) -> str:
    a, b = (*(names[argument] for argument in node.args), "", "")[:2]
    match node.op:
        case Op.ZERO:
            return f"({notation.type_name}){{0}}"
        case Op.NEG:
            return f"-{a}"
        case Op.ADD:
            return f"{a} + {b}"
        case Op.SUB:
            return f"{a} - {b}"
    assert node.constant is not None
    c = notation.literal(node.constant)
    if node.op is Op.SCALE:
        return f"{c} * {a}"
    form = notation.fma if node.op is Op.FMA else notation.fms
    return form.format(c=c, a=a, b=b)
