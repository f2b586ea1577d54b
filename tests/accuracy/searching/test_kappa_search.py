"""The search for least kappa: known floors and targets, one result for one seed, budgets kept, failures counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from winograd.accuracy.recipe import Recipe
from winograd.accuracy.searching.descent import descend
from winograd.accuracy.searching.families import Family, families
from winograd.accuracy.searching.kappa_search import kappa_units, minimise_kappa, run_kappa_unit
from winograd.accuracy.searching.rounding_search import Grid, grid_numbers, round_member
from winograd.algebra.growth import kappa
from winograd.algebra.points import Infinity
from winograd.algebra.toom_cook import toom_cook

BUDGET = 24_000


def height(recipe: Recipe) -> int:
    assert recipe.points is not None
    finite = [abs(point) for point in recipe.points if not isinstance(point, Infinity)]
    return max(max(point.numerator, point.denominator) for point in finite)


# Floors from an independent numeric minimisation over all points; no rational set is below, see the error model.
@pytest.mark.parametrize(
    ("m", "floor", "target"), [(3, 2.616, 2.63), (4, 4.742, 4.75), (5, 9.522, 9.54), (6, 20.61, 20.64)]
)
def test_minimal_products_come_within_the_targets(m: int, floor: float, target: float) -> None:
    recipe, value = minimise_kappa(m, 3, budget=BUDGET, keep=3)[0]
    assert floor * 0.9995 < value <= target
    assert height(recipe) <= 20
    assert kappa(toom_cook(m, 3, [*range(m + 1), "inf"])) > target


# Kappa of F(m, 3; products), at most: the figures that the accuracy work set out to reach.
@pytest.mark.parametrize(
    ("m", "products", "target"),
    [(4, 7, 1.38), (5, 8, 1.80), (6, 9, 2.61), (6, 10, 1.45), (7, 10, 4.42), (7, 11, 1.66), (8, 11, 8.45)],
)
def test_superlinear_algorithms_come_within_the_targets(m: int, products: int, target: float) -> None:
    recipe, value = minimise_kappa(m, 3, products, budget=BUDGET, keep=1)[0]
    assert recipe.rank(m, 3) == products
    assert value <= target < kappa(toom_cook(m, 3))


@pytest.mark.parametrize(("m", "r", "rank"), [(2, 7, 8), (2, 5, 8), (4, 5, 9), (7, 2, 8), (3, 6, 8), (1, 3, 3)])
def test_both_orientations_have_the_same_least_kappa(m: int, r: int, rank: int) -> None:
    first, second = (minimise_kappa(*size, rank, budget=12_000, keep=1)[0][1] for size in ((m, r), (r, m)))
    # The same descents, but for roundings, to the same valley; both round its bottom to numbers of the same height.
    assert first == pytest.approx(second, rel=0.01)


def test_kappas_are_those_of_the_exact_algorithms_and_sorted() -> None:
    found = minimise_kappa(4, 3, 7, budget=BUDGET, keep=8)
    assert len(found) == len({recipe.text for recipe, _ in found}) == 8
    assert [value for _, value in found] == sorted(value for _, value in found)
    assert all(value == float(kappa(recipe.build(4, 3))) for recipe, value in found)


@pytest.mark.parametrize("budget", [1, 37, 900, 7_000, 25_001, 400_000])
def test_units_keep_to_the_budget(budget: int) -> None:
    units = kappa_units(4, 3, 7, budget=budget)
    assert sum(unit["allowed"] for unit in units) <= budget
    assert json.loads(json.dumps(units)) == units
    result = run_kappa_unit(units[0])
    assert result["evaluations"] <= units[0]["allowed"]


def test_nothing_to_search_finds_nothing() -> None:
    assert kappa_units(4, 3, 7, budget=0) == kappa_units(4, 3, 5) == kappa_units(2, 2, 6) == []
    assert (
        minimise_kappa(4, 3, 7, budget=0) == minimise_kappa(4, 3, 5) == minimise_kappa(4, 3, keep=0, budget=900) == []
    )


def test_heights_and_ranks_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="max_height is 0, must be at least 1"):
        kappa_units(4, 3, max_height=0)
    with pytest.raises(TypeError, match="rank is '7', must be an integer"):
        kappa_units(4, 3, "7")  # type: ignore[arg-type]


def test_a_seed_has_one_result_in_any_order_and_process() -> None:
    units = kappa_units(5, 3, 8, budget=12_000, seed=3)
    here = [run_kappa_unit(unit) for unit in units]
    assert [run_kappa_unit(unit) for unit in reversed(units)][::-1] == here
    program = (
        "import json, sys; from winograd.accuracy.searching.kappa_search import run_kappa_unit; "
        "print(json.dumps([run_kappa_unit(unit) for unit in json.load(sys.stdin)]))"
    )
    there = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(units),
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(there.stdout) == here
    assert run_kappa_unit(kappa_units(5, 3, 8, budget=12_000, seed=4)[0]) != here[0]


def test_failures_are_counted_and_the_search_goes_on() -> None:
    family = Family(points=3)
    numbers = grid_numbers(Grid.HEIGHT, 2)
    found = round_member(1, 3, family, np.array([-1.0, 0.1, 1.0]), numbers, seed=0, allowed=300, keep=40)
    assert found.failed > 0
    assert found.evaluations <= 300
    assert all(np.isfinite(found.kappas))
    assert all(len(set(knobs)) == 3 for knobs in found.knobs)


def test_a_family_without_members_on_the_grid_is_a_failure_with_its_reason() -> None:
    unit = {**kappa_units(6, 3, 8, budget=6_000, max_height=1)[0], "allowed": 3_000}
    result = run_kappa_unit(unit)
    assert result["found"] == []
    assert result["failed"] > 0
    assert result["reasons"] == ["kappa is not finite"]


def test_dyadic_units_find_dyadic_points() -> None:
    units = [unit for unit in kappa_units(4, 3, 6, budget=400_000) if unit["grid"] == "dyadic"]
    for text, _ in run_kappa_unit(units[0])["found"]:
        points = Recipe.parse(text).points
        assert points is not None
        finite = [point for point in points if isinstance(point, Fraction)]
        assert all(point.denominator & (point.denominator - 1) == 0 for point in finite)


def test_descents_stop_where_they_are_told() -> None:
    family = families(6, 3, 8)[0]
    for allowed in (0, 1, 5, 100, 5_000):
        found = descend(6, 3, family, seed=0, allowed=allowed)
        assert found.evaluations <= allowed
        assert (found.knobs is None) == (allowed == 0)
    assert descend(6, 3, family, seed=0, allowed=5_000).kappa < descend(6, 3, family, seed=0, allowed=100).kappa
