"""Which candidates a stage of the search hands to the next: the best, and some of every shape.

In: recipes with figures. Out: the chosen recipes, best first; of equal figures the text decides, so that the choice
does not depend on the order in which results came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from winograd.accuracy.recipe import Recipe, Scaling
from winograd.algebra.points import INFINITY

BEST: Final = 400
"""Recipes of least kappa whose error is predicted, with every scaling."""

BEST_OF_A_SHAPE: Final = 150
"""Recipes of least kappa of each shape, likewise: what is best in one experiment may be far from the least kappa."""

Shape = tuple[bool, bool, tuple[str, ...]]
"""Whether 0 and infinity are points, and the moduli that are no points, with their products."""

Identity = tuple[frozenset[tuple[str, str]], Scaling]
"""Moduli with their products in no order, and the scaling."""


def best_by_kappa(kappas: Mapping[str, float]) -> list[str]:
    """Return the recipes whose error is worth predicting.

    Examples
    --------
    >>> best_by_kappa({"x,x-1,inf filter": 2.0, "x,x+1,inf filter": 1.0})
    ['x,x+1,inf filter', 'x,x-1,inf filter']
    """
    seen: Counter[Shape] = Counter()
    chosen: dict[Identity, str] = {}
    for text in ordered(kappas):
        recipe = Recipe.parse(text)
        same, shape = identity(text), _shape(recipe)
        if same not in chosen and (len(chosen) < BEST or seen[shape] < BEST_OF_A_SHAPE):
            seen[shape] += 1
            chosen[same] = text
    return list(chosen.values())


def best_and_simple(predicted: Mapping[str, float]) -> list[str]:
    """Return the recipes of least predicted error and those of the shortest text, in turn: simple numbers cost less.

    Examples
    --------
    >>> best_and_simple({"x,x-5/8,inf filter": 1.0, "x,x-3/8,inf filter": 2.0, "x,x-1,inf filter": 3.0})
    ['x,x-5/8,inf filter', 'x,x-1,inf filter', 'x,x-3/8,inf filter']
    """
    simple = sorted(predicted, key=lambda text: (len(text), predicted[text], text))
    return list(dict.fromkeys(chain.from_iterable(zip(ordered(predicted), simple, strict=True))))


def identity(text: str) -> Identity:
    """Return what two recipes that differ by the order of their moduli have in common.

    Examples
    --------
    >>> identity("x,x-1,inf data") == identity("x-1,x,inf data") != identity("x,x-1,inf filter")
    True
    """
    recipe = Recipe.parse(text)
    return frozenset(zip(recipe.moduli, recipe.products, strict=True)), recipe.scaling


def with_every_scaling(recipes: Iterable[str]) -> Iterator[str]:
    """Yield the recipes with each `Scaling`.

    Examples
    --------
    >>> list(with_every_scaling(["x,x-1,inf filter"]))
    ['x,x-1,inf filter', 'x,x-1,inf data', 'x,x-1,inf integer']
    """
    for text in recipes:
        recipe = Recipe.parse(text)
        for scaling in Scaling:
            yield recipe.with_scaling(scaling).text


def ordered(figures: Mapping[str, float]) -> list[str]:
    """Return the keys by ascending figure; of equal ones, the shorter text first."""
    return sorted(figures, key=lambda text: (figures[text], len(text), text))


def _shape(recipe: Recipe) -> Shape:
    points = recipe.points
    if points is not None:
        return (0 in points, INFINITY in points, ())
    higher = tuple(
        f"{modulus}{{{product}}}"
        for modulus, product in zip(recipe.moduli, recipe.products, strict=True)
        if "^" in modulus
    )
    return ("x" in recipe.moduli, "inf" in recipe.moduli, higher)
