"""Neighbours of point sets: one point or pair exchanged, within bounds, and never a point twice."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from winograd.accuracy.recipe import Recipe, Scaling
from winograd.accuracy.searching.neighbours import known_sets, neighbours, simple_sets
from winograd.algebra.points import INFINITY

HEIGHT = 12
MAGNITUDES = st.builds(Fraction, st.integers(1, HEIGHT), st.integers(1, HEIGHT))


@st.composite
def paired(draw: st.DrawFn) -> Recipe:
    sizes = draw(st.lists(MAGNITUDES, min_size=1, max_size=4, unique=True))
    return Recipe.from_points([Fraction(0), *(sign * size for size in sizes for sign in (1, -1)), INFINITY])


@given(paired())
def test_pairs_stay_pairs_and_one_of_them_moves(recipe: Recipe) -> None:
    before = set(recipe.points or ())
    for near in neighbours(recipe, HEIGHT):
        points = near.points or ()
        assert len(set(points)) == len(points) == len(before)
        assert len(before - set(points)) == 2
        finite = [point for point in points if isinstance(point, Fraction)]
        assert all(-point in finite for point in finite)
        assert all(max(abs(point.numerator), point.denominator) <= HEIGHT for point in finite)


def test_the_scaling_stays_and_moduli_of_higher_degree_have_none() -> None:
    data = Recipe.parse("x,x-1/2,x+1/2,inf data")
    assert {near.scaling for near in neighbours(data, HEIGHT)} == {Scaling.DATA}
    assert list(neighbours(Recipe.parse("x,x-1,x+1,x^2+1,inf filter"), HEIGHT)) == []


@given(st.integers(1, 12))
def test_simple_sets_have_so_many_points_once(count: int) -> None:
    for points in simple_sets(count):
        assert len(points) == len(set(points)) == count
    assert all(len(points) == count for points in known_sets(count))
