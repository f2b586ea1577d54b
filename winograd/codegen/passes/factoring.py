"""Factoring: a common coefficient multiplies a sum once, and moves to whoever reads the sum where that costs nothing.

In: a program, and an `Arithmetic`. Out: one with no more instructions in that arithmetic.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

from winograd.codegen.forms import product
from winograd.codegen.passes.repetition import repeated
from winograd.codegen.program import Arithmetic, Program
from winograd.codegen.sums import Sum, Sums, cost_under, is_fused, program_of, sums_of


@repeated
def factor(program: Program, arithmetic: Arithmetic = Arithmetic.FUSED) -> Program | None:
    """Return the program with common coefficients taken out.

    Examples
    --------
    >>> from winograd.codegen.program import Op, ProgramBuilder
    >>> builder = ProgramBuilder(inputs=2)
    >>> part = builder.emit(Op.ADD, builder.scaled(Fraction(3), 0), builder.scaled(Fraction(3), 1))
    >>> program = builder.build([builder.scaled(Fraction(2), part), builder.scaled(Fraction(5), part)])
    >>> program.counts.instructions, factor(program).counts.instructions
    (5, 3)
    """
    better = program_of(normalised(sums_of(program), arithmetic), fused=is_fused(program))
    return better if cost_under(better, arithmetic) < cost_under(program, arithmetic) else None


def normalised(sums: Sums, arithmetic: Arithmetic) -> Sums:
    """Divide every sum that is no output by its commonest coefficient, 1 in a tie, and multiply its readers' by it.

    If that costs no less, return the sums as they are.
    """
    scales: dict[int, Fraction] = {}
    found: list[Sum] = []
    for number, terms in enumerate(sums.sums, start=sums.inputs):
        scaled = tuple((product(coefficient, scales.get(value, Fraction(1))), value) for coefficient, value in terms)
        scale = _commonest(scaled) if number not in sums.outputs and scaled else Fraction(1)
        if scale != 1:
            scales[number] = scale
            scaled = tuple((coefficient / scale, value) for coefficient, value in scaled)
        found.append(scaled)
    changed = replace(sums, sums=tuple(found))
    return changed if changed.cost_under(arithmetic) < sums.cost_under(arithmetic) else sums


def _commonest(terms: Sum) -> Fraction:
    sizes = Counter(abs(coefficient) for coefficient, _ in terms)
    size = max(sizes, key=lambda coefficient: (sizes[coefficient], coefficient == 1))
    return next(coefficient for coefficient, _ in reversed(terms) if abs(coefficient) == size)
