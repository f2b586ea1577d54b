"""Families: their sizes add up, their recipes have what they say, symmetric ones are symmetric."""

from __future__ import annotations

from fractions import Fraction

import pytest

from winograd.accuracy.searching.families import Family, Knob, Role, families
from winograd.algebra.growth import kappa
from winograd.algebra.points import INFINITY

SIZES = [(m, r, extra) for m in (1, 2, 3, 5, 8) for r in (1, 2, 3, 4) for extra in range(5)]


@pytest.mark.parametrize(("m", "r", "extra"), SIZES)
def test_families_fill_the_tile_with_the_products_asked_for(m: int, r: int, extra: int) -> None:
    found = families(m, r, m + r - 1 + extra)
    assert bool(found) == (2 * extra <= m + r - 1 and (min(m, r) > 1 or not extra))
    assert len(set(found)) == len(found)
    for family in found:
        assert (family.tile, family.rank) == (m + r - 1, m + r - 1 + extra)
        assert len(family.roles) == len(family.outer) + 4 * family.blocks
        assert min(family.points, family.pairs, family.groups, family.centred) >= 0


def test_there_are_no_families_of_fewer_products_than_the_least() -> None:
    assert families(4, 3, 5) == families(4, 3, -1) == ()


def test_a_group_is_closed_under_inversion_and_sign() -> None:
    knobs: list[Knob] = [Fraction(2, 3), Fraction(3), Fraction(-1, 5)]
    recipe = Family(groups=1, pairs=1, points=1, zero=1, infinity=1).recipe(knobs)
    assert recipe.points is not None
    group = {Fraction(2, 3), Fraction(-2, 3), Fraction(3, 2), Fraction(-3, 2)}
    assert set(recipe.points) == group | {Fraction(3), Fraction(-3), Fraction(-1, 5), Fraction(0), INFINITY}


def test_mirrored_quadratics_have_mirrored_products_of_the_same_kappa() -> None:
    family = Family(pairs=1, zero=1, infinity=1, mirrored=1)
    knobs: list[Knob] = [Fraction(1), Fraction(2, 3), Fraction(1), Fraction(0), INFINITY, Fraction(3), Fraction(1, 2)]
    recipe = family.recipe(knobs)
    assert recipe.moduli[3:5] == ("x^2+2/3*x+1", "x^2-2/3*x+1")
    assert recipe.products[3:5] == ("0,3,inf:1/2", "0,-3,inf:-1/2")
    other = family.recipe(
        [*knobs[:1], -Fraction(2, 3), *knobs[2:3], Fraction(0), INFINITY, Fraction(-3), -Fraction(1, 2)]
    )
    assert kappa(recipe.build(6, 3)) == kappa(other.build(6, 3))
    unlike = family.recipe([*knobs[:-1], Fraction(-1, 2)])
    assert kappa(unlike.build(6, 3)) != kappa(other.build(6, 3))


def test_a_unit_of_slope_0_is_not_spelled() -> None:
    family = Family(points=1, infinity=1, quadratics=1)
    knobs: list[Knob] = [Fraction(0), Fraction(0), Fraction(1), Fraction(0), Fraction(1), INFINITY, Fraction(0)]
    assert family.recipe(knobs).text == "x,x^2+1{0,1,inf},inf filter"
    assert family.outer == (Role.POINT, Role.MIDDLE, Role.CONSTANT)


def test_infinity_among_the_moduli_and_mixed_symmetry_are_refused() -> None:
    with pytest.raises(ValueError, match="must be a rational number"):
        Family(pairs=1, zero=1).recipe([INFINITY])
    with pytest.raises(ValueError, match="must be symmetric"):
        Family(points=1, mirrored=1)
