"""The search for algorithms of one axis with the least kappa: continuous descents, then rounding to cheap numbers.

In: sizes, a number of products, the largest numerator or denominator, a budget of evaluations, a seed. Out: units of
work that are independent of each other, what each finds, and the best of all. Units are of JSON's types, and what one
finds depends on nothing but the unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from itertools import count, islice
from typing import Any, Final

from winograd.accuracy.recipe import Recipe
from winograd.accuracy.searching.descent import descend
from winograd.accuracy.searching.families import Family, families
from winograd.accuracy.searching.rounding_search import Grid, grid_numbers, round_member
from winograd.algebra.bilinear import checked_size, checked_sizes
from winograd.algebra.growth import kappa

UNIT_EVALUATIONS: Final = 12_000
"""Evaluations of kappa that one unit is given where the budget allows."""

_LEAST_EVALUATIONS: Final = 6_000
"""Fewer units rather than fewer evaluations for each: descents need some thousands to arrive."""

_KEPT: Final = 36
"""How many recipes a unit returns."""

_NEAR: Final = 1.05
"""How far above the least kappa the best of other families and grids are of interest."""

_SPLIT: Final = 3
"""The descent of a unit takes at most one part of so many of its evaluations."""


def kappa_units(
    m: int, r: int, rank: int | None = None, *, max_height: int = 20, budget: int = 300_000, seed: int = 0
) -> list[dict[str, Any]]:
    """Return units of work: every family with every grid of numbers, then again from other starts.

    Their evaluations add up to at most ``budget``; none where no family has so many products.

    Raises
    ------
    TypeError, ValueError
        For sizes, a rank or a height that is no integer of at least 1, or a tile that is too large.

    Examples
    --------
    >>> units = kappa_units(4, 3, 7, budget=100_000)
    >>> sum(unit["allowed"] for unit in units) <= 100_000
    True
    >>> kappa_units(4, 3, 5), kappa_units(4, 3, 7, budget=0)
    ([], [])
    """
    m, r = checked_sizes(m, r)
    listed = families(m, r, m + r - 1 if rank is None else checked_size("rank", rank))
    grids = _grids(checked_size("max_height", max_height))
    first = len(listed) * len(grids)
    if not first or budget < 1:
        return []
    allowed = min(UNIT_EVALUATIONS, max(budget // first, min(_LEAST_EVALUATIONS, budget)))
    endless = (
        {"m": m, "r": r, "family": asdict(family), "grid": grid.value, "height": height, "seed": seed + start}
        for start in count()
        for grid, height in grids
        for family in listed
    )
    return [{**unit, "allowed": allowed} for unit in islice(endless, budget // allowed)]


def _grids(max_height: int) -> list[tuple[Grid, int]]:
    heights = dict.fromkeys(height for height in (max_height, max_height // 2, max_height // 4) if height >= 1)
    return [(Grid.HEIGHT, height) for height in heights] + [(Grid.DYADIC, max_height)]


def run_kappa_unit(unit: dict[str, Any]) -> dict[str, Any]:
    """Return what one unit of `kappa_units` finds: evaluations, failed, reasons, and found: recipe texts with kappas.

    Examples
    --------
    >>> result = run_kappa_unit(kappa_units(4, 3, 6, budget=20_000)[0])
    >>> result["found"][0][1] < 4.75
    True
    """
    m, r, family = unit["m"], unit["r"], Family(**unit["family"])
    real = descend(m, r, family, unit["seed"], unit["allowed"] // _SPLIT)
    if real.knobs is None:
        reason = f"descent in {family} meets no finite kappa"
        return {"evaluations": real.evaluations, "failed": real.evaluations, "reasons": [reason], "found": []}
    rounded = round_member(
        m,
        r,
        family,
        real.knobs,
        grid_numbers(Grid(unit["grid"]), unit["height"]),
        seed=unit["seed"],
        allowed=unit["allowed"] - real.evaluations,
        keep=_KEPT,
    )
    pairs = zip(rounded.knobs, rounded.kappas, strict=True)
    return {
        "evaluations": real.evaluations + rounded.evaluations,
        "failed": rounded.failed,
        "reasons": ["kappa is not finite"] if rounded.failed else [],
        "found": [[family.recipe(knobs).text, value] for knobs, value in pairs],
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
