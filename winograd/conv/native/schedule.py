"""How the native backend orders its work: by which schedule, and how many tiles are held at a time.

In: a tiling, channels, an algorithm, threads, perhaps a cap on memory. Out: a `Schedule`, and the bytes it takes. Needs
no torch: plans state their memory from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from winograd.algebra.tiling import Tiling

OWN_BYTES: Final = 3 << 18
"""V and M that one thread holds by the fused schedule: they should stay in a core's own cache."""

FEWEST_OWN_TILES: Final = 8
"""Fewer tiles are not worth reading the whole filter for."""

SHARED_FILTER_BYTES: Final = 12 << 20
"""A filter up to this size stays in the last-level cache, so that it may be read for every block."""

SHARED_BYTES: Final = 16 << 20
"""V and M that all threads hold by the staged schedule: they should stay in the last-level cache."""

FEWEST_SHARED_TILES: Final = 32
"""Tiles that the staged schedule holds at least, whatever their bytes: the filter is read once for every block."""

NOMINAL_PANEL: Final = 32
"""Output channels that are summed at a time with AVX-512; half and a quarter of it with narrower vectors."""

FULL_BLOCKS: Final = (14, 28)
"""Tiles that fill the registers of the product once and twice with AVX-512."""


class ScheduleKind(IntEnum):
    """FUSED: each thread takes blocks of tiles through all stages. STAGED: all threads take one block, stage by stage.

    The values are those of the enumeration in the C target's declarations.
    """

    FUSED = 1
    STAGED = 2


@dataclass(frozen=True, slots=True)
class Schedule:
    """How the work is ordered.

    Parameters
    ----------
    kind : ScheduleKind
    block : int
        Tiles that are held at a time, as V and M: by every thread (FUSED) or by all of them (STAGED).
    """

    kind: ScheduleKind
    block: int


def choose_schedule(
    tiling: Tiling,
    *,
    batch: int,
    channels: int,
    outputs: int,
    rank: int,
    threads: int,
    panel: int = NOMINAL_PANEL,
    number_bytes: int = 4,
) -> Schedule:
    """Return the schedule that keeps V and M in the nearest cache they fit into.

    Examples
    --------
    >>> from winograd.algebra.tiling import tile_axes
    >>> tiling = tile_axes(sizes=(16, 56, 56), m=(4, 4, 4), r=(3, 3, 3), padding=((1, 1),) * 3)
    >>> choose_schedule(tiling, batch=1, channels=64, outputs=128, rank=216, threads=2)
    Schedule(kind=<ScheduleKind.FUSED: 1>, block=9)
    >>> choose_schedule(tiling, batch=1, channels=256, outputs=256, rank=216, threads=2)
    Schedule(kind=<ScheduleKind.STAGED: 2>, block=36)
    """
    tiles = max(batch * tiling.count, 1)
    padded = -(-outputs // panel) * panel
    each = -(-tiles // (2 * threads))
    own = min(OWN_BYTES // (number_bytes * rank * (channels + panel)), each)
    fits = number_bytes * rank * channels * padded <= SHARED_FILTER_BYTES
    if fits and own >= max(min(FEWEST_OWN_TILES, each), 1):
        return Schedule(ScheduleKind.FUSED, _even_part(tiles, own))
    held = max(SHARED_BYTES // (number_bytes * rank * (channels + padded)), FEWEST_SHARED_TILES)
    return Schedule(ScheduleKind.STAGED, _even_part(tiles, held))


def schedules(
    tiles: int,
    *,
    channels: int,
    outputs: int,
    rank: int,
    threads: int,
    panel: int = NOMINAL_PANEL,
    number_bytes: int = 4,
) -> tuple[Schedule, ...]:
    """Return the schedules that are worth comparing: fused blocks of some sizes, and staged blocks of one.

    Fused blocks hold as many tiles as fit into a core's own cache, or as fill the registers of the product once or
    twice; every thread gets equally many where there are enough.

    Examples
    --------
    >>> found = schedules(tiles=98, channels=256, outputs=256, rank=216, threads=2)
    >>> [(schedule.kind.name, schedule.block) for schedule in found]
    [('FUSED', 3), ('FUSED', 13), ('FUSED', 25), ('STAGED', 33)]
    """
    padded = -(-outputs // panel) * panel
    own = max(OWN_BYTES // (number_bytes * rank * (channels + panel)), 1)
    blocks = {_equal_part(tiles, size, threads) for size in (own, *FULL_BLOCKS)}
    held = max(SHARED_BYTES // (number_bytes * rank * (channels + padded)), FEWEST_SHARED_TILES)
    staged = Schedule(ScheduleKind.STAGED, _even_part(tiles, held))
    return (*(Schedule(ScheduleKind.FUSED, block) for block in sorted(blocks)), staged)


def _equal_part(total: int, limit: int, threads: int) -> int:
    """Return the size of parts of at most ``limit`` whose number is a multiple of the threads where it can be."""
    parts = -(-total // limit)
    return -(-total // min(-(-parts // threads) * threads, total))


def _even_part(total: int, limit: int) -> int:
    parts = -(-total // max(limit, 1))
    return -(-total // parts)
