"""Building the catalogue: the same rows by its command, for any number of workers, and after it was stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from winograd.accuracy.catalogue import catalogue, catalogue_text, read_catalogue
from winograd.accuracy.cataloguing import build as catalogue_build
from winograd.accuracy.cataloguing.assembly import DIRECT, direct
from winograd.accuracy.cataloguing.build import (
    build_catalogue,
    is_no_worse,
    least_error,
    search_stage,
)
from winograd.accuracy.cataloguing.choice import (
    Contender,
    found_candidates,
    known_candidates,
    nearest,
    products_of,
    scalings,
    sizes_up_to,
    sums,
)
from winograd.accuracy.cataloguing.row import CatalogueRow
from winograd.accuracy.recipe import Recipe
from winograd.algebra.forms import scaled
from winograd.algebra.toom_cook import toom_cook

SMALL = {"max_tile": 3, "budget": 500}


def test_rebuilding_gives_the_rows_of_the_file_and_a_changed_row_is_noticed() -> None:
    kept = catalogue()
    rebuilt = build_catalogue(budget=kept.header["budget"], seed=kept.header["seed"], max_tile=4)
    for row in rebuilt:
        assert kept.row(row.m, row.r, row.products) == row
    assert len(rebuilt) == 15
    [changed] = rebuilt.filter(m=2, r=3, products=5)
    assert kept.row(2, 3, 5) != replace(changed, kappa=changed.kappa * (1 + 1e-15))
    text = catalogue_text(kept.rows, kept.header)
    with pytest.raises(ValueError, match="rows of the catalogue were changed"):
        read_catalogue(text.replace('"source":"search"', '"source":"nobody"', 1))


def test_any_number_of_workers_builds_the_same_bytes() -> None:
    texts = [catalogue_text(built.rows, built.header) for built in (_by_workers(1), _by_workers(2))]
    assert texts[0] == texts[1]


def _by_workers(count: int) -> catalogue_build.Catalogue:
    """Threads are as many workers as processes, and sooner there."""
    return build_catalogue(max_tile=4, budget=500, workers=count, backend="threading" if count > 1 else None)


def test_a_build_goes_on_from_what_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = tmp_path / "build.db"
    first = build_catalogue(**SMALL, storage=storage)

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a search that is stored was run again")

    monkeypatch.setattr(catalogue_build, "search", refuse)
    assert build_catalogue(**SMALL, storage=storage) == first
    with pytest.raises(AssertionError, match="was run again"):
        build_catalogue(max_tile=3, budget=501, storage=storage)


def test_a_seed_makes_the_header_and_reading_it_back_the_same() -> None:
    built = build_catalogue(**SMALL, seed=7)
    assert (built.header["seed"], built.header["budget"]) == (7, 500)
    again = read_catalogue(catalogue_text(built.rows, built.header))
    assert again == built
    assert again.header == {"format": 1, **built.header}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"budget": 0}, ValueError, "budget is 0"),
        ({"budget": 1.5}, TypeError, "budget is 1.5"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"max_tile": 2}, ValueError, "max_tile is 2"),
        ({"workers": 0}, ValueError, "workers is 0"),
    ],
)
def test_other_arguments_are_refused(arguments: dict[str, int], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build_catalogue(**arguments)


def test_every_unordered_pair_is_searched_once_where_there_is_something_to_find() -> None:
    sizes = sizes_up_to(16)
    assert len(sizes) == 69
    units = search_stage(sizes, 1000, 0).units
    searched = [(unit["m"], unit["r"], unit["rank"]) for unit in units]
    assert len(set(searched)) == len(searched)
    assert {(m, r) for m, r, _ in searched} == {(max(size), min(size)) for size in sizes}
    assert all(rank in products_of(m, r) and rank < m * r for m, r, rank in searched)


def test_candidates_near_the_least_kappa_are_kept_and_published_ones_further_off() -> None:
    listed = [Contender(kappa, 5, str(kappa), source) for kappa, source in ((1.0, "search"), (1.002, "search"))]
    far = [Contender(1.01, 5, "1.01", "search"), Contender(1.01, 5, "1.01", "a paper"), Contender(1.2, 5, "", "paper")]
    assert nearest([*listed, *far]) == [*listed, far[1]]
    assert nearest([]) == []


def test_known_candidates_have_the_kappa_they_say() -> None:
    found = list(known_candidates(4, 3))
    assert found[0] == Contender(1.0, 12, DIRECT, DIRECT)
    assert any(one.source.startswith("A. Lavin and S. Gray") and abs(one.kappa - 10.773) < 1e-3 for one in found)


def test_sums_have_the_mean_kappa_and_all_products_of_their_parts() -> None:
    rows = {(2, 2, products): Contender(3.0, 3, "x", "search") for products in products_of(2, 2)}
    found = {one.construction: one for one in sums(3, 2, rows)}
    assert list(found) == ["outputs 1:2 + 2:3", "taps 1:3 + 1:3"]
    assert (found["outputs 1:2 + 2:3"].kappa, found["outputs 1:2 + 2:3"].rank) == ((1 * 1 + 2 * 3) / 3, 5)


def test_scalings_that_were_not_compared_are_three() -> None:
    paper = Contender(1.0, 3, "x,x-1,inf filter", "a paper")
    assert [Recipe.parse(text).scaling.value for text in scalings(paper)] == ["filter", "data", "integer"]
    assert scalings(replace(paper, source="search")) == (paper.construction,)
    assert len(scalings(replace(paper, source="search", construction="transposed x,x-1,inf filter"))) == 3
    assert scalings(Contender(1.0, 4, DIRECT, DIRECT)) == (DIRECT,)
    assert scalings(Contender(1.0, 4, "taps 1:2 + 1:2", "sum of rows")) == ("taps 1:2 + 1:2",)


def test_recipes_are_compared_in_both_orientations() -> None:
    recipes = [
        Recipe.parse(f"{points} filter") for points in ("x,x-1,x+1,x-2,x+2,inf", "x,x-5/8,x+5/8,x-3/2,x+3/2,inf")
    ]
    found = found_candidates(4, 3, recipes)
    assert [one.construction.startswith("transposed") for _, _, one in found] == [False, True, False] * 2
    assert {(m, r) for m, r, _ in found} == {(4, 3), (3, 4)}
    assert all("5/8" in one.construction for _, _, one in found)


def test_the_least_error_wins_unless_it_overflows() -> None:
    good, bad = toom_cook(4, 3), toom_cook(4, 3, "0,1,-1,2,-2,inf")
    assert least_error({"bad": bad, "good": good}) == ("good", good)
    huge = scaled(good, at=["1/100000000000000"] * 6, g=[1] * 6)
    assert least_error({"huge": huge, "bad": bad}) == ("bad", bad)
    assert least_error({"direct": direct(4, 3), "good": good})[0] == "direct"
    # In 3D "good" is the best; "bad" is no limit to it, but it is one to "bad".
    assert least_error({"bad": bad, "good": good}, ["bad"])[0] == "good"
    assert least_error({"bad": bad, "good": good}, ["good"])[0] == "good"


def test_a_row_takes_the_place_of_one_of_fewer_products_where_nothing_gets_worse() -> None:
    fewer = catalogue().row(4, 3, 7)
    assert not is_no_worse(fewer, fewer)
    for place in range(3):
        for ndim in range(3):
            better, worse = (_with_error(fewer, place, ndim, factor) for factor in (0.5, 1.001))
            assert is_no_worse(better, fewer)
            assert not is_no_worse(worse, fewer)
            assert not is_no_worse(_with_error(better, (place + 1) % 3, ndim, 1.001), fewer)


def _with_error(row: CatalogueRow, dtype: int, ndim: int, factor: float) -> CatalogueRow:
    errors = [list(same) for same in row.predicted]
    errors[dtype][ndim] *= factor
    return replace(row, predicted=tuple((a, b, c) for a, b, c in errors))


def test_a_build_keeps_fewer_products_where_more_are_worse_anywhere() -> None:
    row = catalogue().row(4, 3, 7)
    fewer = replace(row, products=6, rank=6)
    assert catalogue_build._better(_with_error(row, 0, 2, 0.5), fewer, 7).rank == 7
    mixed = _with_error(_with_error(row, 0, 2, 0.5), 0, 0, 1.001)
    assert catalogue_build._better(mixed, fewer, 7) == replace(fewer, products=7)
