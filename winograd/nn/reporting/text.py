"""A conversion report as text that fits a terminal. In: a report and a width. Out: lines, none wider.

Reasons stand in the table where they fit, and below it where they do not. What does not fit otherwise gives way, and a
line says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Final

from winograd.accuracy.showing.table import text_table
from winograd.nn.folding.fold import NO_FOLD
from winograd.nn.report import ConversionReport
from winograd.nn.reporting.columns import Column, columns_of, lines, summary
from winograd.nn.reporting.rows import ReportRow

LEAST_WIDTH: Final = 60

_SHARE: Final = 4
"""Part of the width that a column of words takes at most before others give way to it."""

_SHORTEST: Final = 12
"""Letters that it takes at least."""

_GAP: Final = 2

_REASON: Final = Column("reason", lambda row: row.reason, words=True)


def report_text(report: ConversionReport, width: int) -> str:
    """Return the table, the reasons, and lines on the whole.

    Raises
    ------
    ValueError
        If the width is below 60.
    """
    if width < LEAST_WIDTH:
        raise ValueError(f"width is {width}, must be at least {LEAST_WIDTH}")
    whole = [summary(report), *lines(report)]
    if report.budget is not None:
        whole += report.budget.summary.splitlines()
    folded = [part for line in whole for part in _wrapped(line, width)]
    return "\n".join([*_table(report.rows, width), *folded])


def _table(rows: Sequence[ReportRow], width: int) -> Iterator[str]:
    if not rows:
        return
    columns = [*columns_of(rows), _REASON]
    if _widest(columns, rows) <= width:
        yield _aligned(columns, _cells(columns, rows))
        return
    columns, left_out = _fitting(columns[:-1], rows, width)
    shown = _narrowed(columns, _cells(columns, rows), width)
    yield _aligned(columns, shown)
    yield "reasons:"
    yield from _reasons(rows, width, {cell for row in shown for cell in row})
    if left_out:
        yield from _wrapped(f"not shown: {', '.join(left_out)}; to_html() and rows have them", width)


def _aligned(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> str:
    left = [place for place, column in enumerate(columns) if column.words]
    return text_table([column.header for column in columns], cells, left=left)


def _cells(columns: Sequence[Column], rows: Sequence[ReportRow]) -> list[list[str]]:
    return [[column.cell(row) for column in columns] for row in rows]


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> list[int]:
    headers = [column.header for column in columns]
    return [max(map(len, column)) for column in zip(headers, *cells, strict=True)]


def _widest(columns: Sequence[Column], rows: Sequence[ReportRow], longest: int | None = None) -> int:
    """Return how wide the table is, its words cut to the longest."""
    widths = _widths(columns, _cells(columns, rows))
    capped = [
        min(width, longest) if longest and column.words else width
        for column, width in zip(columns, widths, strict=True)
    ]
    return sum(capped) + _GAP * (len(capped) - 1)


def _fitting(columns: Sequence[Column], rows: Sequence[ReportRow], width: int) -> tuple[list[Column], list[str]]:
    """Return the columns that there is room for, and the headers of those that are left out."""
    kept, left_out = list(columns), []
    while _widest(kept, rows, width // _SHARE) > width and any(column.spare for column in kept):
        spare = max(kept, key=lambda column: column.spare)
        kept.remove(spare)
        left_out.append(spare.header)
    return kept, left_out


def _narrowed(columns: Sequence[Column], cells: list[list[str]], width: int) -> list[list[str]]:
    """Return the cells, the longest words without their middle, until the table fits."""
    widths = _widths(columns, cells)
    words = [place for place, column in enumerate(columns) if column.words]
    while sum(widths) + _GAP * (len(widths) - 1) > width:
        place = max(words, key=lambda place: widths[place])
        if widths[place] <= _SHORTEST:
            break
        widths[place] -= 1
    return [[shortened(cell, most) for cell, most in zip(row, widths, strict=True)] for row in cells]


def shortened(text: str, most: int) -> str:
    """Return the text, dots in the place of its middle if it is too long.

    Examples
    --------
    >>> shortened("backbone.layer4.1.conv2", 14), shortened("conv2", 14)
    ('backbo...conv2', 'conv2')
    """
    if len(text) <= most:
        return text
    front = (most - 2) // 2
    return f"{text[:front]}...{text[len(text) - (most - 3 - front) :]}"


def _reasons(rows: Sequence[ReportRow], width: int, shown: set[str]) -> Iterator[str]:
    """Yield each reason once, behind all of those that it is the reason of; so for folding nothing, if not shown."""
    places: dict[str, dict[str, None]] = {}
    for row in rows:
        nothing = f"folds {row.folds}" if row.folds.startswith(NO_FOLD) and row.folds not in shown else ""
        for reason in filter(None, (row.reason, nothing)):
            places.setdefault(reason, {})[_place(row, rows)] = None
    for reason, named in places.items():
        yield from _wrapped(f"  {', '.join(named)}: {reason}", width)


def _place(row: ReportRow, rows: Sequence[ReportRow]) -> str:
    """Return the name of the layer, with what tells this row from its others."""
    others = [other for other in rows if other.layer == row.layer]
    shape = f" {'x'.join(map(str, row.input))}" if len({other.input for other in others}) > 1 else ""
    alike = [other for other in others if (other.input, other.computes) == (row.input, row.computes)]
    weight = row.weight if len({other.weight for other in alike}) > 1 else ""
    marks = ", ".join(filter(None, ("" if row.computes == "output" else row.computes, weight)))
    return f"{row.layer}{shape}{f' ({marks})' if marks else ''}"


def _wrapped(line: str, width: int) -> list[str]:
    return wrap(line, width, subsequent_indent="    ") or [""]
