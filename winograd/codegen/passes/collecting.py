"""Collecting: two terms that stand in one ratio in several sums are added once.

In: a program, and an `Arithmetic`. Out: one with no more instructions in that arithmetic.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from typing import Final

from winograd.codegen.passes.factoring import normalised
from winograd.codegen.passes.repetition import repeated
from winograd.codegen.program import Arithmetic, Program
from winograd.codegen.sums import Sum, Sums, program_of, sums_of

_MOST_NODES: Final = 200
"""Of larger programs nothing is looked for: it would take seconds."""

Pair = tuple[int, int, Fraction]
"""Two values and the factor of the second for a factor 1 of the first."""


@repeated
def collect(program: Program, arithmetic: Arithmetic = Arithmetic.FUSED) -> Program | None:
    """Return the program after the collection of two terms that saves most.

    Examples
    --------
    >>> from winograd.codegen.lower import row_by_row
    >>> rows = [(1, 2, 3, 0), (1, 2, 0, 5), (-2, -4, 1, 1)]
    >>> program = row_by_row([tuple(map(Fraction, row)) for row in rows])
    >>> program.counts.unfused, collect(program, Arithmetic.SEPARATE).counts.unfused
    (11, 9)
    """
    if len(program.nodes) > _MOST_NODES:
        return None
    sums = sums_of(program)
    candidates = (_collected(sums, pair, places) for pair, places in _places(sums).items() if len(places) > 1)
    best = min(candidates, key=lambda one: one.cost_under(arithmetic), default=None)
    if best is None:
        return None
    better = program_of(normalised(best, arithmetic), fused=arithmetic is Arithmetic.FUSED)
    return better if better.counts.under(arithmetic) < program.counts.under(arithmetic) else None


def _places(sums: Sums) -> dict[Pair, list[int]]:
    """Return in which sums the terms of two values stand in a ratio, by values and ratio."""
    places: dict[Pair, list[int]] = defaultdict(list)
    for place, terms in enumerate(sums.sums):
        for (c, v), (d, w) in combinations(sorted(terms, key=lambda term: term[1]), 2):
            places[v, w, d / c].append(place)
    return places


def _collected(sums: Sums, pair: Pair, places: Sequence[int]) -> Sums:
    """Return the sums with the pair as one more of them, before the first that has it."""
    first, second, ratio = pair
    number = sums.inputs + places[0]

    def renamed(value: int) -> int:
        return value + (value >= number)

    def rewritten(terms: Sum) -> Sum:
        return tuple((c, number if value == first else renamed(value)) for c, value in terms if value != second)

    found = [
        rewritten(terms) if place in places else tuple((c, renamed(value)) for c, value in terms)
        for place, terms in enumerate(sums.sums)
    ]
    found.insert(places[0], ((Fraction(1), first), (ratio, second)))
    return Sums(sums.inputs, tuple(found), tuple(map(renamed, sums.outputs)))
