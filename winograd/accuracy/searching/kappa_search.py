"""The search for algorithms of one axis with the least kappa: continuous descents, then rounding to cheap numbers.

In: sizes, a number of products, the largest numerator or denominator, a budget of evaluations, a seed. Out: units of
work that are independent of each other, what each finds, and the best of all. Units are of JSON's types, and what one
finds depends on nothing but the unit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, zip_longest
from typing import Any, Final, overload

import numpy as np

from winograd.accuracy.arguments import checked_integer
from winograd.accuracy.recipe import Recipe
from winograd.accuracy.searching.descent import descend
from winograd.accuracy.searching.families import Family, families
from winograd.accuracy.searching.rounding_search import Grid, Rounded, grid_numbers, round_member
from winograd.algebra.bilinear import checked_size, checked_sizes
from winograd.algebra.growth import kappa

UNIT_EVALUATIONS: Final = 8_000
"""Evaluations of kappa that one unit is given where the budget allows."""

MOST_HEIGHT: Final = 256
"""Largest height: a grid has nearly as many numbers as its square."""

_LEAST_EVALUATIONS: Final = 6_000
"""Fewer units rather than fewer evaluations for each: descents need some thousands to arrive."""

_KEPT: Final = 24
"""How many recipes a unit returns of each grid."""

_NEAR: Final = 1.05
"""How far above the least kappa the best of other families and grids are of interest."""

_SPLIT: Final = 2
"""The descent of a unit takes at most one part of so many of its evaluations."""

_FULL_SHARE: Final = 3
"""Evaluations on the grid of full height, for one on each of the others."""

KappaUnit = dict[str, Any]
"""One family from one start, of JSON's types."""


@dataclass(frozen=True, slots=True)
class KappaUnits(Sequence[KappaUnit]):
    """Units of work that are made when they are asked for: every family, then every family from another start.

    Parameters
    ----------
    m, r : int
    families : tuple of Family
    height, seed : int
    allowed : int
        Evaluations of each unit.
    size : int
        How many units there are.
    """

    m: int
    r: int
    families: tuple[Family, ...]
    height: int
    seed: int
    allowed: int
    size: int

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, place: int) -> KappaUnit: ...

    @overload
    def __getitem__(self, place: slice) -> list[KappaUnit]: ...

    def __getitem__(self, place: int | slice) -> KappaUnit | list[KappaUnit]:
        numbers = range(self.size)[place]
        return self._unit(numbers) if isinstance(numbers, int) else list(map(self._unit, numbers))

    def _unit(self, number: int) -> KappaUnit:
        start, place = divmod(number, len(self.families))
        family = asdict(self.families[place])
        where = {"m": self.m, "r": self.r, "family": family, "height": self.height}
        return {**where, "seed": [self.seed, start, place], "allowed": self.allowed}


