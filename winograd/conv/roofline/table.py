"""What an accelerator's designer asks of a layer, as cells of a table: one row a stage, and their sum.

In: `StageCost` records of one convolution. Out: text by row. A part of the roofline is the bound over the prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from winograd.conv.roofline.stages import StageCost, bound_ms, total_ms

HEADER: Final = (
    "stage",
    "GFLOP",
    "MB own cache",
    "MB shared cache",
    "MB memory",
    "KiB held",
    "ms",
    "bound, ms",
    "of the roofline",
    "limited by",
)


def stage_rows(stages: Sequence[StageCost]) -> list[tuple[str, ...]]:
    """Return the rows of the stages of one convolution, and that of all of them together where there are several.

    Examples
    --------
    >>> from winograd.conv.roofline import copies_cost
    >>> stage_rows([copies_cost(1e6)])[0][:5]
    ('copies', '0', '1', '1', '1')
    """
    rows = [_row(one) for one in stages]
    return rows if len(rows) < 2 else [*rows, _sum_row(stages)]


def _row(one: StageCost) -> tuple[str, ...]:
    limit = one.limited_by if one.bound_ms else ""
    amounts = (one.operations, one.own_bytes, one.shared_bytes, one.memory_bytes)
    return _cells(one.name, amounts, one.buffer_bytes, one.milliseconds, one.bound_ms, limit)


def _sum_row(stages: Sequence[StageCost]) -> tuple[str, ...]:
    names = ("operations", "own_bytes", "shared_bytes", "memory_bytes")
    amounts = [sum(getattr(one, name) for one in stages) for name in names]
    held = max(one.buffer_bytes for one in stages)
    slowest = max(stages, key=lambda one: one.bound_ms)
    return _cells("all", amounts, held, total_ms(stages), bound_ms(stages), slowest.limited_by)


def _cells(name: str, amounts: Sequence[float], held: float, taken: float, bound: float, limit: str) -> tuple[str, ...]:
    operations, *moved = amounts
    part = f"{bound / taken:.0%}" if taken else ""
    sizes = [f"{size / 1e6:.3g}" for size in moved]
    return (
        name,
        f"{operations / 1e9:.3g}",
        *sizes,
        f"{held / 2**10:.0f}",
        f"{taken:.3g}",
        f"{bound:.3g}",
        part,
        limit,
    )
