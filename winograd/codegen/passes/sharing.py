"""Sharing: a value that takes several instructions of its own is computed in fewer from values that others need anyway.

In: a program, and an `Arithmetic`. Out: one with no more instructions in that arithmetic. Multiples count as the same
value (negations and powers of two among them), and two outputs e + o and e - o share whatever is s e + c o for any c.
No sum is made of parts that are more than `LARGEST_PART` times its own size: what is saved in instructions is not paid
for with cancellation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Final

from winograd.codegen.forms import forms_of
from winograd.codegen.graph import Graph
from winograd.codegen.passes.products import Replacement, with_products
from winograd.codegen.passes.reach import LARGEST_PART, Line, Reach, Vector, vectors_of
from winograd.codegen.passes.repetition import repeated
from winograd.codegen.program import Arithmetic, Node, Op, Program

__all__ = ["LARGEST_PART", "share"]

_MOST_NODES: Final = 200
"""Of larger programs nothing is looked for: it would take seconds."""


@repeated
def share(program: Program, arithmetic: Arithmetic = Arithmetic.FUSED) -> Program | None:
    """Return the program after a replacement that saves instructions: the first with FMA, the best without.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from winograd.codegen.program import Op, ProgramBuilder
    >>> builder = ProgramBuilder(inputs=3)
    >>> first = builder.emit(Op.ADD, builder.emit(Op.ADD, 0, 1), 2)
    >>> second = builder.scaled(Fraction(2), builder.emit(Op.ADD, 1, builder.emit(Op.ADD, 0, 2)))
    >>> builder.build([first, second]).counts.instructions, share(builder.build([first, second])).counts.instructions
    (5, 4)
    """
    if len(program.nodes) > _MOST_NODES:
        return None
    graph, vectors = Graph.of(program), vectors_of(forms_of(program))
    targets = [number for number in range(program.inputs, len(vectors)) if graph.is_kept(number)]
    alone = (_alone(graph, vectors, target, arithmetic) for target in targets)
    together = (_together(graph, vectors, pair, arithmetic) for pair in _mirrored(vectors, targets))
    found = (one for one in chain(alone, together) if one is not None)
    if arithmetic is Arithmetic.FUSED:
        chosen = next(found, None)
    else:
        chosen = max(found, key=lambda one: one.saved, default=None)
    return None if chosen is None else graph.replaced(chosen.nodes)


@dataclass(frozen=True, slots=True)
class _Found:
    """A replacement, and how many instructions it saves."""

    saved: int
    nodes: Replacement


def _alone(graph: Graph, vectors: Sequence[Vector], target: int, arithmetic: Arithmetic) -> _Found | None:
    own = graph.own((target,))
    if len(own) < 2:
        return None
    reach, number = Reach(vectors, graph.available(own)), graph.next_number
    found: Iterator[Replacement] = ({target: node} for node in reach.instructions(vectors[target]))
    if arithmetic is Arithmetic.SEPARATE:
        longer = reach.instructions_in_two(vectors[target], number)
        found = chain(found, ({number: first, target: second} for first, second in longer))
    return _cheapest(found, graph, own, arithmetic)


def _mirrored(vectors: Sequence[Vector], targets: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of values whose coefficients differ in signs only."""
    sizes = {number: tuple(map(abs, vectors[number])) for number in targets}
    return (pair for pair in combinations(targets, 2) if sizes[pair[0]] == sizes[pair[1]])


def _together(graph: Graph, vectors: Sequence[Vector], pair: tuple[int, int], arithmetic: Arithmetic) -> _Found | None:
    """Look for z = s e + c o in one instruction, and both outputs in one from z and a multiple of o; or e for o."""
    own = graph.own(pair)
    if len(own) < 4:
        return None
    return _cheapest(_through_a_middle(graph, vectors, pair, own), graph, own, arithmetic)


def _through_a_middle(
    graph: Graph, vectors: Sequence[Vector], pair: tuple[int, int], own: frozenset[int]
) -> Iterator[Replacement]:
    both = list(zip(vectors[pair[0]], vectors[pair[1]], strict=True))
    even, odd = tuple((a + b) // 2 for a, b in both), tuple((a - b) // 2 for a, b in both)
    reach, number = Reach(vectors, graph.available(own)), graph.next_number
    for wanted, along in ((even, odd), (odd, even)):
        line = Line.of(along)
        middle = reach.instruction_along(wanted, line) if line and any(wanted) else None
        if middle is None:
            continue
        wider, scale = reach.with_value(number, middle)
        found = [wider.instructions(tuple(scale * entry for entry in vectors[target]), number) for target in pair]
        outputs = [next(nodes, None) for nodes in found]
        if None not in outputs:
            yield {number: middle, **dict(zip(pair, outputs, strict=True))}  # type: ignore[arg-type]


def _cheapest(
    candidates: Iterable[Replacement], graph: Graph, own: frozenset[int], arithmetic: Arithmetic
) -> _Found | None:
    """Return the cheapest candidate that takes fewer instructions than the values that it makes needless."""
    most = limit = sum(_instructions(graph.nodes[number], arithmetic) for number in own)
    best: _Found | None = None
    for nodes in candidates:
        written = nodes if arithmetic is Arithmetic.FUSED else with_products(nodes, graph, own)
        cost = sum(_instructions(node, arithmetic) for node in written.values())
        if cost < limit:
            limit, best = cost, _Found(most - cost, written)
        if limit <= 1:
            break  # no candidate has fewer
    return best


def _instructions(node: Node, arithmetic: Arithmetic) -> int:
    return 2 if node.op in (Op.FMA, Op.FMS) and arithmetic is Arithmetic.SEPARATE else node.op is not Op.ZERO
