"""Beginning: without fused multiply-add a sum begins with a positive term, so that c a and -c a are one product.

In: a program. Out: one with no more instructions on a machine without fused multiply-add.
"""

from __future__ import annotations

from dataclasses import replace

from winograd.codegen.passes.repetition import repeated
from winograd.codegen.program import Program
from winograd.codegen.sums import Sum, Term, program_of, sums_of


@repeated
def begin_positive(program: Program) -> Program | None:
    """Return the program with sums begun by 1 times a value, or else by a positive product, where that saves some.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from winograd.codegen.program import Op, ProgramBuilder
    >>> builder = ProgramBuilder(inputs=3)
    >>> first = builder.emit(Op.ADD, 0, builder.scaled(Fraction(2), 1))
    >>> second = builder.emit(Op.ADD, builder.scaled(Fraction(-2), 1), builder.scaled(Fraction(3), 2))
    >>> program = builder.build([first, second])
    >>> program.counts.unfused, begin_positive(program).counts.unfused
    (5, 4)
    """
    sums = sums_of(program)
    better = program_of(replace(sums, sums=tuple(map(_positive_first, sums.sums))), fused=False)
    return better if better.counts.unfused < program.counts.unfused else None


def _positive_first(terms: Sum) -> Sum:
    return tuple(sorted(terms, key=_place))


def _place(term: Term) -> int:
    coefficient, _ = term
    if abs(coefficient) == 1:
        return 0 if coefficient == 1 else 3
    return 1 if coefficient > 0 else 2
