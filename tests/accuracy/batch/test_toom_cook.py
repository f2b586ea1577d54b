"""Float64 matrices of many sets are those of the exact construction."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winograd import INFINITY
from winograd.accuracy.batch.matrices import Batch
from winograd.accuracy.recipe import Recipe, Scaling

ULP = 2.0**-53
"""Largest relative error of one rounded operation."""


def both(m, r, sets, scaling):
    return (
        Batch.of_points(m, r, sets, scaling),
        Batch.of_algorithms([Recipe.from_points(points, scaling).build(m, r) for points in sets]),
    )


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.fractions(-20, 20, max_denominator=20), min_size=6, max_size=6, unique=True),
    st.booleans(),
    st.sampled_from(Scaling),
)
def test_matrices_are_close_and_zeros_exact(finite, infinite, scaling):
    m, r = (5, 3) if infinite else (4, 3)
    fast, exact = both(m, r, [[*finite, INFINITY] if infinite else finite], scaling)
    for name in ("at", "g", "bt"):
        found, expected = getattr(fast, name).values, getattr(exact, name).values
        assert np.array_equal(found == 0, expected == 0)
        # At most 6 quotients and their 5 products, a power of 4 more, an inverse, and three more steps.
        np.testing.assert_allclose(found, expected, rtol=20 * ULP)


def test_long_numbers_are_python_integers():
    points = [Fraction(n, 10**9 + n) for n in range(1, 6)]
    fast, exact = both(3, 3, [points], Scaling.INTEGER)
    np.testing.assert_allclose(fast.bt.values, exact.bt.values, rtol=2 * ULP)
    assert fast.bt.exact(0) == exact.bt.exact(0)


@pytest.mark.parametrize("scaling", [Scaling.DATA, Scaling.INTEGER])
def test_another_scaling_is_noticed(scaling):
    points = [[Fraction(0), Fraction(1, 2), Fraction(-1, 3), INFINITY]]
    fast, exact = Batch.of_points(2, 3, points, Scaling.FILTER), both(2, 3, points, scaling)[1]
    assert not np.allclose(fast.g.values, exact.g.values, rtol=1000 * ULP)
    assert not np.allclose(fast.bt.values, exact.bt.values, rtol=1000 * ULP)
