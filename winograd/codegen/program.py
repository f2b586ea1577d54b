"""`Program`: a straight-line linear program with exact constants, the one form between matrices and every target.

Values are numbered: 0 .. inputs - 1 are the inputs, then one value per node. `interpret` is its meaning.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction


class Op(Enum):
    """What a node computes from its arguments a, b and its constant c. One instruction each, ``ZERO`` none."""

    ZERO = "0"
    NEG = "-a"
    ADD = "a + b"
    SUB = "a - b"
    SCALE = "c * a"
    FMA = "c * a + b"
    FMS = "c * a - b"


class Arithmetic(Enum):
    """What a machine takes for ``c * a + b``, which decides what a program costs."""

    FUSED = "one instruction, rounded once"
    SEPARATE = "a multiplication and an addition, each rounded"


_ARITY = {Op.ZERO: 0, Op.NEG: 1, Op.ADD: 2, Op.SUB: 2, Op.SCALE: 1, Op.FMA: 2, Op.FMS: 2}
_WITH_CONSTANT = frozenset({Op.SCALE, Op.FMA, Op.FMS})


@dataclass(frozen=True, slots=True)
class Node:
    """One instruction: an operation, the numbers of its arguments, and its constant where it has one."""

    op: Op
    args: tuple[int, ...] = ()
    constant: Fraction | None = None

    def __post_init__(self) -> None:
        if len(self.args) != _ARITY[self.op]:
            raise ValueError(f"{self.op.name} with {len(self.args)} arguments, needs {_ARITY[self.op]}")
        if (self.constant is not None) != (self.op in _WITH_CONSTANT):
            raise ValueError(f"{self.op.name} with constant {self.constant}")


@dataclass(frozen=True, slots=True)
class Counts:
    """Instructions of a program; an addition, a multiplication or a fused multiply-add is one."""

    additions: int
    multiplications: int
    fused: int

    @property
    def instructions(self) -> int:
        """All instructions."""
        return self.additions + self.multiplications + self.fused

    @property
    def unfused(self) -> int:
        """Instructions on a machine without fused multiply-add."""
        return self.instructions + self.fused

    def under(self, arithmetic: Arithmetic) -> int:
        """Instructions on a machine with or without fused multiply-add."""
        return self.instructions if arithmetic is Arithmetic.FUSED else self.unfused


@dataclass(frozen=True, slots=True)
class Program:
    """A straight-line linear program, validated on construction.

    Parameters
    ----------
    inputs : int
        Number of inputs.
    nodes : tuple of Node
        Each reads inputs and earlier nodes only.
    outputs : tuple of int
        Numbers of the values that are returned, in order.

    Raises
    ------
    ValueError
        If a node or an output reads a value that does not exist before it.

    Examples
    --------
    >>> program = Program(inputs=2, nodes=(Node(Op.FMA, (0, 1), Fraction(1, 2)),), outputs=(2,))
    >>> program.counts.instructions, program.counts.unfused
    (1, 2)
    """

    inputs: int
    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]

    def __post_init__(self) -> None:
        for number, node in enumerate(self.nodes, start=self.inputs):
            if any(not 0 <= argument < number for argument in node.args):
                raise ValueError(f"node {number} reads {node.args}, only 0 .. {number - 1} exist before it")
        if any(not 0 <= output < self.inputs + len(self.nodes) for output in self.outputs):
            raise ValueError(f"outputs {self.outputs}, only 0 .. {self.inputs + len(self.nodes) - 1} exist")

    @property
    def counts(self) -> Counts:
        """Instructions by kind."""
        by_op = Counter(node.op for node in self.nodes)
        return Counts(
            additions=by_op[Op.ADD] + by_op[Op.SUB] + by_op[Op.NEG],
            multiplications=by_op[Op.SCALE],
            fused=by_op[Op.FMA] + by_op[Op.FMS],
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the program as hexadecimal text, the same in every process."""
        lines = (f"{node.op.name}{node.args}{node.constant}" for node in self.nodes)
        return hashlib.sha256(f"{self.inputs}|{'|'.join(lines)}|{self.outputs}".encode()).hexdigest()

    def __repr__(self) -> str:
        return f"<Program {self.inputs} -> {len(self.outputs)}, {self.counts.instructions} instructions>"


class ProgramBuilder:
    """Builds a `Program`, sharing equal nodes: asking twice for the same instruction gives the same value.

    Examples
    --------
    >>> builder = ProgramBuilder(inputs=2)
    >>> builder.emit(Op.ADD, 0, 1) == builder.emit(Op.ADD, 1, 0)
    True
    """

    __slots__ = ("_inputs", "_numbers")

    def __init__(self, inputs: int) -> None:
        self._inputs = inputs
        self._numbers: dict[Node, int] = {}

    def emit(self, op: Op, *args: int, constant: Fraction | None = None) -> int:
        """Return the number of the value of this instruction, adding it if it is new."""
        ordered = tuple(sorted(args)) if op is Op.ADD else args
        node = Node(op, ordered, constant)
        return self._numbers.setdefault(node, self._inputs + len(self._numbers))

    def scaled(self, constant: Fraction, value: int) -> int:
        """Return the value ``constant * value``, free for 1."""
        if constant == 1:
            return value
        if constant == -1:
            return self.emit(Op.NEG, value)
        return self.emit(Op.SCALE, value, constant=constant)

    def accumulated(self, total: int, constant: Fraction, value: int) -> int:
        """Return ``total + constant * value`` in one instruction."""
        if constant == 1:
            return self.emit(Op.ADD, total, value)
        if constant == -1:
            return self.emit(Op.SUB, total, value)
        return self.emit(Op.FMA, value, total, constant=constant)

    def reduced(self, constant: Fraction, value: int, total: int) -> int:
        """Return ``constant * value - total`` in one instruction, two for ``constant`` -1."""
        if constant == 1:
            return self.emit(Op.SUB, value, total)
        if constant == -1:
            return self.emit(Op.NEG, self.emit(Op.ADD, value, total))
        return self.emit(Op.FMS, value, total, constant=constant)

    def combination(self, terms: Sequence[tuple[Fraction, int]]) -> int:
        """Return ``sum(constant * value)`` in order, but begun with a term of constant 1 or -1 where there is one."""
        if not terms:
            return self.emit(Op.ZERO)
        first = next((term for unit in (1, -1) for term in terms if term[0] == unit), terms[0])
        rest = [term for term in terms if term is not first]
        if first[0] == -1 and rest:
            positive = next((term for term in rest if term[0] != -1), rest[0])
            rest.remove(positive)
            total = self.reduced(*positive, first[1])
        else:
            total = self.scaled(*first)
        for constant, value in rest:
            total = self.accumulated(total, constant, value)
        return total

    def build(self, outputs: Sequence[int]) -> Program:
        """Return the program that computes the given values, without the nodes that none of them needs."""
        nodes = list(self._numbers)
        needed = set(outputs)
        for number in range(self._inputs + len(nodes) - 1, self._inputs - 1, -1):
            if number in needed:
                needed.update(nodes[number - self._inputs].args)
        kept = [number for number in range(self._inputs, self._inputs + len(nodes)) if number in needed]
        renamed = {number: number for number in range(self._inputs)}
        renamed.update({number: self._inputs + place for place, number in enumerate(kept)})
        return Program(
            inputs=self._inputs,
            nodes=tuple(
                Node(node.op, tuple(renamed[argument] for argument in node.args), node.constant)
                for node in (nodes[number - self._inputs] for number in kept)
            ),
            outputs=tuple(renamed[output] for output in outputs),
        )
