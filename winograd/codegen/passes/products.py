"""Products: fused instructions written as a multiplication and an addition, with products that are there already.

In: new instructions for some values of a program. Out: the same without fused ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import count

from winograd.codegen.graph import Graph
from winograd.codegen.program import Node, Op

Replacement = Mapping[int, Node]
"""Nodes by number: some values computed otherwise, and new values under numbers that no other value has."""


def with_products(nodes: Replacement, graph: Graph, own: frozenset[int]) -> Replacement:
    """Return a replacement without fused instructions; it may read products of the program that are not its own.

    Examples
    --------
    >>> from winograd.codegen.program import Program
    >>> program = Program(inputs=2, nodes=(Node(Op.FMA, (0, 1), Fraction(-3)),), outputs=(2,))
    >>> found = with_products({2: program.nodes[0]}, Graph.of(program), frozenset({2}))
    >>> [(number, node.op.name, node.args) for number, node in found.items()]
    [(3, 'SCALE', (0,)), (2, 'SUB', (1, 3))]
    """
    products = _products(graph, own)
    written: dict[int, Node] = {}
    unused = count(max(graph.next_number, *(number + 1 for number in nodes)))
    for number, node in nodes.items():
        if node.constant is None or len(node.args) == 1:
            written[number] = node
            continue
        (first, second), constant = node.args, node.constant
        subtracted = node.op is Op.FMA and (constant, first) not in products
        subtracted &= constant < 0 or (-constant, first) in products
        key = (-constant if subtracted else constant, first)
        if key not in products:
            products[key] = next(unused)
            written[products[key]] = Node(Op.SCALE, (first,), key[0])
        pair = (second, products[key]) if subtracted else (products[key], second)
        written[number] = Node(Op.ADD if node.op is Op.FMA and not subtracted else Op.SUB, pair)
    return written


def _products(graph: Graph, own: frozenset[int]) -> dict[tuple[Fraction, int], int]:
    """Return the products that a replacement may read, by factor and value."""
    free = graph.available(own)
    nodes = [(number, graph.nodes[number]) for number in free if number in graph.nodes]
    return {(node.constant, node.args[0]): number for number, node in nodes if node.constant and node.op is Op.SCALE}
