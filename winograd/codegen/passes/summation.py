"""Summation: in which order the terms of a sum are added, where nobody reads the parts and it costs nothing.

In: a program. Out: one with no more instructions that adds the same terms in other trees. A term has a weight, and an
addition carries the weights of all terms below it; the trees are Huffman's, which carry little in total. Products that
a fused multiply-add takes in for nothing do not meet each other, which would cost an instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from winograd.codegen.forms import forms_of
from winograd.codegen.passes.repetition import repeated
from winograd.codegen.passes.trees import Join, Leaf, add_up, huffman_tree
from winograd.codegen.program import Program, ProgramBuilder
from winograd.codegen.sums import Sum, Term, is_fused, terms_of


class SumOrder(StrEnum):
    """In which order the terms of a sum are added where a pass is free to choose."""

    SEQUENTIAL = "sequential"
    """From left to right, as the other passes leave them."""
    BALANCED = "balanced"
    """In chains as short as can be."""
    HUFFMAN = "huffman"
    """Small terms first: by the squares of their coefficients."""


Weigh = Callable[[Program], Callable[[Term], Fraction]]
"""Returns what the terms of a program's sums weigh."""


@repeated
def balance(program: Program) -> Program | None:
    """Return the program with sums added in short chains: every term weighs the same.

    Examples
    --------
    >>> builder = ProgramBuilder(inputs=4)
    >>> program = builder.build([builder.combination([(Fraction(1), place) for place in range(4)])])
    >>> carried(program, one_each), carried(balance(program), one_each)
    (Fraction(9, 1), Fraction(8, 1))
    """
    return _ordered(program, one_each)


@repeated
def add_small_first(program: Program) -> Program | None:
    """Return the program with small terms added first, which lowers what independent inputs let rounding errors be.

    A term weighs its square for inputs of variance 1; so an addition carries the variance of its sum if its terms are
    independent, and rounds in proportion to its root.

    Examples
    --------
    >>> builder = ProgramBuilder(inputs=3)
    >>> program = builder.build([builder.combination([(Fraction(1), 0), (Fraction(5), 1), (Fraction(1, 2), 2)])])
    >>> carried(program, squares), carried(add_small_first(program), squares)
    (Fraction(209, 4), Fraction(55, 2))
    """
    return _ordered(program, squares)


def one_each(_program: Program) -> Callable[[Term], Fraction]:
    """Return a weight of 1 for every term."""
    return lambda _: Fraction(1)


def squares(program: Program) -> Callable[[Term], Fraction]:
    """Return the variance of every term for independent inputs of variance 1."""
    variances = [sum((entry * entry for entry in form), Fraction(0)) for form in forms_of(program)]
    return lambda term: term[0] * term[0] * variances[term[1]]


def carried(program: Program, weigh: Weigh) -> Fraction:
    """Return what all additions of the sums carry."""
    return sum((one.carried for one in _sums(program, weigh(program)).values()), Fraction(0))


@dataclass(frozen=True, slots=True)
class _Sum:
    terms: Sum
    carried: Fraction


def _ordered(program: Program, weigh: Weigh) -> Program | None:
    """Return the program with better trees for all sums where they are better, or for one, if that costs nothing."""
    weight = weigh(program)
    better: dict[int, Join] = {}
    for number, one in _sums(program, weight).items():
        leaves = [Leaf(*term, weight(term)) for term in one.terms]
        tree = huffman_tree(leaves, fused=is_fused(program))
        if tree is not None and tree.carried < one.carried:
            better[number] = tree
    choices = [better, *({number: tree} for number, tree in better.items())] if better else []
    written = (_written(program, trees) for trees in choices)
    return next((found for found in written if _is_better(found, program, weigh)), None)


def _is_better(found: Program, program: Program, weigh: Weigh) -> bool:
    return (
        found.counts.instructions <= program.counts.instructions
        and found.counts.unfused <= program.counts.unfused
        and carried(found, weigh) < carried(program, weigh)
    )


def _sums(program: Program, weight: Callable[[Term], Fraction]) -> dict[int, _Sum]:
    """Return the sums by number, with what their additions carry, those of parts that nobody else reads included."""
    everything: dict[int, _Sum] = {}
    found = terms_of(program)
    for number, node in enumerate(program.nodes, start=program.inputs):
        terms, _ = found[number]
        parts = [everything[argument].carried for argument in node.args if argument in found and not found[argument][1]]
        own = sum(map(weight, terms), Fraction(0)) if len(node.args) == 2 else Fraction(0)
        everything[number] = _Sum(terms, sum(parts, own))
    return {number: one for number, one in everything.items() if found[number][1]}


def _written(program: Program, trees: Mapping[int, Join]) -> Program:
    builder, values = ProgramBuilder(program.inputs), list(range(program.inputs))
    for number, node in enumerate(program.nodes, start=program.inputs):
        if number in trees:
            values.append(add_up(builder, trees[number], values, fused=is_fused(program)))
        else:
            values.append(builder.emit(node.op, *(values[argument] for argument in node.args), constant=node.constant))
    return builder.build([values[output] for output in program.outputs])
