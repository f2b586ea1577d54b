"""The error to expect of one layer, its padding and ragged edges included: what measured errors are held against.

The model of `winograd.accuracy` speaks of whole tiles of random inputs. Where some inputs are zeros of the padding, the
outputs at the edge are sums of fewer products, while errors of all inputs of the tile still reach them: relative to the
outputs, they grow.
"""

from __future__ import annotations

import math

import numpy as np

from winograd.accuracy.model import predict_relative_l2
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.tiling import AxisTiling, tile_axes
from winograd.codegen.targets.c import CHANNEL_BLOCK
from winograd.conv.shape import ConvShape


def expected_error(shape: ConvShape, algorithm: NestedAlgorithm) -> float:
    """Return the relative L2 error to expect of generated C before outputs are rounded to 16 bits."""
    whole = predict_relative_l2(algorithm, channels=shape.channels, channel_block=CHANNEL_BLOCK)
    return whole * padding_factor(shape, algorithm)


def padding_factor(shape: ConvShape, algorithm: NestedAlgorithm) -> float:
    """Return what the padding and the ragged edges multiply the relative error by.

    Per axis, input j of a tile passes errors of power sum_t at[i,t]^2 |g_t|^2 bt[t,j]^2 to output i, and the products
    of the taps that meet inputs are the output's own power.
    """
    tiling = tile_axes(shape.sizes, algorithm.m, algorithm.r, shape.padding)
    factors = [_axis_factor(axis, tiles) for axis, tiles in zip(algorithm.axes, tiling.axes, strict=True)]
    return math.sqrt(math.prod(factors))


def _axis_factor(axis: BilinearAlgorithm, tiling: AxisTiling) -> float:
    at, g, bt = (np.array(fraction_rows(getattr(axis, name)), dtype=float) ** 2 for name in ("at", "g", "bt"))
    passed = at @ (g.sum(axis=1)[:, np.newaxis] * bt)
    errors = powers = 0.0
    for tile in range(tiling.tiles):
        first = tile * axis.m
        inputs = np.array([0 <= first + j - tiling.low < tiling.size for j in range(axis.tile)], dtype=float)
        exist = min(axis.m, tiling.output - first)
        errors += float((passed @ inputs)[:exist].sum())
        powers += float(np.convolve(inputs, np.ones(axis.r), "valid")[:exist].sum())
    return (errors / passed.sum()) / (powers / (axis.m * axis.r))