def kappa_units(
    m: int, r: int, rank: int | None = None, *, max_height: int = 20, budget: int = 300_000, seed: int = 0
) -> KappaUnits:
    """Return units of work: every family, then every family from other starts; each is rounded to every grid.

    Their evaluations add up to at most ``budget``; there are none where no family has so many products.

    Raises
    ------
    TypeError, ValueError
        For sizes, a rank or a height that is no integer of at least 1, a height above `MOST_HEIGHT`, or a tile that is
        too large.

    Examples
    --------
    >>> units = kappa_units(4, 3, 7, budget=100_000)
    >>> sum(unit["allowed"] for unit in units) <= 100_000
    True
    >>> len(kappa_units(4, 3, 5)), len(kappa_units(4, 3, 7, budget=0))
    (0, 0)
    """
    m, r = checked_sizes(m, r)
    listed = families(m, r, m + r - 1 if rank is None else checked_size("rank", rank))
    height = checked_height(max_height)
    if not listed or budget < 1:
        return KappaUnits(m, r, listed, height, seed, 0, 0)
    allowed = min(UNIT_EVALUATIONS, max(budget // len(listed), min(_LEAST_EVALUATIONS, budget)))
    return KappaUnits(m, r, listed, height, seed, allowed, min(budget // allowed, sys.maxsize))


def checked_height(value: object) -> int:
    """Return the largest numerator or denominator that is allowed.

    Raises
    ------
    TypeError, ValueError
        If it is no integer from 1 to `MOST_HEIGHT`.

    Examples
    --------
    >>> checked_height(4000)
    Traceback (most recent call last):
    ...
    ValueError: max_height is 4000, must be 1 to 256
    """
    height = checked_integer("max_height", value, 1)
    if height > MOST_HEIGHT:
        raise ValueError(f"max_height is {height}, must be 1 to {MOST_HEIGHT}")
    return height


def run_kappa_unit(unit: KappaUnit) -> dict[str, Any]:
    """Return what one unit of `kappa_units` finds: evaluations, failed, reasons, and found: recipe texts with kappas.

    Of the recipes the best on each grid are first, then the second on each, and so on.

    Examples
    --------
    >>> result = run_kappa_unit(kappa_units(4, 3, 6, budget=20_000)[0])
    >>> result["found"][0][1] < 4.75
    True
    """
    m, r, family, grids = unit["m"], unit["r"], Family(**unit["family"]), _grids(unit["height"])
    seed, *place = unit["seed"]
    first, *seeds = np.random.SeedSequence(seed, spawn_key=place).spawn(1 + len(grids))
    real = descend(m, r, family, first, unit["allowed"] // _SPLIT)
    if real.knobs is None:
        reason = f"descent in {family} meets no finite kappa"
        return {"evaluations": real.evaluations, "failed": real.evaluations, "reasons": [reason], "found": []}
    left, shares, rounded = unit["allowed"] - real.evaluations, [_FULL_SHARE] + [1] * (len(grids) - 1), []
    for number in reversed(range(len(grids))):  # what the smaller grids leave is for the grid of full height
        some = left * shares[number] // sum(shares[: number + 1])
        numbers = grid_numbers(*grids[number])
        rounded.append(round_member(m, r, family, real.knobs, numbers, seed=seeds[number], allowed=some, keep=_KEPT))
        left -= rounded[-1].evaluations
    return _result(family, real.evaluations, rounded[::-1])


def _grids(height: int) -> list[tuple[Grid, int]]:
    """Return the grids that numbers are rounded to, the one of full height first."""
    heights = dict.fromkeys(one for one in (height, height // 2, height // 4) if one >= 1)
    return [(Grid.HEIGHT, one) for one in heights] + [(Grid.DYADIC, height)]


def _result(family: Family, evaluations: int, rounded: Sequence[Rounded]) -> dict[str, Any]:
    """Return what a unit finds, as JSON values; a member that makes no recipe is dropped alone."""
    found: dict[str, float] = {}
    reasons = {"kappa is not finite" for one in rounded if one.failed}
    failed = sum(one.failed for one in rounded)
    pairs = zip_longest(*(zip(one.knobs, one.kappas, strict=True) for one in rounded))
    for knobs, value in filter(None, chain.from_iterable(pairs)):
        try:
            found.setdefault(family.recipe(knobs).text, value)
        except ValueError as error:  # equal points, which rounding gave a finite kappa
            failed += 1
            reasons.add(str(error))
    return {
        "evaluations": evaluations + sum(one.evaluations for one in rounded),
        "failed": failed,
        "reasons": sorted(reasons),
        "found": [list(pair) for pair in found.items()],
    }


def minimise_kappa(
    m: int,
    r: int,
    rank: int | None = None,
    *,
    budget: int = 300_000,
    max_height: int = 20,
    seed: int = 0,
    keep: int = 16,
) -> list[tuple[Recipe, float]]:
    """Return recipes of F(m, r) of small kappa that a search meets, the least first, each with its exact kappa.

    The very best is among them; the others are the best of other families and of simpler numbers, within 5 % of it.

    Parameters
    ----------
    m, r : int
        Outputs and taps.
    rank : int, optional
        Number of products; the least, m + r - 1, if None.
    budget : int
        Evaluations of kappa.
    max_height : int
        Largest numerator or denominator.
    seed : int
        Of the starts.
    keep : int
        How many to return at most.

    Examples
    --------
    >>> recipe, value = minimise_kappa(4, 3, 7, budget=100_000, keep=1)[0]
    >>> recipe.rank(4, 3), value < 1.38
    (7, True)
    """
    units = kappa_units(m, r, rank, max_height=max_height, budget=budget, seed=seed)
    results = [run_kappa_unit(unit)["found"] for unit in units]
    exact = [(recipe, float(kappa(recipe.build(m, r)))) for recipe in map(Recipe.parse, _varied(results, keep))]
    return sorted(exact, key=lambda pair: (pair[1], pair[0].text))


def _varied(results: Iterable[list[list[Any]]], keep: int) -> list[str]:
    """Return the best of every unit, then the second of every unit and so on, without those far above the least."""
    found = [(place, value, text) for result in results for place, (text, value) in enumerate(result)]
    least = min((value for _, value, _ in found), default=0.0)
    near = sorted(one for one in found if one[1] <= _NEAR * least)
    return list(dict.fromkeys(text for _, _, text in near))[:keep]
