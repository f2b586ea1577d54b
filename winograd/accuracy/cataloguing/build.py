"""Building the catalogue: one search for each unordered pair of sizes and number of products, then figures of each row.

In: a budget, a seed, how many processes. Out: a `Catalogue`, the same for any number of them.
What is finished is kept in a file of `winograd.accuracy.searching.trials`, so that a build can be stopped and resumed.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import groupby
from operator import le
from typing import Final

from winograd.accuracy.arguments import checked_integer
from winograd.accuracy.catalogue import MAX_TILE, Catalogue, Key, key_of
from winograd.accuracy.cataloguing.assembly import DIRECT, Smaller, assemble
from winograd.accuracy.cataloguing.choice import (
    NEAR,
    SUM,
    Contender,
    found_candidates,
    known_candidates,
    nearest,
    products_of,
    scalings,
    sizes_up_to,
    sums,
)
from winograd.accuracy.cataloguing.figures import figures_of, measured_errors, overflows, predicted_error
from winograd.accuracy.cataloguing.row import NDIMS, CatalogueRow, row_as_json, row_from_json
from winograd.accuracy.model import kappa
from winograd.accuracy.searching.kappa_search import minimise_kappa
from winograd.accuracy.searching.running import Running
from winograd.accuracy.searching.stages import Stage, Unit
from winograd.accuracy.searching.trials import Result, Trials
from winograd.accuracy.searching.workers import Workers
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.codegen.lower import lower_axis

DEFAULT_BUDGET: Final = 50_000
"""Evaluations of kappa for each size and number of products."""

MAX_HEIGHT: Final = 20
"""Largest numerator and denominator of a point."""

MEASURED: Final = frozenset(
    {(m, 3, m + 2) for m in range(2, 9)} | {(4, 3, 7), (6, 3, 9), (6, 3, 10), (2, 5, 6), (4, 5, 8)}
)
"""m, r and products of the rows that are measured: the sizes people use."""

TRIALS: Final = 300
"""Tiles of a measurement."""

EQUAL: Final = 1.015
"""Predicted errors that differ by less are equal: the model is not surer than that of two algorithms."""

_IN_3D: Final = 4
_KEPT: Final = 12

Size = tuple[int, int]


def build_catalogue(
    *,
    budget: int = DEFAULT_BUDGET,
    seed: int = 0,
    workers: int = 1,
    backend: str | None = None,
    storage: str | os.PathLike[str] | None = None,
    max_tile: int = MAX_TILE,
    progress: bool = False,
) -> Catalogue:
    """Return the catalogue, searched and evaluated anew.

    Parameters
    ----------
    budget : int
        Evaluations of kappa for each search: of one unordered pair of sizes and one number of products.
    seed : int
        Of the searches, at least 0.
    workers : int
        Processes; the result is the same for any number.
    backend : str, optional
        Of joblib, see `winograd.accuracy.searching.workers.Workers`.
    storage : path-like, optional
        File that keeps what is finished; a build that was stopped goes on from it.
    max_tile : int
        Only rows of tiles up to this one are built.
    progress : bool
        Whether a progress bar is shown on stderr.

    Returns
    -------
    Catalogue

    Raises
    ------
    TypeError, ValueError
        For arguments that are no integers or too small, and storage that is no file of ours.
    OSError
        If storage cannot be written.
    """
    budget, seed = checked_integer("budget", budget, 1), checked_integer("seed", seed, 0)
    sizes = sizes_up_to(checked_integer("max_tile", max_tile, 3))
    running = Running(Workers(workers, backend), None if storage is None else Trials(storage), progress)
    rows = _rows(sizes, _found(running, search_stage(sizes, budget, seed)), running)
    header = {"command": command(budget, seed), "budget": budget, "seed": seed, "versions": _versions()}
    return Catalogue(tuple(sorted(rows, key=lambda row: (row.r, row.m, row.products))), header)


def command(budget: int = DEFAULT_BUDGET, seed: int = 0) -> str:
    """Return the command that builds the catalogue.

    Examples
    --------
    >>> command(1000, 0)
    'python -m winograd.search --catalogue FILE --budget 1000 --seed 0'
    """
    return f"python -m winograd.search --catalogue FILE --budget {budget} --seed {seed}"


def search_stage(sizes: Iterable[Size], budget: int, seed: int) -> Stage:
    """Return the searches, each of F(m, r) with m >= r and of one number of products; the largest ones first.

    From m r products on there is nothing to be found, as the direct algorithm amplifies nothing.

    Examples
    --------
    >>> search_stage([(2, 3)], 1000, 0).units[0]
    {'m': 3, 'r': 2, 'rank': 5, 'budget': 1000, 'seed': 0}
    """
    pairs = {(max(size), min(size)) for size in sizes}
    wanted = [(m, r, rank) for m, r in pairs for rank in products_of(m, r) if rank < m * r]
    ranked = sorted(wanted, key=lambda one: (-one[2], one))
    units = [{"m": m, "r": r, "rank": rank, "budget": budget, "seed": seed} for m, r, rank in ranked]
    return Stage("catalogue: searches", tuple(units), search, (f"height {MAX_HEIGHT}",))


def search(unit: Unit) -> Result:
    """Run one search, in any process: what was found for F(m, r) and F(r, m)."""
    m, r = unit["m"], unit["r"]
    found = minimise_kappa(
        m, r, unit["rank"], budget=unit["budget"], max_height=MAX_HEIGHT, seed=unit["seed"], keep=_KEPT
    )
    near = [recipe for recipe, value in found if value <= NEAR * found[0][1]]
    both = found_candidates(m, r, near)
    return {"found": [[m, r, one.kappa, one.rank, one.construction, one.source] for m, r, one in both]}


def _found(running: Running, stage: Stage) -> dict[Size, list[Contender]]:
    """Return what was found for each size, of any number of products."""
    results = {json.dumps(unit): result for unit, result in running.results(stage)}
    by_size: dict[Size, list[Contender]] = {}
    for unit in stage.units:
        for m, r, *figures in results[json.dumps(unit)]["found"]:
            by_size.setdefault((m, r), []).append(Contender(*figures))
    return by_size


def _rows(sizes: Iterable[Size], found: Mapping[Size, list[Contender]], running: Running) -> list[CatalogueRow]:
    """Fill in the rows, tile by tile, as sums refer to smaller ones."""
    rows: dict[Key, CatalogueRow] = {}
    for tile, same in groupby(sizes, key=lambda size: sum(size) - 1):
        keys = [(m, r, products) for m, r in same for products in products_of(m, r)]
        units = row_units(keys, found, rows)
        stage = Stage(f"catalogue: rows of tile {tile}", units, fill, (f"{TRIALS} trials",))
        new = [row_from_json(result) for _, result in running.results(stage)]
        rows.update({key_of(row): row for row in new})
        for m, r, products in keys:
            rows[m, r, products] = _better(rows.get((m, r, products)), rows.get((m, r, products - 1)), products)
    return list(rows.values())


def row_units(
    keys: Iterable[Key], found: Mapping[Size, list[Contender]], rows: Mapping[Key, CatalogueRow]
) -> tuple[Unit, ...]:
    """Return the rows to be filled in, each with its candidates of just so many products."""
    smaller = {key: Contender(row.kappa, row.rank, row.construction, row.source) for key, row in rows.items()}
    texts = [[*key, row.construction] for key, row in rows.items()]
    units = []
    for m, r, products in keys:
        listed = [*known_candidates(m, r), *found.get((m, r), ()), *sums(m, r, smaller)]
        near = nearest(one for one in listed if one.rank == products)
        refers = any(one.source == SUM for one in near)
        if near:
            candidates = [[text, one.source] for one in near for text in scalings(one)]
            units.append({"key": [m, r, products], "candidates": candidates, "smaller": texts if refers else []})
    return tuple(units)


def _better(row: CatalogueRow | None, fewer: CatalogueRow | None, products: int) -> CatalogueRow:
    """Return the row of so many products if it is no worse in any dtype and number of axes, else that of one fewer."""
    if fewer is not None and (row is None or not is_no_worse(row, fewer)):
        return replace(fewer, products=products)
    assert row is not None, "the search finds algorithms of the least number of products for every size"
    return row


def is_no_worse(row: CatalogueRow, other: CatalogueRow) -> bool:
    """Say whether no predicted error of a row is larger than that of another, and one of them is smaller."""
    pairs = [pair for both in zip(row.predicted, other.predicted, strict=True) for pair in zip(*both, strict=True)]
    return all(mine <= its for mine, its in pairs) and any(mine < its for mine, its in pairs)


def fill(unit: Unit) -> Result:
    """Derive one row, in any process: the best of its candidates, as JSON."""
    m, r, products = unit["key"]
    smaller, sources = _smaller_of(unit), dict(unit["candidates"])
    limits = [one.construction for one in known_candidates(m, r) if one.construction in sources]
    text, axis = least_error({text: assemble(m, r, text, smaller) for text in sources}, limits)
    figures = figures_of(axis)
    row = CatalogueRow(
        m=m,
        r=r,
        products=products,
        rank=axis.rank,
        construction=text,
        source=sources[text],
        kappa=kappa(axis),
        instructions=figures.instructions,
        largest=figures.largest,
        predicted=figures.predicted,
        scaled=figures.scaled,
        measured=measured_errors(axis, figures.scaled, TRIALS) if (m, r, products) in MEASURED else (),
    )
    return row_as_json(row)


def _smaller_of(unit: Unit) -> Smaller:
    """Return what builds the algorithms that sums among the candidates of a row refer to."""
    texts = {(outputs, taps, count): text for outputs, taps, count, text in unit["smaller"]}

    def smaller(outputs: int, taps: int, count: int) -> BilinearAlgorithm:
        text = DIRECT if 1 in (outputs, taps) else texts[outputs, taps, count]
        return assemble(outputs, taps, text, smaller)

    return smaller


def least_error(options: Mapping[str, BilinearAlgorithm], limits: Sequence[str] = ()) -> tuple[str, BilinearAlgorithm]:
    """Return the text and algorithm with the least predicted error in 3D float32 among those that are best in 2D.

    Errors up to `EQUAL` times the least count as equal: then the instructions of data and inverse transform decide. It
    is one that is no worse than any of ``limits``, texts among the options, in any number of axes, if there is one.
    """
    in_range = {text: axis for text, axis in options.items() if not overflows(axis, 3, "float32")} or options
    in_2d = sorted(in_range, key=lambda text: (predicted_error(in_range[text], 2, "float32"), len(text), text))
    known = [text for text in limits if text in in_range]
    errors = {
        text: [predicted_error(in_range[text], ndim, "float32") for ndim in NDIMS]
        for text in dict.fromkeys([*in_2d[:_IN_3D], *known])
    }
    least = [min(same) for same in zip(*(errors[text] for text in known), strict=True)]
    allowed = [text for text in errors if all(map(le, errors[text], least))]
    bound = EQUAL * min(errors[text][-1] for text in allowed or errors)
    equal = [text for text in allowed or errors if errors[text][-1] <= bound]
    best = min(equal, key=lambda text: (_instructions(in_range[text]), errors[text][-1], len(text), text))
    return best, in_range[best]


def _instructions(axis: BilinearAlgorithm) -> int:
    programs = lower_axis(axis)
    return programs.data.counts.instructions + programs.inverse.counts.instructions


def _versions() -> str:
    names = ("winograd", "numpy", "scipy", "sympy")
    return ", ".join([f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in names)])
