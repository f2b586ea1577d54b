"""Schedules: blocks that hold every tile once, and the choice that a kernel makes by itself."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.algebra.tiling import tile_axes
from winograd.conv.native.schedule import (
    FEWEST_SHARED_TILES,
    FULL_BLOCKS,
    SHARED_BYTES,
    Schedule,
    ScheduleKind,
    choose_schedule,
    schedules,
)

NUMBERS = {"channels": st.integers(1, 600), "outputs": st.integers(1, 600), "rank": st.sampled_from([4, 36, 216, 600])}


@given(tiles=st.integers(1, 2000), threads=st.integers(1, 16), **NUMBERS)
def test_blocks_hold_tiles_and_threads_share_them_evenly(
    tiles: int, threads: int, channels: int, outputs: int, rank: int
) -> None:
    found = schedules(tiles, channels=channels, outputs=outputs, rank=rank, threads=threads)
    assert len(set(found)) == len(found)
    assert [one.kind for one in found][-1] is ScheduleKind.STAGED
    assert all(1 <= one.block <= tiles for one in found)
    fused = [one.block for one in found if one.kind is ScheduleKind.FUSED]
    assert all(small < large for small, large in pairwise(fused))
    for block in fused:
        blocks = -(-tiles // block)
        # As many blocks for every thread, but where rounding tiles up to whole ones needs fewer.
        assert blocks >= min(threads, tiles) or block <= -(-tiles // threads)
    held = 4 * rank * (channels + -(-outputs // 32) * 32) * found[-1].block
    assert held <= SHARED_BYTES or found[-1].block <= FEWEST_SHARED_TILES


def test_full_blocks_are_offered_where_there_are_tiles() -> None:
    found = schedules(10**6, channels=64, outputs=64, rank=216, threads=2)
    assert {one.block for one in found} >= set(FULL_BLOCKS)


@pytest.mark.parametrize(("channels", "kind"), [(16, ScheduleKind.FUSED), (512, ScheduleKind.STAGED)])
def test_a_kernel_keeps_small_filters_fused(channels: int, kind: ScheduleKind) -> None:
    tiling = tile_axes((16, 56, 56), (4, 4, 4), (3, 3, 3), ((1, 1),) * 3)
    chosen = choose_schedule(tiling, batch=1, channels=channels, outputs=channels, rank=216, threads=2)
    assert isinstance(chosen, Schedule)
    assert chosen.kind is kind
