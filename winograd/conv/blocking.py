"""How the native backend cuts its work: tiles held at a time, and channels summed at a time.

In: a tiling, channels and an algorithm. Out: numbers of tiles. Needs no torch: plans state their memory from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from winograd.algebra.tiling import Tiling

V_BYTES: Final = 12 << 20
"""Transformed data that all threads hold at a time: it should stay in the last-level cache."""

M_BYTES: Final = 3 << 20
"""Products that one thread holds at a time."""

NOMINAL_PANEL: Final = 32
"""Output channels that are summed at a time with AVX-512; half and a quarter of it with narrower vectors."""


@dataclass(frozen=True, slots=True)
class Blocking:
    """How many tiles are held at a time: ``block`` of them as V by all threads, ``task`` of them as M by one thread."""

    block: int
    task: int


def choose_blocking(tiling: Tiling, batch: int, channels: int, rank: int, panel: int = NOMINAL_PANEL) -> Blocking:
    """Return how many tiles are held at a time, in parts of nearly equal size, within `V_BYTES` and `M_BYTES`.

    Examples
    --------
    >>> from winograd.algebra.tiling import tile_axes
    >>> tiling = tile_axes(sizes=(16, 56, 56), m=(4, 4, 4), r=(3, 3, 3), padding=((1, 1),) * 3)
    >>> choose_blocking(tiling, batch=1, channels=64, rank=216)
    Blocking(block=196, task=98)
    """
    tiles = max(batch * tiling.count, 1)
    block = _even_part(tiles, V_BYTES // (4 * rank * max(channels, 1)))
    return Blocking(block, _even_part(block, M_BYTES // (4 * rank * panel)))


def _even_part(total: int, limit: int) -> int:
    parts = -(-total // max(limit, 1))
    return -(-total // parts)
