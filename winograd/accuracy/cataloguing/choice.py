"""Candidates for a row of the catalogue, and which of them are near enough to the least kappa to be looked at.

In: sizes, what the search found, rows of smaller tiles. Out: `Contender` objects: published sets, the direct algorithm,
what the search found in both orientations, and two smaller algorithms side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np

from winograd.accuracy.batch import predict_batch
from winograd.accuracy.catalogue import EXTRA, MAX_TILE, TAPS, Key
from winograd.accuracy.cataloguing.assembly import DIRECT, TRANSPOSED, Along, spell_sum, spell_transposed
from winograd.accuracy.cataloguing.published import published_sets
from winograd.accuracy.model import kappa
from winograd.accuracy.protocol import LAYER
from winograd.accuracy.recipe import Recipe, Scaling

SEARCH: Final = "search"
"""Source of what our search found; its command is in the catalogue's header."""

SUM: Final = "sum of rows"
"""Source of two smaller algorithms side by side."""

FINALISTS: Final = 2
"""Recipes of one search and size that are kept."""

NEAR: Final = 1.005
"""What the search found is compared by its error where its kappa is within this factor of the least."""

_NEAR_PUBLISHED: Final = 1.1


@dataclass(frozen=True, slots=True)
class Contender:
    """An algorithm that a row may take: its kappa, products, construction, and where it comes from."""

    kappa: float
    rank: int
    construction: str
    source: str


def sizes_up_to(tile: int) -> list[tuple[int, int]]:
    """Return m and r of all rows with a tile of at most ``tile``, by tiles.

    Examples
    --------
    >>> sizes_up_to(4)
    [(2, 2), (3, 2), (2, 3)]
    """
    return [(size + 1 - r, r) for size in range(3, min(tile, MAX_TILE) + 1) for r in TAPS if size - r >= 1]


def products_of(m: int, r: int) -> range:
    """Return the products allowed of the rows of F(m, r)."""
    return range(m + r - 1, m + r + EXTRA)


def found_candidates(m: int, r: int, recipes: Sequence[Recipe]) -> list[tuple[int, int, Contender]]:
    """Return the best of what recipes for F(m, r), the one of least kappa first, give for it and for F(r, m).

    For each of the two, recipes of nearly the least kappa are compared with all scalings by their predicted 3D error;
    and the best for the one is transposed for the other.

    Examples
    --------
    >>> found = found_candidates(3, 2, [Recipe.parse("x,x-1,x+1,inf filter")])
    >>> [(m, r, one.construction) for m, r, one in found if m == 2][:2]
    [(2, 3, 'transposed x,x-1,x+1,inf filter'), (2, 3, 'x,x-1,x+1,inf filter')]
    """
    found = []
    for outputs, taps in {(m, r): None, (r, m): None}:
        options = [recipe.with_scaling(scaling) for recipe in recipes for scaling in Scaling]
        errors = predict_batch(outputs, taps, options, ndim=3, experiment=LAYER)
        for place, number in enumerate(np.argsort(errors, kind="stable")[:FINALISTS]):
            algorithm = options[number].build(outputs, taps)
            figures = kappa(algorithm), algorithm.rank
            found.append((outputs, taps, Contender(*figures, options[number].text, SEARCH)))
            if place == 0 and m != r:
                found.append((taps, outputs, Contender(*figures, spell_transposed(options[number]), SEARCH)))
    return found


def known_candidates(m: int, r: int) -> Iterator[Contender]:
    """Yield the direct algorithm F(m, r) and the published ones."""
    yield Contender(1.0, m * r, DIRECT, DIRECT)
    for one in published_sets(m + r - 1):
        recipe = Recipe(tuple(one.moduli.split(",")), scaling=Scaling.FILTER)
        algorithm = recipe.build(m, r)
        yield Contender(kappa(algorithm), algorithm.rank, recipe.text, one.source)


def sums(m: int, r: int, rows: Mapping[Key, Contender]) -> Iterator[Contender]:
    """Yield two smaller algorithms side by side.

    Examples
    --------
    >>> [one.construction for one in sums(2, 2, {})]
    ['outputs 1:2 + 1:2', 'taps 1:2 + 1:2']
    """
    for along, size in ((Along.OUTPUTS, m), (Along.TAPS, r)):
        for first in range(1, size // 2 + 1):
            parts = (first, size - first)
            for pair in product(*(_parts(along, part, m, r, rows) for part in parts)):
                text = spell_sum(along, [(part, one.rank) for part, one in zip(parts, pair, strict=True)])
                mean = sum(part * one.kappa for part, one in zip(parts, pair, strict=True)) / size
                yield Contender(mean, sum(one.rank for one in pair), text, SUM)


def _parts(along: Along, size: int, m: int, r: int, rows: Mapping[Key, Contender]) -> list[Contender]:
    outputs, taps = (size, r) if along is Along.OUTPUTS else (m, size)
    if 1 in (outputs, taps):
        return [Contender(1.0, outputs * taps, DIRECT, DIRECT)]
    found = [rows[outputs, taps, products] for products in products_of(outputs, taps)]
    return list({one.rank: one for one in found}.values())


def nearest(candidates: Iterable[Contender]) -> list[Contender]:
    """Return the candidates whose kappa is within 0.5 % of the least, or 10 % if somebody published them.

    Kappa leaves out the roundings of the transforms, of which simple numbers have fewer.
    """
    listed = list(candidates)
    least = min((one.kappa for one in listed), default=0.0)
    return [one for one in listed if one.kappa <= least * (NEAR if one.source in (SEARCH, SUM) else _NEAR_PUBLISHED)]


def scalings(candidate: Contender) -> tuple[str, ...]:
    """Return the construction of a candidate with the scalings that were not compared yet.

    Examples
    --------
    >>> scalings(Contender(1.0, 4, "transposed x,x-1,x+1,inf filter", SEARCH))[1]
    'transposed x,x-1,x+1,inf data'
    """
    text = candidate.construction
    compared = candidate.source == SEARCH and not text.startswith(TRANSPOSED)
    if compared or candidate.source in (SUM, DIRECT):
        return (text,)
    listed, _, _ = text.rpartition(" ")
    return tuple(f"{listed} {scaling.value}" for scaling in Scaling)
