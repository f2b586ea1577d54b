"""What padding and ragged edges do to the relative error of a layer, as a factor on that of whole tiles.

In: a `ConvShape`, an algorithm. Out: a factor, about 1 to 1.2. Where inputs are zeros of the padding, outputs at the
edge are sums of fewer products, while errors of all inputs of their tile still reach them: relative to the outputs they
grow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.tiling import AxisTiling, tile_axes
from winograd.conv.geometry.shape import ConvShape


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
    for (low, high, end), tiles in _kinds_of_tiles(tiling):
        inputs = np.zeros(tiling.tile)
        inputs[low:high] = 1
        errors += tiles * float((passed @ inputs)[:end].sum())
        powers += tiles * float(np.convolve(inputs, np.ones(axis.r), "valid")[:end].sum())
    return (errors / float(passed.sum())) / (powers / (axis.m * axis.r))


def _kinds_of_tiles(tiling: AxisTiling) -> Iterator[tuple[tuple[int, int, int], int]]:
    """Yield the inputs of a tile that exist, first and one past the last, its outputs, and how many tiles are like it.

    Tiles whose inputs and outputs all exist are counted, not looked at, and those inside the padding, which compute
    nothing, are left out: an axis may have millions of both.
    """
    first = min(-(-tiling.low // tiling.m), tiling.tiles)
    end = max(min((tiling.size + tiling.low - tiling.tile) // tiling.m + 1, tiling.output // tiling.m), first)
    yield (0, tiling.tile, tiling.m), end - first
    used = min(-(-(tiling.size + tiling.low) // tiling.m), tiling.tiles)
    for tile in (*range(max((tiling.low - tiling.tile) // tiling.m, 0), first), *range(end, used)):
        (low, high), start = tiling.input_range(tile), tiling.start(tile)
        outputs = tiling.output_range(tile)
        yield (low - start, high - start, outputs[1] - outputs[0]), 1
