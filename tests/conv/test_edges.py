"""The factor of padding and ragged edges: that of a loop over all tiles, and soon known where there are millions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from winograd import nest, toom_cook
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.tiling import AxisTiling, tile_axes
from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.edges import edge_factor


def factor_ref(axis: BilinearAlgorithm, tiling: AxisTiling) -> float:
    """Return the factor of one axis, squared, from every tile by itself."""
    at, g, bt = (np.array(fraction_rows(matrix), dtype=np.float64) ** 2 for matrix in (axis.at, axis.g, axis.bt))
    passed = at @ (g.sum(axis=1)[:, np.newaxis] * bt)
    errors = powers = 0.0
    for tile in range(tiling.tiles):
        first, end = tiling.output_range(tile)
        low, high = (place - tiling.start(tile) for place in tiling.input_range(tile))
        inputs = np.array([low <= place < high for place in range(tiling.tile)], dtype=np.float64)
        errors += (passed @ inputs)[: end - first].sum()
        powers += np.convolve(inputs, np.ones(axis.r), "valid")[: end - first].sum()
    return (errors / passed.sum()) / (powers / (axis.m * axis.r))


@pytest.mark.parametrize(("m", "r"), [(1, 3), (2, 3), (4, 3), (6, 3), (3, 5), (5, 2)])
def test_the_factor_is_that_of_a_loop_over_all_tiles(m: int, r: int) -> None:
    axis = toom_cook(m, r)
    for size in (1, 2, 5, 8, 13, 30):
        for padding in (0, 1, 2, 7, 25):
            if size + 2 * padding >= r:
                shape = ConvArguments(padding=padding).shape((1, 8, size), (8, 8, r), dtype="float32")
                expected = math.sqrt(factor_ref(axis, tile_axes((size,), (m,), (r,), shape.padding).axes[0]))
                assert edge_factor(shape, nest(axis)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("size", "padding"), [(3, 8), (10, 10**9), (10**9, 1)])
def test_long_axes_and_wide_padding_are_not_walked_along(size: int, padding: int) -> None:
    """Padding by whole tiles more, on both sides, computes nothing more."""

    def factor(padding: int) -> float:
        shape = ConvArguments(padding=padding).shape((1, 8, size), (8, 8, 3), dtype="float32")
        return edge_factor(shape, nest(toom_cook(4, 3)))

    assert factor(padding + 4 * 10**8) == pytest.approx(factor(padding + 8), rel=1e-12)
