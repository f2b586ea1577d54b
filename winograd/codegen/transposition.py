"""Transposition: the program of the transposed matrix, in as many instructions but for the numbers of ends (Tellegen).

In: a program of a matrix. Out: a program of its transpose: every value adds up what its readers have, each multiplied
by the factor with which it read the value.
"""

from __future__ import annotations

from fractions import Fraction

from winograd.codegen.forms import factors, product
from winograd.codegen.program import Node, Op, Program
from winograd.codegen.sums import Sum, Sums, Term, is_fused, merged, program_of


def transpose_program(program: Program) -> Program:
    """Return the program that multiplies by the transposed matrix.

    Sums take one addition for every reader after the first; so additions change by the number of inputs minus the
    number of outputs, and the multiplications stay the same.

    Examples
    --------
    >>> from winograd.codegen.program import Op, ProgramBuilder
    >>> builder = ProgramBuilder(inputs=3)
    >>> total = builder.emit(Op.ADD, builder.emit(Op.ADD, 0, 1), 2)
    >>> transpose_program(builder.build([total, total]))
    <Program 2 -> 3, 1 instructions>
    """
    arriving: dict[int, list[Term]] = {number: [] for number in range(program.inputs + len(program.nodes))}
    for place, output in enumerate(program.outputs):
        arriving[output].append((Fraction(1), place))
    sums: list[Sum] = []
    for number in reversed(arriving):
        terms = merged(arriving[number])
        is_sum = len(terms) > 1 or (number < program.inputs and not _is_value(terms))
        if is_sum:
            sums.append(terms)
            terms = ((Fraction(1), len(program.outputs) + len(sums) - 1),)
        arriving[number] = list(terms)
        node = program.nodes[number - program.inputs] if number >= program.inputs else Node(Op.ZERO)
        for factor, argument in factors(node):
            arriving[argument] += [(product(factor, coefficient), value) for coefficient, value in terms]
    outputs = tuple(arriving[number][0][1] for number in range(program.inputs))
    return program_of(Sums(len(program.outputs), tuple(sums), outputs), fused=is_fused(program))


def _is_value(terms: Sum) -> bool:
    return len(terms) == 1 and terms[0][0] == 1
