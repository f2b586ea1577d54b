"""The rational stage of the search for small kappa: members with cheap numbers near one with real numbers.

In: a family, real knobs, a `Grid` of numbers, and the number of evaluations allowed. Out: the best members met, best
first. The best member whose neighbours are unknown is taken, all members that differ from it in one knob, and as many
random ones that differ in two, are evaluated, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from heapq import heappop, heappush
from math import gcd

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.searching.families import Family, Knob, Role
from winograd.accuracy.searching.kappa_objective import Floats, knob_kappas
from winograd.algebra.points import INFINITY

_CHOICES = 14
"""How many numbers nearest to a real one are tried for it."""


_NEAR = 1.03
"""How far above the least kappa simple members may lie."""

State = tuple[int, ...]
"""For each knob, which of its choices."""


class Grid(Enum):
    """Which rational numbers knobs may be."""

    HEIGHT = "height"
    """Numerator and denominator up to a bound."""
    DYADIC = "dyadic"
    """As those, and the denominator is a power of two."""


@lru_cache(maxsize=64)
def grid_numbers(grid: Grid, height: int) -> tuple[Fraction, ...]:
    """Return the numbers of a grid, ascending, 0 and negative ones included.

    Examples
    --------
    >>> [str(number) for number in grid_numbers(Grid.HEIGHT, 3) if number > 0]
    ['1/3', '1/2', '2/3', '1', '3/2', '2', '3']
    """
    positive = {
        Fraction(p, q)
        for p in range(1, height + 1)
        for q in range(1, height + 1)
        if gcd(p, q) == 1 and (grid is Grid.HEIGHT or q & (q - 1) == 0)
    }
    return tuple(sorted({Fraction(0), *positive, *(-number for number in positive)}))


@dataclass(frozen=True, slots=True)
class Rounded:
    """Members of a family with rational knobs, and their kappas in float64, ascending; what was counted on the way."""

    knobs: list[tuple[Knob, ...]]
    kappas: list[float]
    evaluations: int
    failed: int


def round_member(
    m: int, r: int, family: Family, knobs: Floats, numbers: Sequence[Fraction], *, seed: int, allowed: int, keep: int
) -> Rounded:
    """Return members of small kappa around one with real knobs, at most ``keep``, least kappa first.

    One half of them are those of least kappa, the others the simplest of those within 3 % of the least.

    Examples
    --------
    >>> family = Family(pairs=2, zero=1, infinity=1)
    >>> grid = grid_numbers(Grid.HEIGHT, 8)
    >>> found = round_member(4, 3, family, np.array([0.62, 1.5]), grid, seed=0, allowed=500, keep=1)
    >>> family.recipe(found.knobs[0]).text, round(found.kappas[0], 3)
    ('x,x-2/3,x+2/3,x-3/2,x+3/2,inf filter', 4.762)
    """
    choices = [_nearest(value, role, numbers) for value, role in zip(knobs, family.roles, strict=True)]
    walk = _Walk(m, r, family, choices, allowed)
    walk.expand_all(np.random.default_rng(seed))
    ranked = sorted((value, state) for state, value in walk.seen.items() if np.isfinite(value))
    members = [(value, _chosen(choices, state)) for value, state in ranked if value <= _NEAR * ranked[0][0]]
    best, others = members[: keep - keep // 2], members[keep - keep // 2 :]
    simplest = sorted(others, key=lambda member: _bits(member[1]))[: keep // 2]
    kept = best + sorted(simplest, key=lambda member: member[0])
    return Rounded(
        knobs=[knobs for _, knobs in kept],
        kappas=[value for value, _ in kept],
        evaluations=len(walk.seen),
        failed=len(walk.seen) - len(ranked),
    )


def _chosen(choices: Sequence[Sequence[Knob]], state: State) -> tuple[Knob, ...]:
    return tuple(options[place] for options, place in zip(choices, state, strict=True))


def _bits(knobs: Sequence[Knob]) -> int:
    """Return how many bits the numerators and denominators have together."""
    exact = [knob for knob in knobs if isinstance(knob, Fraction)]
    return sum(knob.numerator.bit_length() + knob.denominator.bit_length() for knob in exact)


def _nearest(value: float, role: Role, numbers: Sequence[Fraction]) -> list[Knob]:
    """Return the numbers nearest to a real one on the projective line, the nearest first."""
    positive = role in (Role.MAGNITUDE, Role.CONSTANT)
    allowed: list[Knob] = [number for number in numbers if number > 0 or not positive]
    if role is Role.INNER_POINT:
        allowed.append(INFINITY)
    apart = np.abs(np.arctan([_as_float(number) for number in allowed]) - np.arctan(value))
    order = np.argsort(np.minimum(apart, np.pi - apart), kind="stable")
    return [allowed[place] for place in order[:_CHOICES]]


def _as_float(knob: Knob) -> float:
    return float(knob) if isinstance(knob, Fraction) else np.inf


class _Walk:
    """Best-first walk over the choices."""

    def __init__(self, m: int, r: int, family: Family, choices: list[list[Knob]], allowed: int) -> None:
        self.sizes, self.family, self.allowed = (m, r), family, allowed
        self.counts = np.array([len(options) for options in choices], dtype=np.int64)
        self.values = np.zeros((len(choices), max(self.counts, default=1)))
        for row, options in enumerate(choices):
            self.values[row, : len(options)] = [_as_float(option) for option in options]
        self.seen: dict[State, float] = {}
        self.waiting: list[tuple[float, State]] = []

    def expand_all(self, rng: np.random.Generator) -> None:
        self._evaluate(np.zeros((1, len(self.counts)), dtype=np.int64))
        singles = [(knob, choice) for knob, count in enumerate(self.counts) for choice in range(count)]
        changes = np.array(singles, dtype=np.int64).reshape(-1, 2)
        while self.waiting and len(self.seen) < self.allowed:
            state = np.array(heappop(self.waiting)[1], dtype=np.int64)
            self._evaluate(self._neighbours(state, changes, rng))

    def _neighbours(
        self, state: NDArray[np.int64], changes: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        rows = np.tile(state, (2 * len(changes), 1))
        each = np.arange(len(changes))
        rows[each, changes[:, 0]] = changes[:, 1]
        for half in (changes, changes[rng.permutation(len(changes))]):
            rows[len(changes) + each, half[:, 0]] = half[:, 1]
        return rows

    def _evaluate(self, rows: NDArray[np.int64]) -> None:
        fresh = [state for state in dict.fromkeys(map(tuple, rows.tolist())) if state not in self.seen]
        fresh = fresh[: self.allowed - len(self.seen)]
        if not fresh:
            return
        knobs = self.values[np.arange(len(self.counts)), np.array(fresh, dtype=np.int64)]
        for state, value in zip(fresh, knob_kappas(*self.sizes, self.family, knobs).tolist(), strict=True):
            self.seen[state] = value
            if np.isfinite(value):
                heappush(self.waiting, (value, state))
