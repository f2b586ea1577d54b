"""Constructions of the catalogue as text: what they build, that sums add up, what is refused."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import algorithms
from winograd.accuracy.cataloguing.assembly import (
    Along,
    assemble,
    direct,
    side_by_side,
    spell_sum,
    spell_transposed,
    transposed,
)
from winograd.accuracy.recipe import Recipe
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.forms import equivalent
from winograd.algebra.growth import kappa
from winograd.algebra.toom_cook import toom_cook


def refused(m: int, r: int, products: int) -> BilinearAlgorithm:
    raise AssertionError("no smaller algorithm is needed")


@given(st.integers(1, 6), st.integers(1, 6))
def test_the_direct_algorithm_amplifies_nothing(m: int, r: int) -> None:
    algorithm = direct(m, r)
    assert (algorithm.rank, kappa(algorithm)) == (m * r, 1)


@given(algorithms())
def test_transposing_keeps_rank_and_kappa_and_is_undone_by_itself(algorithm: BilinearAlgorithm) -> None:
    other = transposed(algorithm)
    assert (other.m, other.r, other.rank) == (algorithm.r, algorithm.m, algorithm.rank)
    assert kappa(other) == kappa(algorithm)
    assert transposed(other) == algorithm


@given(st.sampled_from(Along), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_kappa_of_a_sum_is_the_mean_of_its_parts(along: Along, first: int, second: int, other: int) -> None:
    sizes = [(size, other) if along is Along.OUTPUTS else (other, size) for size in (first, second)]
    parts = [toom_cook(*size) for size in sizes]
    whole = side_by_side(parts, along)
    total = first + second
    assert (whole.m, whole.r) == ((total, other) if along is Along.OUTPUTS else (other, total))
    assert whole.rank == sum(part.rank for part in parts)
    assert kappa(whole) == Fraction(first, total) * kappa(parts[0]) + Fraction(second, total) * kappa(parts[1])


def test_texts_build_what_they_say() -> None:
    recipe = Recipe.parse("x,x-1,x+1,inf filter")
    assert assemble(2, 3, recipe.text, refused) == toom_cook(2, 3, "0,1,-1,inf")
    assert equivalent(assemble(3, 2, spell_transposed(recipe), refused), toom_cook(3, 2, "0,1,-1,inf"))
    text = spell_sum(Along.TAPS, [(1, 2), (2, 3)])
    asked = []

    def smaller(m: int, r: int, products: int) -> BilinearAlgorithm:
        asked.append((m, r, products))
        return toom_cook(m, r)

    assert assemble(2, 3, text, smaller).rank == 5
    assert asked == [(2, 1, 2), (2, 2, 3)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "recipe"),
        ("__import__('os')", "recipe"),
        ("direct ", "recipe"),
        ("outputs 2:4 + 1:3", "outputs must add up"),
        ("taps 1:4 + 1:4", "taps must add up"),
        ("outputs 2:4", "recipe"),
        ("transposed direct", "recipe"),
        ("x,x-1,inf filter", "needs 5 finite points"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        assemble(4, 3, text, refused)
