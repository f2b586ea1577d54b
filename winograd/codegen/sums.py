"""`Sums`: a program as sums of scaled values, with nothing said yet about the order of additions or about fusion.

In: a `Program`. Out: the sums that it computes, and a program again. Passes that rearrange terms work on these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from winograd.codegen.forms import factors, product
from winograd.codegen.program import Arithmetic, Op, Program, ProgramBuilder

Term = tuple[Fraction, int]
"""A coefficient, which is not 0, and the number of the value that it multiplies."""

Sum = tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Sums:
    """Values numbered as in a `Program`: inputs first, then one per sum. An empty sum is zero.

    Parameters
    ----------
    inputs : int
    sums : tuple of Sum
        Each over inputs and earlier sums.
    outputs : tuple of int
        Numbers of the values that are returned.
    """

    inputs: int
    sums: tuple[Sum, ...]
    outputs: tuple[int, ...]

    @property
    def cost(self) -> tuple[int, int]:
        """Instructions with and without fused multiply-add."""
        read = {value for terms in self.sums for _, value in terms}.union(self.outputs)
        needed = [terms for number, terms in enumerate(self.sums, start=self.inputs) if number in read and terms]
        additions = sum(len(terms) - 1 for terms in needed)
        begun = {_first_product(terms) for terms in needed} - {None}
        products = {(abs(factor), value) for terms in needed for factor, value in terms if abs(factor) != 1}
        negations = sum(all(factor == -1 for factor, _ in terms) for terms in needed)
        return additions + len(begun) + negations, additions + len(products) + negations

    def cost_under(self, arithmetic: Arithmetic) -> tuple[int, int]:
        """Return the cost with what counts first: instructions of this arithmetic, then those of the other."""
        fused, separate = self.cost
        return (fused, separate) if arithmetic is Arithmetic.FUSED else (separate, fused)


def sums_of(program: Program) -> Sums:
    """Return the sums of a program: chains of additions whose parts nobody else reads become one sum.

    A product belongs to every sum that reads it.

    Examples
    --------
    >>> builder = ProgramBuilder(inputs=3)
    >>> total = builder.accumulated(builder.scaled(Fraction(2), 0), Fraction(3), 1)
    >>> sums_of(builder.build([builder.emit(Op.SUB, total, 2)])).sums
    (((Fraction(2, 1), 0), (Fraction(3, 1), 1), (Fraction(-1, 1), 2)),)
    """
    kept = {number: number for number in range(program.inputs)}
    sums: list[Sum] = []
    for number, (terms, is_kept) in terms_of(program).items():
        if is_kept:
            kept[number] = program.inputs + len(sums)
            sums.append(tuple((factor, kept[value]) for factor, value in terms))
    return Sums(program.inputs, tuple(sums), tuple(kept[output] for output in program.outputs))


def terms_of(program: Program) -> dict[int, tuple[Sum, bool]]:
    """Return what every node adds up, over inputs and values that are sums, and whether it is such a value itself.

    A value that one reader adds to others, and a product, is not: its terms are its reader's.
    """
    readers = Counter(argument for node in program.nodes for argument in node.args)
    readers.update(program.outputs)
    reading = _factors_of_readers(program)
    found: dict[int, tuple[Sum, bool]] = {}

    def is_kept(number: int) -> bool:
        return number < program.inputs or found[number][1]

    for number, node in enumerate(program.nodes, start=program.inputs):
        added = sorted(factors(node), key=lambda term: is_kept(term[1]))  # what was added up first stays first
        parts = [[term] if is_kept(term[1]) else _multiplied(term[0], found[term[1]][0]) for term in added]
        terms = merged([term for part in parts for term in part])
        alone = readers[number] == 1 and abs(reading.get(number, 0)) == 1
        found[number] = terms, number in program.outputs or not (alone or len(terms) == 1)
    return found


def program_of(sums: Sums, *, fused: bool) -> Program:
    """Return a program of the sums, every sum from left to right, but begun with a term of coefficient 1 if possible.

    Parameters
    ----------
    sums : Sums
    fused : bool
        Whether a product and the addition that follows it become one instruction.
    """
    builder = ProgramBuilder(sums.inputs)
    values = list(range(sums.inputs))
    for terms in sums.sums:
        named = [(coefficient, values[value]) for coefficient, value in terms]
        values.append(builder.combination(named) if fused else _separately(builder, named))
    return builder.build([values[output] for output in sums.outputs])


def instructions_when_fused(program: Program) -> int:
    """Return the instructions of the program, or of its sums with fused multiply-add where those are fewer."""
    return min(program.counts.instructions, program_of(sums_of(program), fused=True).counts.instructions)


def cost_under(program: Program, arithmetic: Arithmetic) -> tuple[int, int]:
    """Return the instructions that a program comes down to in this arithmetic, then those in the other."""
    fused, separate = instructions_when_fused(program), program.counts.unfused
    return (fused, separate) if arithmetic is Arithmetic.FUSED else (separate, fused)


def is_fused(program: Program) -> bool:
    """Say whether the program has fused instructions."""
    return program.counts.fused > 0


def _factors_of_readers(program: Program) -> dict[int, Fraction]:
    return {argument: factor for node in program.nodes for factor, argument in factors(node)}


def _multiplied(factor: Fraction, terms: Sum) -> list[Term]:
    return [(product(factor, coefficient), value) for coefficient, value in terms]


def merged(terms: Sequence[Term]) -> Sum:
    """Add up the coefficients of equal values, in the order in which they come first."""
    totals: dict[int, Fraction] = {}
    for coefficient, value in terms:
        totals[value] = totals[value] + coefficient if value in totals else coefficient
    return tuple((coefficient, value) for value, coefficient in totals.items() if coefficient)


def _first_product(terms: Sum) -> Term | None:
    """Return the product that a fused sum begins with, None where it begins with a value as it is."""
    return None if any(abs(factor) == 1 for factor, _ in terms) else terms[0]


def _separately(builder: ProgramBuilder, terms: Sequence[Term]) -> int:
    """Add up products that are computed by themselves; a negative coefficient becomes a subtraction."""
    if not terms:
        return builder.emit(Op.ZERO)
    first = next((term for term in terms if term[0] == 1), None) or next((t for t in terms if t[0] != -1), None)
    if first is None:  # all of them are -1
        first = terms[0]
        total = first[1]
        for _, value in terms[1:]:
            total = builder.emit(Op.ADD, total, value)
        return builder.emit(Op.NEG, total)
    total = builder.scaled(*first)
    for term in terms:
        if term is not first:
            op = Op.SUB if term[0] < 0 else Op.ADD
            total = builder.emit(op, total, builder.scaled(abs(term[0]), term[1]))
    return total
