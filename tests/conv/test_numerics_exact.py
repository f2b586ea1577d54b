"""The exact pipeline with unlike axes: all F(m, r) with m + r <= 10 meet one another, in two and in three axes.

Nests of equal axes are in tests/accuracy/test_numerics.py, drawn ones in test_reference.py.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from winograd import nest, toom_cook
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.reference import convolve_reference
from winograd.conv.reference.convolve import Array, direct_ref

SIZES = [(m, tile + 1 - m) for tile in range(1, 10) for m in range(1, tile + 1)]
UNLIKE = 7
"""A step through the sizes that is coprime to their number, so that all take part on every axis."""


def unlike(first: int, ndim: int) -> NestedAlgorithm:
    return nest(*(toom_cook(*SIZES[(first + UNLIKE * axis) % len(SIZES)]) for axis in range(ndim)))


def fractions(seed: int, *sizes: int) -> Array:
    generator = np.random.default_rng(seed)
    parts = generator.integers(-999, 1000, sizes), generator.integers(1, 8, sizes)
    values: Array = np.frompyfunc(lambda above, below: Fraction(int(above), int(below)), 2, 1)(*parts)
    return values


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("first", range(len(SIZES)), ids=lambda first: f"F({SIZES[first][0]},{SIZES[first][1]}) first")
def test_unlike_axes_are_exact_on_ragged_tiles_with_padding(first: int, ndim: int) -> None:
    nested = unlike(first, ndim)
    # A tile and one output more on the last axis, so that there are a whole and a ragged one; padding on one side.
    sizes = (*nested.tile[:-1], nested.tile[-1] + 1)
    padding = [(0, 0)] * (ndim - 1) + [(min(1, nested.r[-1] - 1), 0)]
    input, weight, bias = fractions(first, 1, 1, *sizes), fractions(1, 1, 1, *nested.r), fractions(2, 1)
    result = convolve_reference(input, weight, bias, algorithm=nested, padding=padding)
    assert np.array_equal(result, direct_ref(input, weight, bias, padding=padding))


def test_a_fraction_that_is_off_by_little_is_noticed() -> None:
    nested = unlike(first=30, ndim=3)
    input, weight = fractions(0, 1, 1, *nested.tile), fractions(1, 1, 1, *nested.r)
    changed = input.copy()
    changed[(0, 0, *(0,) * 3)] += Fraction(1, 10**40)
    result = convolve_reference(changed, weight, algorithm=nested, padding=[(0, 0)] * 3)
    assert not np.array_equal(result, direct_ref(input, weight, padding=[(0, 0)] * 3))
