"""What the values of a program are as linear forms of its inputs, exactly, and as rows of a matrix.

In: a `Program`. Out: one row of Fractions per value or per output.
"""

from __future__ import annotations

from fractions import Fraction

from winograd.codegen.program import Node, Op, Program

Form = tuple[Fraction, ...]
"""A linear form: its coefficients, one per input."""


def forms_of(program: Program) -> list[Form]:
    """Return the form of every value, inputs first.

    Examples
    --------
    >>> program = Program(inputs=2, nodes=(Node(Op.FMA, (0, 1), Fraction(1, 2)),), outputs=(2,))
    >>> [str(coefficient) for coefficient in forms_of(program)[2]]
    ['1/2', '1']
    """
    zero, one = Fraction(0), Fraction(1)
    forms = [tuple(one if row == column else zero for column in range(program.inputs)) for row in range(program.inputs)]
    for node in program.nodes:
        forms.append(_form(node, forms, program.inputs))
    return forms


def matrix_of(program: Program) -> tuple[Form, ...]:
    """Return the matrix that the program multiplies its inputs by."""
    forms = forms_of(program)
    return tuple(forms[output] for output in program.outputs)


def factors(node: Node) -> tuple[tuple[Fraction, int], ...]:
    """Return what a node adds up: each argument with its factor.

    Examples
    --------
    >>> factors(Node(Op.SUB, (3, 4)))
    ((Fraction(1, 1), 3), (Fraction(-1, 1), 4))
    """
    one = Fraction(1)
    by_op = {Op.ZERO: (), Op.NEG: (-one,), Op.ADD: (one, one), Op.SUB: (one, -one)}
    if node.constant is None:
        return tuple(zip(by_op[node.op], node.args, strict=True))
    second = {Op.SCALE: (), Op.FMA: (one,), Op.FMS: (-one,)}[node.op]
    return tuple(zip((node.constant, *second), node.args, strict=True))


def product(first: Fraction, second: Fraction) -> Fraction:
    """Return the product; where one of the factors is 1 or -1 it is the other or its negative, of the same type."""
    for unit, other in ((first, second), (second, first)):
        if abs(unit) == 1:
            return other if unit == 1 else -other
    return first * second


def _form(node: Node, forms: list[Form], inputs: int) -> Form:
    total = [Fraction(0)] * inputs
    for factor, argument in factors(node):
        for place, coefficient in enumerate(forms[argument]):
            if coefficient:
                added = product(factor, coefficient)
                total[place] = total[place] + added if total[place] else added
    return tuple(total)
