"""Layers by name: their exact counts of multiplications per output, and their law on a small input."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import Any

import pytest

from tests.algebra.test_reduction import law_holds
from winograd.algebra.reduction import Large, reduce_convolution

CASES: dict[str, tuple[dict[str, Any], int, str]] = {
    "I3D stem, m = 4": ({"taps": (7, 7, 7), "stride": 2}, 8, "2197/64"),
    "I3D stem, m = 2": ({"taps": (7, 7, 7), "stride": 2, "m": 2}, 8, "729/8"),
    "R3D stem, m = 4": ({"taps": (3, 7, 7), "stride": (1, 2, 2)}, 4, "507/32"),
    "R3D stem, m = 2": ({"taps": (3, 7, 7), "stride": (1, 2, 2), "m": 2}, 4, "81/2"),
    "3x3x3": ({"taps": (3, 3, 3)}, 1, "27/8"),
    "3x3x3, stride 2": ({"taps": (3, 3, 3), "stride": 2}, 8, "729/64"),
    "3x3x3, dilation 2": ({"taps": (3, 3, 3), "dilation": 2}, 8, "27/8"),
    "1x3x3": ({"taps": (1, 3, 3)}, 1, "9/4"),
    "3x1x1": ({"taps": (3, 1, 1)}, 1, "3/2"),
    "1x1x17, 6 + 6 + 5": ({"taps": (1, 1, 17)}, 3, "13/2"),
    "1x1x17, 6 + 6 + 5, m = 12": ({"taps": (1, 1, 17), "m": 12}, 3, "25/6"),
    "1x1x17, F inside F, m = 12": ({"taps": (1, 1, 17), "m": 12, "large": Large.ITERATE}, 1, "43/12"),
    "1x1x17, F inside F, m = 24": ({"taps": (1, 1, 17), "m": 24, "large": Large.ITERATE}, 1, "65/24"),
    "2x2x2": ({"taps": (2, 2, 2)}, 1, "125/64"),
    "4x4, stride 2": ({"taps": (4, 4), "stride": 2}, 4, "25/4"),
    "2x3x5": ({"taps": (2, 3, 5)}, 1, "15/4"),
}


@pytest.mark.parametrize("name", CASES)
def test_counts_per_output(name: str) -> None:
    arguments, pieces, count = CASES[name]
    reduction = reduce_convolution(**arguments)
    assert len(reduction.pieces) == pieces
    assert reduction.multiplications_per_output == Fraction(count) < prod(reduction.taps)


@pytest.mark.parametrize("name", CASES)
def test_the_law_of_every_layer(name: str) -> None:
    reduction = reduce_convolution(**CASES[name][0])
    # Five outputs an axis: a ragged tile where m is 4. Fewer zeros before than after, as SAME padding has them.
    padding = [((axis.span - 1) // 2 - (axis.span > 2), axis.span // 2) for axis in reduction.axes]
    sizes = [
        axis.span + 4 * axis.stride - low - high for axis, (low, high) in zip(reduction.axes, padding, strict=True)
    ]
    assert reduction.output(sizes, padding) == (5,) * len(sizes)
    assert law_holds(reduction, sizes, padding)


def test_the_stem_of_i3d_has_phases_of_four_and_three_taps() -> None:
    stem = reduce_convolution((7, 7, 7), stride=2)
    assert [piece.algorithm.r for piece in stem.axes[0].pieces] == [4, 3]
    # 64 x 224 x 224 with padding (2, 3): whole tiles on every axis, so that the count is the one per output.
    sizes, padding = (64, 224, 224), [(2, 3)] * 3
    assert stem.output(sizes, padding) == (32, 112, 112)
    assert stem.multiplications(sizes, padding) == 32 * 112 * 112 * Fraction(2197, 64) == 13_779_584
