"""Trees of additions: Huffman's tree of weighted terms, and the instructions that add it up.

In: the terms of a sum with their weights. Out: a tree, and the value of its sum in a program that is being built.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from winograd.codegen.program import Op, ProgramBuilder


@dataclass(frozen=True, slots=True)
class Leaf:
    """A term: a coefficient, the number of the value that it multiplies, and a weight."""

    coefficient: Fraction
    value: int
    weight: Fraction

    @property
    def carried(self) -> Fraction:
        """What additions carry for a term alone: nothing."""
        return Fraction(0)


@dataclass(frozen=True, slots=True)
class Join:
    """The sum of two trees; its weight is that of all terms, and it carries that and what its parts carry."""

    first: Tree
    second: Tree
    weight: Fraction
    carried: Fraction

    @classmethod
    def of(cls, first: Tree, second: Tree) -> Join:
        """Return the sum of two trees."""
        weight = first.weight + second.weight
        return cls(first, second, weight, weight + first.carried + second.carried)


Tree = Leaf | Join


def huffman_tree(leaves: Sequence[Leaf], *, fused: bool) -> Join | None:
    """Return the tree that joins the two lightest trees until one is left; None for fewer than two terms.

    Parameters
    ----------
    leaves : sequence of Leaf
    fused : bool
        Whether two products may not be joined, except for the first join of a sum of products only.

    Examples
    --------
    >>> leaves = [Leaf(Fraction(size), value, Fraction(size)) for value, size in enumerate((1, 5, 3))]
    >>> tree = huffman_tree(leaves, fused=False)
    >>> tree.first.second.value, tree.second.value, tree.carried
    (2, 1, Fraction(13, 1))
    """
    if len(leaves) < 2:
        return None
    trees: list[Tree] = sorted(leaves, key=_weight)
    joined = _join(trees, 1) if not fused or all(map(_is_product, trees)) else _join(trees, _partner(trees))
    while trees:
        insort(trees, joined, key=_weight)
        joined = _join(trees, _partner(trees) if fused else 1)
    return joined


def add_up(builder: ProgramBuilder, tree: Join, values: Sequence[int], *, fused: bool) -> int:
    """Return the value of a tree whose terms multiply the given values.

    What is subtracted in the end is added up with its sign turned, so only a sum of values that are all subtracted
    takes a negation.
    """
    return _Adding(builder, values, fused).total(tree)


class _Adding:
    """Adds up a tree; a sum so far is a value and the sign that it is to have."""

    def __init__(self, builder: ProgramBuilder, values: Sequence[int], fused: bool) -> None:
        self._builder = builder
        self._values = values
        self._fused = fused

    def total(self, tree: Join) -> int:
        leaves = list(_leaves(tree))
        turned = None
        if not self._fused and all(leaf.coefficient < 0 for leaf in leaves):
            turned = next(filter(_is_product, leaves), None)
        sign, value = self._joined(tree, turned)
        return value if sign == 1 else self._builder.emit(Op.NEG, value)

    def _joined(self, tree: Join, turned: Leaf | None) -> tuple[int, int]:
        for leaf, rest in ((tree.first, tree.second), (tree.second, tree.first)):
            if self._fused and isinstance(leaf, Leaf) and _is_product(leaf):
                return 1, self._fused_sum(leaf, rest)
        (sign, a), (other, b) = (self._part(part, turned) for part in (tree.first, tree.second))
        if sign == other:
            return sign, self._builder.emit(Op.ADD, a, b)
        return 1, self._builder.emit(Op.SUB, *((a, b) if sign == 1 else (b, a)))

    def _part(self, tree: Tree, turned: Leaf | None) -> tuple[int, int]:
        if isinstance(tree, Join):
            return self._joined(tree, turned)
        factor, value = tree.coefficient, self._values[tree.value]
        if tree is turned:
            return 1, self._builder.scaled(factor, value)
        return (1 if factor > 0 else -1), self._builder.scaled(abs(factor), value)

    def _fused_sum(self, leaf: Leaf, other: Tree) -> int:
        value = self._values[leaf.value]
        if isinstance(other, Leaf) and _is_product(other):
            total = self._builder.scaled(other.coefficient, self._values[other.value])
            return self._builder.accumulated(total, leaf.coefficient, value)
        sign, total = self._part(other, None)
        return self._builder.emit(Op.FMA if sign == 1 else Op.FMS, value, total, constant=leaf.coefficient)


def _leaves(tree: Tree) -> Iterator[Leaf]:
    if isinstance(tree, Leaf):
        yield tree
    else:
        yield from _leaves(tree.first)
        yield from _leaves(tree.second)


def _is_product(tree: Tree) -> bool:
    return isinstance(tree, Leaf) and abs(tree.coefficient) != 1


def _partner(trees: Sequence[Tree]) -> int:
    """Return the place of the lightest tree that the first may be joined with when fused multiply-add is used."""
    return next(
        place for place, tree in enumerate(trees) if place > 0 and not (_is_product(trees[0]) and _is_product(tree))
    )


def _join(trees: list[Tree], partner: int) -> Join:
    """Take the first tree and its partner off the list, and return their sum."""
    second = trees.pop(partner)
    return Join.of(trees.pop(0), second)


def _weight(tree: Tree) -> Fraction:
    return tree.weight
