"""Recipes: their text round trips, what they build is exact, and anything else is refused with one line."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from winograd.accuracy.recipe import MAX_RECIPE_LENGTH, Recipe, Scaling
from winograd.algebra.bilinear import BilinearAlgorithm, ProofError, fraction_rows
from winograd.algebra.crt import crt
from winograd.algebra.forms import equivalent
from winograd.algebra.growth import kappa
from winograd.algebra.points import INFINITY
from winograd.algebra.toom_cook import toom_cook

SMALL = st.fractions(-3, 3, max_denominator=5)
POINTS = st.lists(SMALL, unique=True, min_size=3, max_size=3).map(lambda points: ",".join(map(str, points)))
UNITS = st.tuples(POINTS, SMALL).map(lambda pair: f"{pair[0]}:{pair[1]}")
PRODUCTS = st.one_of(st.sampled_from(["", "schoolbook", "0,1,inf", "1,-1,inf:1/2"]), POINTS, UNITS)

SUPERLINEAR = "x,x-1,x+1,x^2+1{0,1,-1:1/2},inf filter"


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Three points, a quadratic without real roots, and infinity, for F(4, 3)."""
    points = draw(st.lists(SMALL, unique=True, min_size=3, max_size=3))
    middle, rest = draw(SMALL), draw(st.fractions(Fraction(1, 5), 4, max_denominator=5))
    quadratic = f"x^2+{middle}*x+{middle**2 / 4 + rest}".replace("+-", "-")
    moduli = (*Recipe.from_points(points).moduli, quadratic, "inf")
    return Recipe(moduli, ("", "", "", draw(PRODUCTS), ""), draw(st.sampled_from(Scaling)))


@given(recipes())
def test_the_text_of_a_recipe_is_read_back(recipe: Recipe) -> None:
    assert Recipe.parse(recipe.text) == recipe
    assert Recipe.parse(recipe.text).text == recipe.text == str(recipe)


@settings(max_examples=30, deadline=None)
@given(recipes())
def test_recipes_build_algorithms_of_the_rank_they_state(recipe: Recipe) -> None:
    algorithm = recipe.build(4, 3)
    algorithm.verify()
    assert algorithm.rank == recipe.rank(4, 3)
    for scaling in Scaling:
        other = recipe.with_scaling(scaling).build(4, 3)
        assert equivalent(other, algorithm)
        assert kappa(other) == kappa(algorithm)


def test_scalings_put_the_inverses_where_they_say() -> None:
    recipe = Recipe.from_points("0,1/2,-1/2,2,-2,inf")
    in_filter, in_data, integers = (recipe.with_scaling(scaling).build(4, 3) for scaling in Scaling)
    assert in_filter == toom_cook(4, 3, "0,1/2,-1/2,2,-2,inf")
    assert all(row[0] == 1 for row in fraction_rows(in_data.g)[:-1])
    assert in_data.at == integers.at == in_filter.at
    assert all(entry.is_Integer for entry in integers.bt)
    assert not all(entry.is_Integer for entry in in_filter.bt)


def test_recipes_build_what_crt_and_toom_cook_build() -> None:
    assert Recipe.parse("x,x-1,x+1,x^2+1{0,1,-1},inf filter").build(4, 3) == crt(
        4, 3, "x,x-1,x+1,x^2+1,inf", [None, None, None, "0,1,-1", None]
    )
    recipe = Recipe.from_points([0, "1/2", INFINITY, -1])
    assert recipe.points == (0, Fraction(1, 2), -1, INFINITY)
    assert recipe.build(2, 3) == toom_cook(2, 3, [0, "1/2", -1, INFINITY])
    assert Recipe.parse(SUPERLINEAR).points is None


@pytest.mark.parametrize(
    ("text", "m", "r", "rank"),
    [
        ("x,x-1,inf^2 filter", 2, 3, 5),
        ("x^2{schoolbook},x-1,inf filter", 2, 3, 5),
        ("x^2+1{schoolbook},x-1,inf filter", 2, 3, 6),
        ("inf^6 filter", 4, 3, 6),
        ("x^3,inf^3 filter", 4, 3, 10),
    ],
)
def test_ranks_of_powers_and_schoolbook_products(text: str, m: int, r: int, rank: int) -> None:
    recipe = Recipe.parse(text)
    assert recipe.rank(m, r) == recipe.build(m, r).rank == rank


def test_equal_recipes_are_spelled_alike() -> None:
    spelled = Recipe(("inf", "x-2/4", "2*x^2+2", "x"), ("", "", "0,2/4,inf:2/2", ""))
    assert spelled.text == "x-1/2,x^2+1{0,1/2,inf:1},x,inf filter"
    assert hash(spelled) == hash(Recipe.parse(spelled.text))


BAD_TEXTS = [
    "",
    " filter",
    "x,x-1,inf",
    "x,x-1,inf sideways",
    "x,,inf filter",
    "x,x-1,inf, filter",
    "x,x-1 inf filter",
    "x,x-1;inf filter",
    "x,x-1,inf  filter",
    "x,x-1,inf filter\n",
    "x^2+1{} filter",
    "x^2+1{0,1,inf filter",
    "x^2+1}0,1,inf{ filter",
    "x^2+1{0,1,inf}x filter",
    "x^2+1{0,1,inf:} filter",
    "x^2+1{0,1,inf:inf} filter",
    "x^2+1{0,1,inf:1:2} filter",
    "x^2+1{schoolbook:1} filter",
    "x^2+1{0,0,inf} filter",
    "x,x,inf filter",
    "x,inf,inf filter",
    "x-1/0,inf filter",
    "__import__('os').system('touch X') filter",
    "sqrt(2)*x,inf filter",
    "y,inf filter",
    "x-1e3 filter",
    "x," * MAX_RECIPE_LENGTH + "inf filter",
]


@pytest.mark.parametrize("text", BAD_TEXTS, ids=lambda text: repr(text[:40]))
def test_other_text_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Recipe.parse(text)
    assert "\n" not in str(caught.value)


@settings(max_examples=300)
@given(st.text("x-+*^/0123{}:,. infschooldataeg", max_size=30))
def test_any_text_is_read_back_or_refused(text: str) -> None:
    try:
        recipe = Recipe.parse(text)
    except ValueError:
        return
    assert Recipe.parse(recipe.text) == recipe


def test_wrong_numbers_of_products_and_points_are_refused() -> None:
    with pytest.raises(ValueError, match="2 products for 3 moduli"):
        Recipe(("x", "x-1", "inf"), ("", ""))
    with pytest.raises(ValueError, match="is not rational"):
        Recipe.from_points([0, 1, sympy.sqrt(2)])
    with pytest.raises(ValueError, match=r"F\(2,3\) needs 3 finite points beside INFINITY, got 4"):
        Recipe.from_points("0,1,-1,2,inf").build(2, 3)
    with pytest.raises(ValueError, match="degrees sum to 6, got 5"):
        Recipe.parse("x,x-1,x^2+1,inf filter").build(4, 3)
    with pytest.raises(ValueError, match="common factor"):
        Recipe.parse("x-1,x^2-1,x,x+2,inf filter").build(4, 3)


def test_a_changed_entry_of_what_a_recipe_builds_breaks_the_proof() -> None:
    algorithm = Recipe.parse(SUPERLINEAR).build(4, 3)
    bt = algorithm.bt.as_mutable()
    bt[4, 0] += 1
    with pytest.raises(ProofError):
        BilinearAlgorithm(m=4, r=3, at=algorithm.at, g=algorithm.g, bt=bt)
