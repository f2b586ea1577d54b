"""Kappa as what points are chosen by: the default sets against a numeric floor, and against the condition number."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from winograd.accuracy.candidates import Shape, enumerate_sets, fast_kappas, shapes
from winograd.accuracy.model import kappa
from winograd.algebra.points import INFINITY
from winograd.algebra.toom_cook import toom_cook

TAPS = 3


def least_kappa(m: int, shape: Shape, seed: int) -> float:
    """Search real magnitudes: random steps around the best set so far, smaller ones where none was better."""
    rng = np.random.default_rng(seed)
    best, least, step = np.sort(np.exp(rng.normal(size=shape.pairs))), np.inf, 0.5
    while step > 1e-3:
        tried = best * np.exp(step * rng.normal(size=(40, shape.pairs)))
        kappas = fast_kappas(m, TAPS, shape, [[Fraction(float(x)) for x in magnitudes] for magnitudes in tried])
        if kappas.min() < least * (1 - 1e-6):
            best, least = tried[kappas.argmin()], float(kappas.min())
        else:
            step *= 0.7
    return least


@pytest.mark.parametrize("m", range(3, 11))
def test_default_points_lie_within_one_per_cent_of_the_numeric_floor(m: int) -> None:
    floor = min(least_kappa(m, shape, seed) for shape in shapes(m + TAPS - 1) for seed in range(3))
    # A thousandth for a search that stops early.
    assert floor * 0.999 <= kappa(toom_cook(m, TAPS)) <= floor * 1.01
    assert kappa(toom_cook(m, TAPS, [*range(m + 1), "inf"])) > floor * 1.01


# Least kappa of any F(m, 3) with m + 2 products, found by an independent numeric minimisation over all points.
@pytest.mark.parametrize(("m", "floor"), [(3, 2.616), (4, 4.742), (5, 9.522), (6, 20.61), (7, 47.19), (8, 112.65)])
def test_the_search_of_this_test_finds_known_floors(m: int, floor: float) -> None:
    found = min(least_kappa(m, shape, seed) for shape in shapes(m + TAPS - 1) for seed in range(3))
    assert found == pytest.approx(floor, rel=1e-3)


def condition_number(tile: int, shape: Shape, magnitudes: Sequence[Fraction]) -> float:
    points = shape.points(magnitudes)
    rows = [[float(point) ** power for power in range(tile)] for point in points if isinstance(point, Fraction)]
    rows += [[0.0] * (tile - 1) + [1.0]] * (INFINITY in points)
    return float(np.linalg.cond(np.array(rows)))


def ranks(values: NDArray[np.float64]) -> NDArray[np.intp]:
    return values.argsort().argsort()


@pytest.mark.parametrize(("m", "loss"), [(4, 2), (6, 5)])
def test_the_condition_number_is_a_poor_guide(m: int, loss: float) -> None:
    tile = m + TAPS - 1
    shape = shapes(tile)[0]
    sets = [magnitudes for one, magnitudes in islice(enumerate_sets(tile), 6000) if one == shape]
    kappas = fast_kappas(m, TAPS, shape, sets)
    conditions = np.array([condition_number(tile, shape, magnitudes) for magnitudes in sets])
    assert kappas[conditions.argmin()] > loss * kappas.min()
    best = kappas.argsort()[:100]
    correlation = np.corrcoef(ranks(kappas[best]), ranks(conditions[best]))[0, 1]
    # Of two unrelated rankings of 100, 95 % correlate less than 1.96 / sqrt(99).
    assert abs(correlation) < 1.96 / 99**0.5
