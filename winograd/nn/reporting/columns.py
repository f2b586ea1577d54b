"""The columns of a conversion report, and the lines on the whole below it. In: a report. Out: cells and lines of text.

A column in which no row has anything is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from winograd.accuracy.showing.table import mebibytes, scientific
from winograd.nn.comparison import Times
from winograd.nn.report import ConversionReport
from winograd.nn.reporting.measurement import Measurement
from winograd.nn.reporting.rows import CONVERTED, ReportRow

NOTHING: Final = "-"

DIRECT: Final = "direct"
"""The algorithm of rows that are computed by torch's own convolution."""

_LIVE: Final = (
    "weights are transformed in every call: winograd.freeze(model) keeps them transformed for inference, and plans "
    "change then"
)

_LIVE_THOUGH_FROZEN: Final = (
    "rows that are live and not frozen transform their weight in every call: it is computed anew in each, or gradients "
    "are recorded; run frozen models under torch.no_grad() or torch.inference_mode()"
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what stands above it, and the cell of a row.

    Words stand to the left, figures to the right. Where there is no room, the columns that are most spare give way
    first; those of 0 never do. ``always`` keeps a column whose cells are all empty.
    """

    header: str
    cell: Callable[[ReportRow], str]
    words: bool = False
    spare: int = 0
    always: bool = False


def _measured(of: Callable[[Measurement], str]) -> Callable[[ReportRow], str]:
    return lambda row: NOTHING if row.measured is None else of(row.measured)


def _timed(of: Callable[[Times], str]) -> Callable[[ReportRow], str]:
    return _measured(lambda found: NOTHING if found.times is None else of(found.times))


def _ranged(of: Callable[[Times], tuple[float, float] | None]) -> Callable[[ReportRow], str]:
    return _timed(lambda times: NOTHING if (found := of(times)) is None else between(found))


def between(rounds: tuple[float, float]) -> str:
    """Return the least and the largest of rounds in words.

    Examples
    --------
    >>> between((12.34, 15.0))
    '12.3 to 15'
    """
    return f"{rounds[0]:.3g} to {rounds[1]:.3g}"


COLUMNS: Final = (
    Column("layer", lambda row: row.layer, words=True, always=True),
    Column("class", lambda row: row.kind, words=True, spare=11, always=True),
    Column("input", lambda row: "x".join(map(str, row.input)) or NOTHING, words=True, spare=2, always=True),
    Column("computes", lambda row: row.computes, words=True, spare=1),
    Column("weight", lambda row: row.weight or NOTHING, words=True, spare=1),
    Column("algorithm", lambda row: row.algorithm, words=True, always=True),
    Column("schedule", lambda row: row.schedule or NOTHING, words=True, spare=12),
    Column("folds", lambda row: row.folds or NOTHING, words=True, spare=10),
    Column("tolerance", lambda row: scientific(row.tolerance), spare=9),
    Column("predicted error", lambda row: scientific(row.predicted_error), always=True),
    Column("measured error", _measured(lambda found: scientific(found.error)), spare=3),
    Column("direct error", _measured(lambda found: scientific(found.direct_error)), spare=6),
    Column("direct ms", _timed(lambda times: f"{times.direct_ms:.3g}"), spare=5),
    Column("direct ms range", _ranged(lambda times: times.direct_range), spare=14),
    Column("ms", _timed(lambda times: f"{times.converted_ms:.3g}"), spare=4),
    Column("ms range", _ranged(lambda times: times.converted_range), spare=13),
    Column("ratio", _timed(lambda times: f"{times.ratio:.2f}")),
    Column("ratio range", _ranged(lambda times: times.ratio_range), spare=5),
    Column("U MiB", lambda row: mebibytes(row.filter_bytes), spare=7, always=True),
    Column("work MiB", lambda row: mebibytes(row.workspace_bytes), spare=8, always=True),
)
"""All of them but the reason."""


def columns_of(rows: Sequence[ReportRow]) -> list[Column]:
    """Return the columns in which a row has something, and what rows differ in where it is often the same."""
    alike = {
        "computes": {row.computes for row in rows} <= {"output"},
        "weight": len({row.weight for row in rows if row.weight}) <= 1,
        "tolerance": len(_tolerances(rows)) <= 1,
    }
    return [
        column
        for column in COLUMNS
        if not alike.get(column.header, False) and (column.always or _has_any(column, rows))
    ]


def _tolerances(rows: Sequence[ReportRow]) -> set[float]:
    return {row.tolerance for row in rows if row.tolerance is not None}


def _has_any(column: Column, rows: Sequence[ReportRow]) -> bool:
    return any(column.cell(row) != NOTHING for row in rows)


def summary(report: ConversionReport) -> str:
    """Return how many layers were converted, and the memory that they take."""
    if not report.layers:
        return "0 converted: the model has no convolution"
    back = f", {report.reverted} turned back" if report.reverted else ""
    counts = f"{report.converted} converted, {report.skipped} left as they were{back}"
    rows = [row for row in report.rows if row.status == CONVERTED and row.input]
    if not rows:
        return counts
    tolerances, filters = _tolerances(rows), filter_bytes(rows)
    workspace = max(row.workspace_bytes for row in rows)
    each = f"; tolerance {tolerances.pop():g} each" if len(tolerances) == 1 else ""
    memory = f"; U {filters / 2**20:.1f} MiB in all, workspace {workspace / 2**20:.1f} MiB at most"
    return f"{counts}{each}{memory if filters or workspace else ''}"


def filter_bytes(rows: Sequence[ReportRow]) -> int:
    """Return the bytes of the transformed filters of all layers, each for the shape for which it takes most."""
    most: dict[str, int] = {}
    for row in rows:
        if row.computes == "output":
            most[row.layer] = max(most.get(row.layer, 0), row.filter_bytes)
    return sum(most.values())


def lines(report: ConversionReport) -> Iterator[str]:
    """Yield lines on weights that are transformed in every call, and on times and errors where they were measured."""
    weights = {row.weight for row in report.rows if row.status == CONVERTED}
    if "live" in weights:
        yield _LIVE_THOUGH_FROZEN if "frozen" in weights or report.is_frozen else _LIVE
    timed = [row.measured.times for row in report.rows if row.measured is not None and row.measured.times is not None]
    if timed:
        direct, converted = (
            math.fsum(getattr(times, name) for times in timed) for name in ("direct_ms", "converted_ms")
        )
        yield f"layers, sums of medians: best direct {direct:.4g} ms, converted {converted:.4g} ms"
    whole = report.whole
    if whole is None:
        return
    yield (
        f"whole model, relative L2 error of the output against float64: {scientific(whole.error)} "
        f"(before the conversion {scientific(whole.direct_error)})"
    )
    if whole.times is not None:
        times = whole.times
        yield (
            f"whole model: before {times.direct_ms:.4g} ms ({_aside(times.direct_range, times.direct_variant)}), "
            f"converted {times.converted_ms:.4g} ms ({_aside(times.converted_range, times.converted_variant)}), "
            f"ratio {times.ratio:.2f}{f' ({_aside(times.ratio_range)})' if times.ratio_range else ''}"
            f"{_not_by_winograd(report, times)}"
        )


def _aside(rounds: tuple[float, float] | None, *words: str) -> str:
    return "; ".join((*(() if rounds is None else (between(rounds),)), *words))


def _not_by_winograd(report: ConversionReport, times: Times) -> str:
    """Return what beside Winograd is in the ratio of the whole model; empty if nothing is known."""
    rows = [row for row in report.rows if row.status == CONVERTED and row.computes == "output" and row.input]
    if rows and all(row.algorithm == DIRECT for row in rows):
        return "; all layers are direct: the ratio is that of memory formats, of what is folded, and of noise"
    differ = times.direct_variant != times.converted_variant
    return "; the memory formats differ, and that is part of the ratio" if differ else ""
