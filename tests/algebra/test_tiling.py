"""Tile geometry against its definition by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.algebra.tiling import AxisTiling, tile_axes


@st.composite
def axes(draw: st.DrawFn) -> AxisTiling:
    m, r = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    low, high = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    size = draw(st.integers(max(r - low - high, 0), 30))
    return AxisTiling(size=size, m=m, r=r, low=low, high=high)


@given(axes())
def test_tiles_cover_every_output_once(axis: AxisTiling) -> None:
    written = [output for index in range(axis.tiles) for output in range(*axis.output_range(index))]
    assert written == list(range(axis.output))
    assert all(0 < stop - start <= axis.m for start, stop in map(axis.output_range, range(axis.tiles)))


@given(axes())
def test_a_tile_reads_what_its_outputs_need(axis: AxisTiling) -> None:
    inputs = np.arange(1, axis.size + 1)
    padded = np.concatenate([np.zeros(axis.low, int), inputs, np.zeros(axis.padded_high, int)])
    assert len(padded) == axis.tiles * axis.m + axis.r - 1
    for index in range(axis.tiles):
        first, last = axis.input_range(index)
        tile = np.zeros(axis.tile, int)
        tile[first - axis.start(index) : last - axis.start(index)] = inputs[first:last]
        assert tile.tolist() == padded[index * axis.m : index * axis.m + axis.tile].tolist()


@given(axes())
def test_ranges_stay_inside(axis: AxisTiling) -> None:
    for index in range(axis.tiles):
        first, last = axis.input_range(index)
        assert 0 <= first <= last <= axis.size
        assert axis.output_range(index)[1] <= axis.output


@given(axes())
def test_geometry_is_that_of_a_convolution(axis: AxisTiling) -> None:
    padded = np.zeros(axis.size + axis.low + axis.high)
    assert axis.output == len(np.convolve(padded, np.zeros(axis.r), "valid"))
    assert axis.tiles == len(range(0, axis.output, axis.m))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": -1}, "at least 0"),
        ({"low": -1}, "at least 0"),
        ({"high": -1}, "at least 0"),
        ({"size": 0}, "padded input of 2 is smaller than the filter of 3 taps"),
        ({"size": 0, "low": 0, "high": 2}, "padded input of 2"),
    ],
)
def test_impossible_axes_are_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AxisTiling(**{"size": 7, "m": 4, "r": 3, "low": 1, "high": 1, **change})


def test_the_smallest_axis_is_one_output() -> None:
    assert AxisTiling(size=1, m=4, r=3, low=1, high=1).output == 1
    assert AxisTiling(size=0, m=4, r=3, low=3, high=0).output_range(0) == (0, 1)


def test_axes_are_numbered_with_the_last_fastest() -> None:
    tiling = tile_axes(sizes=(5, 9), m=(4, 2), r=(3, 1), padding=((1, 1), (0, 0)))
    assert (tiling.output, tiling.tiles, tiling.count) == ((5, 9), (2, 5), 10)
    assert list(tiling.indices()) == [(i, j) for i in range(2) for j in range(5)]
    with pytest.raises(ValueError, match=r"for \[1, 2, 2, 2\] axes"):
        tile_axes(sizes=(5,), m=(4, 2), r=(3, 1), padding=((1, 1), (0, 0)))
