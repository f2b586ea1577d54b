"""Kappa in float64 against exact algorithms; and kappa as what points are chosen by."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import spearmanr

from winograd.accuracy.searching.families import Family, Knob, Role, families
from winograd.accuracy.searching.kappa_objective import inner_knobs, kappas, knob_kappas
from winograd.algebra.growth import kappa
from winograd.algebra.points import INFINITY, Infinity

TAPS = 3
SIZES = [(2, 3, 4), (3, 3, 5), (4, 3, 6), (4, 3, 7), (3, 4, 8), (2, 6, 8), (6, 3, 10), (5, 4, 11)]
FAMILIES = [(m, r, family) for m, r, rank in SIZES for family in families(m, r, rank)]
POSITIVE = st.fractions(Fraction(1, 4), 3, max_denominator=7)
KNOBS = {
    Role.MAGNITUDE: POSITIVE,
    Role.POINT: st.fractions(-3, 3, max_denominator=7),
    Role.MIDDLE: st.fractions(-1, 1, max_denominator=7),
    Role.CONSTANT: st.fractions(Fraction(1, 2), 3, max_denominator=7),
    Role.INNER_POINT: st.fractions(-4, 4, max_denominator=5) | st.just(INFINITY),
    Role.SLOPE: st.fractions(-4, 4, max_denominator=5),
}


def as_floats(knobs: list[Knob]) -> NDArray[np.float64]:
    return np.array([[np.inf if isinstance(knob, Infinity) else float(knob) for knob in knobs]])


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(FAMILIES))
def test_the_closed_form_is_kappa_of_the_exact_algorithm(data: st.DataObject, where: tuple[int, int, Family]) -> None:
    m, r, family = where
    knobs: list[Knob] = [data.draw(KNOBS[role]) for role in family.roles]
    try:
        algorithm = family.recipe(knobs).build(m, r)
    except ValueError:  # two points, inner points or moduli coincide, or a unit is none
        assume(False)
    assert algorithm.rank == family.rank == family.recipe(knobs).rank(m, r)
    assert family.tile == algorithm.tile
    exact = float(kappa(algorithm))
    # Fewer than 10^4 roundings of 2^-53, each amplified by at most what the figure itself loses to cancellation: points
    # are at least 1/63 apart and at most 16 of them, which leaves ten digits of moderate figures.
    assume(exact < 1e8)
    assert knob_kappas(m, r, family, as_floats(knobs))[0] == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("place", range(6))
def test_every_knob_counts(place: int) -> None:
    family = Family(pairs=1, zero=1, infinity=1, centred=1)
    knobs: list[Knob] = [Fraction(2, 3), Fraction(3, 4), Fraction(0), Fraction(1), Fraction(-3), Fraction(1, 2)]
    exact = float(kappa(family.recipe(knobs).build(4, 3)))
    floats = as_floats(knobs)
    assert knob_kappas(4, 3, family, floats)[0] == pytest.approx(exact, rel=1e-9)
    floats[0, place] += 0.01
    assert knob_kappas(4, 3, family, floats)[0] != pytest.approx(exact, rel=1e-6)


@given(st.lists(st.floats(0.1, 6.0), min_size=4, max_size=4, unique=True), st.floats(-0.9, 0.9))
def test_angles_and_knobs_give_the_same_kappa(angles: list[float], middle: float) -> None:
    family, outer = Family(points=3, infinity=1, quadratics=1), np.array([[-1.0, 0.0, 0.5, middle, 1.0]])
    gaps = np.abs(np.subtract.outer(angles[:3], angles[:3]))[np.triu_indices(3, 1)]
    assume(gaps.min() > 0.05)
    inner = np.array([[angles]])
    knobs = np.concatenate([outer, inner_knobs(family, outer, inner)[0]], axis=1)
    # Knobs near infinity lose digits, at most as many as tan has before the point.
    assume(np.abs(knobs).max() < 1e4)
    assert knob_kappas(4, 3, family, knobs)[0] == pytest.approx(kappas(4, 3, family, outer, inner)[0], rel=1e-6)


def test_what_does_not_exist_has_no_finite_kappa() -> None:
    assert not np.isfinite(knob_kappas(4, 3, Family(points=6), np.array([[0.0, 1.0, 1.0, -1.0, 2.0, -2.0]])))
    real_roots = np.array([[1.0, -1.0, 0.0, 1.0, -1.0, 0.5]])
    assert not np.isfinite(knob_kappas(4, 3, Family(pairs=1, zero=1, infinity=1, centred=1), real_roots))


def test_mirrored_points_have_the_same_kappa() -> None:
    family = Family(points=5, infinity=1)
    points = np.array([[0.0, 0.5, -0.5, 1.5, 2.0], [0.0, -0.5, 0.5, -1.5, -2.0]])
    first, second = kappas(4, 3, family, points, np.empty((2, 0, 4)))
    assert first == pytest.approx(second, rel=1e-14)


def symmetric_sets(family: Family, count: int) -> NDArray[np.float64]:
    sizes = np.exp(np.random.default_rng(0).normal(scale=0.7, size=(count, family.pairs)))
    return np.sort(sizes, axis=1)


def condition_number(sizes: NDArray[np.float64], tile: int) -> float:
    points = np.concatenate([[0.0], sizes, -sizes])
    rows = np.vstack([points[:, None] ** np.arange(tile), np.eye(tile)[-1]])
    return float(np.linalg.cond(rows))


@pytest.mark.parametrize(("m", "loss"), [(4, 2), (6, 5)])
def test_the_condition_number_is_a_poor_guide(m: int, loss: float) -> None:
    family = next(one for one in families(m, TAPS, m + 2) if one.zero and one.infinity and not one.groups)
    sets = symmetric_sets(family, 4000)
    figures = kappas(m, TAPS, family, sets, np.empty((len(sets), 0, 4)))
    conditions = np.array([condition_number(sizes, m + TAPS - 1) for sizes in sets])
    assert figures[conditions.argmin()] > loss * figures.min()
    # Of 100 pairs by chance, ranks are correlated by 0.1.
    best = figures.argsort()[:100]
    assert abs(spearmanr(figures[best], conditions[best]).statistic) < 0.2
