"""What padding and ragged edges do to the relative error of a layer, as a factor on that of whole tiles.

In: a `ConvShape`, an algorithm. Out: a factor, about 1 to 1.2. Where inputs are zeros of the padding, outputs at the
edge are sums of fewer products, while errors of all inputs of their tile still reach them: relative to the outputs they
grow.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.tiling import AxisTiling, tile_axes
from winograd.conv.shape import ConvShape


def edge_factor(shape: ConvShape, algorithm: NestedAlgorithm) -> float:
    """Return by what padding and ragged edges multiply the relative L2 error of independent zero-mean inputs.

    Per axis, input j of a tile passes errors of power sum_t at[i,t]^2 |g_t|^2 bt[t,j]^2 to output i, and the taps that
    meet inputs are the power of the output itself; both are summed over the outputs that exist.

    Examples
    --------
    >>> from winograd.algebra.nesting import nest
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> from winograd.conv.arguments import ConvArguments
    >>> f4 = nest(toom_cook(4, 3))
    >>> shapes = [ConvArguments(padding=1).shape((1, 8, size), (8, 8, 3), dtype="float32") for size in (4, 400)]
    >>> [round(edge_factor(shape, f4), 2) for shape in shapes]
    [1.08, 1.0]
    """
    tiling = tile_axes(shape.sizes, algorithm.m, algorithm.r, shape.padding)
    return math.sqrt(math.prod(map(_axis_factor, algorithm.axes, tiling.axes)))


@lru_cache(maxsize=4096)
def _axis_factor(axis: BilinearAlgorithm, tiling: AxisTiling) -> float:
    at, g, bt = (np.array(fraction_rows(matrix), dtype=np.float64) ** 2 for matrix in (axis.at, axis.g, axis.bt))
    passed = at @ (g.sum(axis=1)[:, np.newaxis] * bt)
    errors = powers = 0.0
    for tile in range(tiling.tiles):
        first, end = tiling.output_range(tile)
        low, high = tiling.input_range(tile)
        inputs = np.zeros(tiling.tile)
        inputs[low - tiling.start(tile) : high - tiling.start(tile)] = 1
        errors += float((passed @ inputs)[: end - first].sum())
        powers += float(np.convolve(inputs, np.ones(axis.r), "valid")[: end - first].sum())
    return (errors / float(passed.sum())) / (powers / (axis.m * axis.r))
