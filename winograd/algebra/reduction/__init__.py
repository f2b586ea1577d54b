"""Reduction of what is not stride 1 to sums of F(m, r): strides, dilations and large kernels, on one to three axes.

In: taps, strides and dilations. Out: a `Reduction`, whose pieces are stride-1 algorithms with the samples that they
read, the taps that they take and the outputs that they add to, as integers; proved, counted, and executable exactly.
Refused: sizes that are no positive integers, tiles above `MAX_TILE`, and pieces that miss or repeat a tap.
"""

from __future__ import annotations

from winograd.algebra.reduction.axis import AxisReduction
from winograd.algebra.reduction.build import Large, reduce_axis, reduce_convolution
from winograd.algebra.reduction.iterated import iterate
from winograd.algebra.reduction.nested import NestedPiece, Reduction
from winograd.algebra.reduction.piece import Piece, Placement, Progression

__all__ = [
    "AxisReduction",
    "Large",
    "NestedPiece",
    "Piece",
    "Placement",
    "Progression",
    "Reduction",
    "iterate",
    "reduce_axis",
    "reduce_convolution",
]
