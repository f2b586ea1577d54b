"""Where an algorithm comes from: what its repr shows, and the recipe that gives the same matrices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import algorithms
from winograd.accuracy.recipe import Recipe
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.crt import Inverses, crt
from winograd.algebra.forms import balanced, permuted
from winograd.algebra.origin import DIRECT, made_of, recipe_of
from winograd.algebra.residues import ComplexProduct, ToomCookProduct
from winograd.algebra.scaling import Scaling, rescaled
from winograd.algebra.toom_cook import toom_cook

MODULI = "x,x-1,x+1,x^2+1,inf"
SEVEN = crt(4, 3, MODULI)


@pytest.mark.parametrize(
    ("algorithm", "shown"),
    [
        (SEVEN, "mod x,x-1,x+1,x^2+1,inf"),
        (crt(4, 3, MODULI, [None, None, None, [0, 1, -1], None]), "mod x,x-1,x+1,x^2+1,inf"),
        (crt(4, 3, MODULI, [None, None, None, [-2, 0, 2], None]), "mod x,x-1,x+1,x^2+1{-2,0,2},inf"),
        (crt(4, 3, MODULI, [None, None, None, "schoolbook", None]), "mod x,x-1,x+1,x^2+1{schoolbook},inf"),
        (rescaled(SEVEN, Scaling.DATA), "mod x,x-1,x+1,x^2+1,inf (data)"),
        (rescaled(toom_cook(4, 3), Scaling.INTEGER), "at 0,5/8,-5/8,3/2,-3/2,inf (integer)"),
        (balanced(toom_cook(2, 3)), "at 0,1,-1,inf (scaled)"),
        (balanced(SEVEN), "mod x,x-1,x+1,x^2+1,inf (scaled)"),
        (permuted(toom_cook(2, 3), [3, 0, 1, 2]), "at inf,0,1,-1"),
    ],
)
def test_products_and_scales_are_shown(algorithm: BilinearAlgorithm, shown: str) -> None:
    assert repr(algorithm) == f"<F({algorithm.m},{algorithm.r}) {shown}, {algorithm.rank} multiplications>"


@given(algorithms(), st.sampled_from(Scaling))
def test_a_recipe_gives_the_same_matrices(algorithm: BilinearAlgorithm, scaling: Scaling) -> None:
    changed = rescaled(algorithm, scaling)
    text = recipe_of(changed)
    if text == DIRECT:
        assert changed == toom_cook(changed.m, changed.r)
    elif text is not None:
        assert Recipe.parse(text).build(changed.m, changed.r) == changed
    else:
        assert not changed.points
        assert not changed.moduli


@pytest.mark.parametrize(
    "algorithm",
    [
        balanced(SEVEN),
        crt(4, 3, MODULI, inverses=Inverses.DATA),
        crt(4, 3, MODULI, [None, None, None, ComplexProduct(), None]),
        crt(4, 3, MODULI, [None, None, None, ToomCookProduct(), None]),
        permuted(toom_cook(2, 3), [3, 0, 1, 2]),
        BilinearAlgorithm(m=1, r=2, at=[[2, 2]], g=[["1/2", 0], [0, "1/2"]], bt=[[1, 0], [0, 1]]),
        BilinearAlgorithm(m=4, r=3, at=SEVEN.at, g=SEVEN.g, bt=SEVEN.bt, points=("*/",)),  # type: ignore[arg-type]
    ],
)
def test_what_no_recipe_gives_has_none(algorithm: BilinearAlgorithm) -> None:
    text = recipe_of(algorithm)
    assert text is None or Recipe.parse(text).build(algorithm.m, algorithm.r) == algorithm
    assert made_of(algorithm).isprintable()
