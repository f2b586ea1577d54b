"""Fusing: a product and the addition that follows it become one fused multiply-add, which rounds once.

In: a program. Out: one with no more instructions on a machine that has such an instruction.
"""

from __future__ import annotations

from winograd.codegen.passes.repetition import repeated
from winograd.codegen.program import Program
from winograd.codegen.sums import program_of, sums_of


@repeated
def fuse(program: Program) -> Program | None:
    """Return the program with fused instructions where that saves some.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from winograd.codegen.program import Op, ProgramBuilder
    >>> builder = ProgramBuilder(inputs=2)
    >>> program = builder.build([builder.emit(Op.ADD, builder.scaled(Fraction(3), 0), 1)])
    >>> fuse(program)
    <Program 2 -> 1, 1 instructions>
    """
    fused = program_of(sums_of(program), fused=True)
    return fused if fused.counts.instructions < program.counts.instructions else None
