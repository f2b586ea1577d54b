"""Published point sets: each is well-formed, has its source, and builds every size of its tile."""

from __future__ import annotations

from fractions import Fraction

import pytest

from winograd.accuracy.cataloguing.published import PUBLISHED, PublishedSet, published_sets
from winograd.accuracy.recipe import Recipe
from winograd.algebra.growth import kappa
from winograd.algebra.toom_cook import toom_cook


@pytest.mark.parametrize("one", PUBLISHED, ids=lambda one: one.moduli)
def test_a_set_builds_an_algorithm_of_its_tile(one: PublishedSet) -> None:
    algorithm = Recipe(tuple(one.moduli.split(","))).build(one.tile - 2, 3)
    assert algorithm.tile == one.tile
    assert one.source


def test_points_are_those_that_were_published() -> None:
    lavin = published_sets(6)[0]
    assert Recipe(tuple(lavin.moduli.split(","))).build(4, 3) == toom_cook(4, 3, "0,1,-1,2,-2,inf")
    assert kappa(toom_cook(4, 3, "0,1,-1,2,-2,inf")) > kappa(toom_cook(4, 3, "0,5/8,-5/8,3/2,-3/2,inf"))


def test_sets_are_listed_once_and_by_tile() -> None:
    assert len({one.moduli for one in PUBLISHED}) == len(PUBLISHED)
    assert sorted(sum((published_sets(tile) for tile in range(3, 17)), ()), key=PUBLISHED.index) == list(PUBLISHED)
    assert published_sets(3) == ()


def test_a_wrong_sign_is_noticed() -> None:
    """The rational stand-ins of ncnn's irrational points are +-a and +-2a with 2 a^2 = 1 to float32's digits."""
    [ncnn] = [one for one in PUBLISHED if one.source.startswith("ncnn")]
    points = Recipe(tuple(ncnn.moduli.split(","))).points
    assert points is not None
    small, negative, large = points[1], points[2], points[3]
    assert isinstance(small, Fraction)
    assert (negative, large) == (-small, 2 * small)
    assert abs(2 * small**2 - 1) < 2**-18
