"""Building programs from multiples of values: a factor waits until a sum takes it into a fused multiply-add.

In: exact factors, sympy numbers. Out: nodes of a `ProgramBuilder`. Of the two terms of a sum the one with the larger
factor is taken as it is, so that no constant is beyond 1; equal sums up to a common factor are one node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import sympy

from winograd.codegen.program import Node, Op, Program, ProgramBuilder

Exact = Any
"""A sympy number, irrational ones included."""


@dataclass(frozen=True, slots=True)
class Multiple:
    """A factor times a value of a program; a factor of 0 stands for zero, whatever the value."""

    factor: Exact
    value: int

    @property
    def is_zero(self) -> bool:
        """Whether nothing is there."""
        return bool(self.factor == 0)

    def times(self, factor: Exact) -> Multiple:
        """Return it multiplied, which costs nothing yet."""
        return Multiple(self.factor * factor, self.value)


NOTHING = Multiple(sympy.Integer(0), 0)
"""Zero, which costs nothing."""


class Combiner:
    """Adds up multiples of values.

    Parameters
    ----------
    inputs : int
        Of the program.

    Examples
    --------
    >>> combiner = Combiner(inputs=2)
    >>> a, b = (combiner.input(number) for number in range(2))
    >>> turned = combiner.add(a.times(sympy.sqrt(2) / 2), b.times(sympy.sqrt(2) / 2))
    >>> turned.factor  # one addition; the factor waits
    sqrt(2)/2
    >>> combiner.program([combiner.add(a, turned), combiner.subtract(a, turned)])
    <Program 2 -> 2, 3 instructions>
    """

    def __init__(self, inputs: int) -> None:
        self._builder = ProgramBuilder(inputs)
        self._nodes: dict[int, Node] = {}

    def input(self, number: int) -> Multiple:
        """Return an input of the program."""
        return Multiple(sympy.Integer(1), number)

    def add(self, a: Multiple, b: Multiple) -> Multiple:
        """Return a + b, in one instruction where both are something else than multiples of one value."""
        if a.is_zero or b.is_zero:
            return b if a.is_zero else a
        if a.value == b.value:
            return Multiple(a.factor + b.factor, a.value)
        first, second = sorted((a, b), key=lambda one: one.value)
        if first.factor in (second.factor, -second.factor):
            op = Op.ADD if first.factor == second.factor else Op.SUB
            return Multiple(first.factor, self._emit(op, first.value, second.value))
        if abs(as_float(first.factor)) < abs(as_float(second.factor)):
            first, second = second, first
        ratio = second.factor / first.factor
        return Multiple(first.factor, self._emit(Op.FMA, second.value, first.value, constant=ratio))

    def subtract(self, a: Multiple, b: Multiple) -> Multiple:
        """Return a - b; see `add`."""
        return self.add(a, b.times(-1))

    def total(self, terms: Sequence[Multiple]) -> Multiple:
        """Return the sum of some multiples, added from the first on."""
        found = NOTHING
        for term in terms:
            found = self.add(found, term)
        return found

    def inlined(self, program: Program, arguments: Sequence[Multiple]) -> list[Multiple]:
        """Return the outputs of another program for these arguments."""
        values = list(arguments)
        for node in program.nodes:
            values.append(self._again(node, [values[argument] for argument in node.args]))
        return [values[output] for output in program.outputs]

    def program(self, outputs: Sequence[Multiple]) -> Program:
        """Return the program of these outputs, without what none of them needs."""
        return self._builder.build([self._settled(output) for output in outputs])

    def _again(self, node: Node, arguments: Sequence[Multiple]) -> Multiple:
        factor = sympy.Integer(1) if node.constant is None else sympy.sympify(node.constant)
        match node.op:
            case Op.ZERO:
                return NOTHING
            case Op.NEG:
                return arguments[0].times(-1)
            case Op.SCALE:
                return arguments[0].times(factor)
            case Op.ADD | Op.FMA:
                return self.add(arguments[0].times(factor), arguments[1])
            case Op.SUB | Op.FMS:
                return self.subtract(arguments[0].times(factor), arguments[1])

    def _emit(self, op: Op, *values: int, constant: Exact = None) -> int:
        exact = None if constant is None else _plain(constant)
        number = self._builder.emit(op, *values, constant=exact)
        self._nodes[number] = Node(op, values, exact)
        return number

    def _settled(self, output: Multiple) -> int:
        if output.is_zero:
            return self._emit(Op.ZERO)
        if output.factor == 1:
            return output.value
        if output.factor == -1:
            return self._negated(output.value)
        return self._emit(Op.SCALE, output.value, constant=output.factor)

    def _negated(self, value: int) -> int:
        node = self._nodes.get(value)
        if node is None:
            return self._emit(Op.NEG, value)
        if node.op is Op.SUB:
            return self._emit(Op.SUB, node.args[1], node.args[0])
        if node.op is Op.ADD:
            return self._emit(Op.FMS, *node.args, constant=-1)
        return self._emit(Op.FMS, *node.args, constant=-1 * sympy.sympify(node.constant))


@lru_cache(maxsize=4096)
def as_float(number: Exact) -> float:
    """Return the float64 nearest to an exact number, from 30 digits of it."""
    return float(sympy.N(number, 30))


def _plain(constant: Exact) -> Any:
    """Return a rational number as the Fraction that programs have for it."""
    number = sympy.sympify(constant)
    return Fraction(int(number.p), int(number.q)) if number.is_Rational else number
