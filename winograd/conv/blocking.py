"""How the native backend cuts its work: tiles held at a time, and channels summed at a time.

In: a tiling, channels and an algorithm. Out: numbers of tiles. Needs no torch: plans state their memory from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from winograd.algebra.tiling import Tiling

LEAST_V_BYTES: Final = 3 << 20
"""Transformed data that all threads hold at a time, beside a small filter that stays in the last-level cache."""

MOST_V_BYTES: Final = 12 << 20
"""Transformed data that all threads hold at a time, at most: it should stay in the last-level cache itself."""

V_PER_FILTER_BYTE: Final = 3 / 8
"""The whole filter is read once for every block of V, so V grows with it between these limits."""

M_BYTES: Final = 3 << 20
"""Products that one thread holds at a time."""

NOMINAL_PANEL: Final = 32
"""Output channels that are summed at a time with AVX-512; half and a quarter of it with narrower vectors."""


@dataclass(frozen=True, slots=True)
class Blocking:
    """How many tiles are held at a time: ``block`` of them as V by all threads, ``task`` of them as M by one thread."""

    block: int
    task: int


def choose_blocking(
    tiling: Tiling, batch: int, channels: int, outputs: int, rank: int, panel: int = NOMINAL_PANEL
) -> Blocking:
    """Return how many tiles are held at a time, in parts of nearly equal size, within the limits above.

    Examples
    --------
    >>> from winograd.algebra.tiling import tile_axes
    >>> tiling = tile_axes(sizes=(16, 56, 56), m=(4, 4, 4), r=(3, 3, 3), padding=((1, 1),) * 3)
    >>> choose_blocking(tiling, batch=1, channels=64, outputs=128, rank=216)
    Blocking(block=56, task=56)
    """
    tiles = max(batch * tiling.count, 1)
    held_bytes = min(max(LEAST_V_BYTES, int(V_PER_FILTER_BYTE * 4 * rank * channels * outputs)), MOST_V_BYTES)
    block = _even_part(tiles, held_bytes // (4 * rank * max(channels, 1)))
    return Blocking(block, _even_part(block, M_BYTES // (4 * rank * panel)))


def _even_part(total: int, limit: int) -> int:
    parts = -(-total // max(limit, 1))
    return -(-total // parts)
