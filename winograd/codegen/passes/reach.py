"""Reach: what one instruction makes of the values at hand.

In: linear forms as vectors of integers, all over one denominator. Out: an instruction c a, c a + b or c a - b whose
value has a wanted form, exactly or up to a multiple of another form.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from itertools import permutations
from math import gcd, lcm

from winograd.codegen.forms import Form
from winograd.codegen.program import Node, Op

Vector = tuple[int, ...]

LARGEST_PART = 2
"""Largest absolute sum of a part's coefficients, as a multiple of the sum's own."""


def vectors_of(forms: Sequence[Form]) -> list[Vector]:
    """Return the forms over twice their common denominator, so that half a sum of two is a vector too.

    Examples
    --------
    >>> vectors_of([(Fraction(1, 2), Fraction(1)), (Fraction(0), Fraction(-1, 3))])
    [(6, 12), (0, -4)]
    """
    common = 2 * lcm(*(entry.denominator for form in forms for entry in form))
    return [tuple(int(entry * common) for entry in form) for form in forms]


@dataclass(frozen=True, slots=True)
class Line:
    """The multiples of a vector; ``place`` is where it is not 0."""

    along: Vector
    place: int

    @classmethod
    def of(cls, along: Vector) -> Line | None:
        """Return the line of a vector, None for the zero vector."""
        place = next((place for place, entry in enumerate(along) if entry), None)
        return None if place is None else cls(along, place)

    def project(self, vector: Vector) -> Vector:
        """Return a fixed multiple of the vector with 0 in the place, so that points of a line fall together."""
        own, other = self.along[self.place], vector[self.place]
        return tuple(own * a - other * b for a, b in zip(vector, self.along, strict=True))


@dataclass(frozen=True, slots=True)
class Reach:
    """Some values at hand.

    Parameters
    ----------
    vectors : sequence of Vector
        Of all values.
    available : sequence of int
        Numbers of those at hand.
    """

    vectors: Sequence[Vector]
    available: Sequence[int]

    def instructions(self, wanted: Vector, using: int | None = None) -> Iterator[Node]:
        """Yield instructions with this vector, no part of which is much larger, that read ``using`` if given."""
        found = self._instructions(wanted, {number: self.vectors[number] for number in self.available}, scaled=True)
        return (node for node in found if using in (None, *node.args) and self._is_gentle(node))

    def instructions_in_two(self, wanted: Vector, number: int) -> Iterator[tuple[Node, Node]]:
        """Yield pairs of instructions for this vector: together they add multiples of two inputs to a value at hand.

        The value of the first gets the given number, and the second reads it. No part is much larger than its sum.
        """
        unit = sum(self.vectors[0])
        for value in self.available:
            for sign in (1, -1):
                rest = tuple(a - sign * b for a, b in zip(wanted, self.vectors[value], strict=True))
                terms = [(Fraction(entry, unit), place) for place, entry in enumerate(rest) if entry]
                for first, second in _added_in_two(terms, sign, value, number) if len(terms) == 2 else ():
                    if self._is_gentle(first) and self.with_value(number, first)[0]._is_gentle(second):
                        yield first, second

    def with_value(self, number: int, node: Node) -> tuple[Reach, int]:
        """Return the reach with the value of a sum beside the others, and what all vectors were multiplied by."""
        scale = (node.constant or Fraction(1)).denominator
        vectors = [tuple(scale * entry for entry in vector) for vector in self.vectors]
        return Reach([*vectors, self.vector_of(node)], [*self.available, number]), scale

    def instruction_along(self, wanted: Vector, line: Line) -> Node | None:
        """Return an instruction for ``wanted`` or its negative plus any multiple of the line's vector."""
        projected = {number: line.project(self.vectors[number]) for number in self.available}
        goal = line.project(wanted)
        for signed in (goal, tuple(-entry for entry in goal)):
            for node in self._instructions(signed, projected, scaled=False):
                if self._is_gentle(node):
                    return node
        return None

    def vector_of(self, node: Node) -> Vector:
        """Return the vector of a sum of two values at hand, times the denominator of its constant."""
        factor = node.constant or Fraction(1)
        second = -factor.denominator if node.op in (Op.SUB, Op.FMS) else factor.denominator
        pairs = zip(self.vectors[node.args[0]], self.vectors[node.args[1]], strict=True)
        return tuple(factor.numerator * a + second * b for a, b in pairs)

    def _instructions(self, goal: Vector, vectors: dict[int, Vector], *, scaled: bool) -> Iterator[Node]:
        """Yield what makes the goal of the vectors; products alone only if they are asked for."""
        directions: dict[Vector, tuple[int, int]] = {}
        for number, vector in vectors.items():
            if any(vector):
                direction, size = _direction(vector)
                directions.setdefault(direction, (number, size))
        if scaled and any(goal):
            direction, size = _direction(goal)
            if direction in directions:
                number, unit = directions[direction]
                yield _product(Fraction(size, unit), number)
        for number, vector in vectors.items():
            for sign in (1, -1):
                rest = tuple(a - sign * b for a, b in zip(goal, vector, strict=True))
                if not any(rest):
                    continue
                direction, size = _direction(rest)
                if direction in directions:
                    other, unit = directions[direction]
                    node = _sum(Fraction(size, unit), other, sign, number)
                    if node is not None:
                        yield node

    def _is_gentle(self, node: Node) -> bool:
        """Say whether no part of a sum is much larger than the sum."""
        if len(node.args) == 1:
            return True
        factor = node.constant or Fraction(1)
        total = _size(self.vector_of(node))
        first, second = (_size(self.vectors[number]) for number in node.args)
        return max(abs(factor.numerator) * first, factor.denominator * second) <= LARGEST_PART * total


def _added_in_two(
    terms: Sequence[tuple[Fraction, int]], sign: int, value: int, number: int
) -> Iterator[tuple[Node, Node]]:
    """Yield ways to add two terms to a value, both at a time where they have one coefficient, or one by one."""
    (first, u), (second, v) = terms
    if abs(first) == abs(second):
        last = _sum(first, number, sign, value)
        if last is not None:
            yield Node(Op.ADD if first == second else Op.SUB, (u, v)), last
    for (c, a), (d, b) in permutations(terms):
        middle, last = _sum(c, a, sign, value), _sum(d, b, 1, number)
        if middle is not None and last is not None:
            yield middle, last


def _direction(vector: Vector) -> tuple[Vector, int]:
    size = reduce(gcd, vector)
    if next(entry for entry in vector if entry) < 0:
        size = -size
    return tuple(entry // size for entry in vector), size


def _size(vector: Vector) -> int:
    return sum(map(abs, vector))


def _product(factor: Fraction, number: int) -> Node:
    return Node(Op.NEG, (number,)) if factor == -1 else Node(Op.SCALE, (number,), factor)


def _sum(factor: Fraction, first: int, sign: int, second: int) -> Node | None:
    """Return factor * first + sign * second as one instruction, or None."""
    if factor == 1:
        return Node(Op.ADD if sign == 1 else Op.SUB, (first, second))
    if factor == -1:
        return Node(Op.SUB, (second, first)) if sign == 1 else None
    return Node(Op.FMA if sign == 1 else Op.FMS, (first, second), factor)
