"""Summation orders: in which order the products of one matrix row are added.

In: a rational row or matrix, and an `Order`. Out: a `Tree` over the positions of the row, and programs that add so.
Zero entries are neither multiplied nor added, but they take part in building the Huffman tree, as its authors have it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from enum import Enum
from fractions import Fraction
from functools import lru_cache

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.codegen.lower import AxisPrograms, lower_axis
from winograd.codegen.program import Op, Program, ProgramBuilder

Tree = int | tuple["Tree", "Tree"]
"""A position in the row, or the sum of two trees."""


class Order(Enum):
    """How the transforms are evaluated."""

    SEQUENTIAL = "sequential"
    """Every row from left to right, every product and every sum rounded."""
    HUFFMAN = "huffman"
    """Every row by a Huffman tree over the sizes of its entries, every product and every sum rounded."""
    LOWERED = "lowered"
    """As the generated code does: the programs of `winograd.codegen.lower.lower_axis`."""


def as_order(value: object) -> Order:
    """Return an `Order` from its name or itself.

    Raises
    ------
    ValueError
        If there is no such order.
    """
    try:
        return Order(value)
    except ValueError:
        allowed = ", ".join(order.value for order in Order)
        raise ValueError(f"order is {value!r}, must be one of {allowed}") from None


def sequential_tree(row: Sequence[Fraction]) -> Tree:
    """Return the tree that adds from left to right.

    Examples
    --------
    >>> sequential_tree([Fraction(1), Fraction(2), Fraction(3)])
    ((0, 1), 2)
    """
    tree: Tree = 0
    for position in range(1, len(row)):
        tree = (tree, position)
    return tree


def huffman_tree(row: Sequence[Fraction]) -> Tree:
    """Return the Huffman tree of a row: the two smallest keys are joined until one tree is left.

    The key of an entry is log2 of its absolute value, -inf for 0; the key of a sum is the sum of its two keys. Of equal
    keys the one inserted last comes first. Here the keys are kept as powers of two, exactly: products instead of sums.

    References
    ----------
    B. Barabasz et al., arXiv 1803.10986, section 5.2.

    Examples
    --------
    >>> huffman_tree([Fraction(4), Fraction(-5), Fraction(1)])
    ((2, 0), 1)
    """
    keys: list[Fraction] = []
    trees: list[Tree] = []

    def insert(key: Fraction, tree: Tree) -> None:
        place = bisect_left(keys, key)
        keys.insert(place, key)
        trees.insert(place, tree)

    for position, entry in enumerate(row):
        insert(abs(entry), position)
    while len(trees) > 1:
        key, joined = keys[0] * keys[1], (trees[0], trees[1])
        del keys[:2], trees[:2]
        insert(key, joined)
    return trees[0]


_TREES: dict[Order, Callable[[Sequence[Fraction]], Tree]] = {
    Order.SEQUENTIAL: sequential_tree,
    Order.HUFFMAN: huffman_tree,
}


def ordered_program(matrix: sympy.ImmutableMatrix, order: Order) -> Program:
    """Return the program of ``matrix @ inputs`` that adds every row in the given order, without fused instructions.

    Raises
    ------
    ValueError
        For `Order.LOWERED`, which is no order of a row.
    NotImplementedError
        If an entry of the matrix is not rational.

    Examples
    --------
    >>> ordered_program(sympy.ImmutableMatrix([[4, 0, -5, 0, 1]]), Order.SEQUENTIAL).counts.instructions
    4
    """
    if order not in _TREES:
        raise ValueError(f"order is {order.value!r}, must be sequential or huffman for a single matrix")
    rows = fraction_rows(matrix)
    builder = ProgramBuilder(inputs=len(rows[0]))
    outputs = [_add(builder, row, _TREES[order](row)) for row in rows]
    return builder.build([builder.emit(Op.ZERO) if value is None else value for value in outputs])


def _add(builder: ProgramBuilder, row: Sequence[Fraction], tree: Tree) -> int | None:
    if isinstance(tree, int):
        return builder.scaled(row[tree], tree) if row[tree] else None
    first, second = (_add(builder, row, part) for part in tree)
    if first is None or second is None:
        return second if first is None else first
    return builder.emit(Op.ADD, first, second)


@lru_cache(maxsize=1024)
def axis_programs(algorithm: BilinearAlgorithm, order: Order) -> AxisPrograms:
    """Return the programs of the three transforms of one axis in the given order."""
    if order is Order.LOWERED:
        return lower_axis(algorithm)
    data, filter_, inverse = (ordered_program(matrix, order) for matrix in (algorithm.bt, algorithm.g, algorithm.at))
    return AxisPrograms(data=data, filter=filter_, inverse=inverse)
