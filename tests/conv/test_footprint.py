"""The stated memory is that of the compiled kernel, to the byte."""

from __future__ import annotations

import ctypes
from itertools import product

import pytest

from winograd import best, nest, toom_cook
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.native.footprint import Footprint
from winograd.conv.native.schedule import Schedule, ScheduleKind

torch = pytest.importorskip("torch")

from winograd.algebra.tiling import tile_axes  # noqa: E402
from winograd.conv.native.interface import kernel_shape  # noqa: E402
from winograd.conv.native.kernel import NativeConvolution  # noqa: E402
from winograd.conv.tensors.layout import Layout  # noqa: E402

F2, F4, F7 = toom_cook(2, 3), toom_cook(4, 3), best(7, 3, products=10)
ALGORITHMS = [nest(F4, F4, F4), nest(F2, F4, F4), nest(F4, F7), nest(F7), nest(toom_cook(1, 1), F4, F4)]
LAYERS = [(1, 1), (3, 64), (15, 33), (64, 128), (100, 31), (200, 65)]


def sizes_of(algorithm: NestedAlgorithm) -> tuple[int, ...]:
    return (9, 13, 17)[: algorithm.ndim]


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda nested: nested.label)
def test_the_footprint_is_that_of_the_kernel(algorithm: NestedAlgorithm) -> None:
    kernel = NativeConvolution(algorithm)
    sizes = sizes_of(algorithm)
    tiling = tile_axes(sizes, algorithm.m, algorithm.r, ((1, 1),) * algorithm.ndim)
    for (channels, outputs), kind, block, threads in product(LAYERS, ScheduleKind, (1, 2, 3), (1, 2, 5)):
        footprint = Footprint(channels, outputs, algorithm.rank, algorithm.m, algorithm.tile, panel=kernel._panel)
        schedule = Schedule(kind, block)
        assert footprint.filter_bytes == kernel.filter_bytes(channels, outputs)
        for first in ("", "x", "y", "xy"):
            layouts = (Layout.CHANNELS_FIRST if axis in first else Layout.CHANNELS_LAST for axis in "xy")
            shape = kernel_shape(tiling, 2, channels, outputs, schedule, *layouts)
            taken = 4 * kernel._library.winograd_workspace_floats(ctypes.byref(shape), threads)
            assert footprint.workspace_bytes(schedule, threads, first) == taken, (schedule, first)


def test_the_stated_workspace_is_the_largest_of_all_layouts() -> None:
    footprint = Footprint(64, 128, 216, (4, 4, 4), (6, 6, 6))
    schedule = Schedule(ScheduleKind.FUSED, 9)
    layouts = [footprint.workspace_bytes(schedule, 2, first) for first in ("", "x", "y", "xy")]
    assert footprint.workspace_bytes(schedule, 2) == max(layouts) > min(layouts)


@pytest.mark.parametrize("panel", [8, 16])
def test_narrower_vectors_take_no_more(panel: int) -> None:
    for (channels, outputs), kind in product(LAYERS, ScheduleKind):
        wide, narrow = (Footprint(channels, outputs, 216, (4, 4, 4), (6, 6, 6), panel=one) for one in (32, panel))
        assert narrow.filter_bytes <= wide.filter_bytes
        assert narrow.workspace_bytes(Schedule(kind, 7), 2) <= wide.workspace_bytes(Schedule(kind, 7), 2)


@pytest.mark.parametrize("kind", ScheduleKind)
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_largest_block_is_the_last_that_fits(kind: ScheduleKind, threads: int) -> None:
    footprint = Footprint(100, 70, 144, (2, 4, 4), (4, 6, 6))
    least = footprint.workspace_bytes(Schedule(kind, 1), threads)
    for limit in (least, least + 1, 2 * least, 10 * least, 64 << 20):
        block = footprint.largest_block(kind, threads, limit)
        assert footprint.workspace_bytes(Schedule(kind, block), threads) <= limit
        assert footprint.workspace_bytes(Schedule(kind, block + 1), threads) > limit
    assert footprint.largest_block(kind, threads, least - 1) == 0
