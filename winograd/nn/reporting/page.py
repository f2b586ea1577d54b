"""A conversion report as HTML. In: a report. Out: a page that loads nothing, or its parts. All text is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from winograd.accuracy.showing.html_report import html_page, paragraph
from winograd.accuracy.showing.table import html_table, mebibytes
from winograd.nn.report import ConversionReport
from winograd.nn.reporting.columns import Column, columns_of, filter_bytes, lines, summary
from winograd.nn.reporting.rows import ReportRow

_MEMORY = Column("total MiB", lambda row: mebibytes(row.total_bytes))
_REASON = Column("reason", lambda row: row.reason, words=True)


def report_page(report: ConversionReport) -> str:
    """Return the page."""
    return html_page("Conversion report", report_parts(report)).decode()


def report_parts(report: ConversionReport) -> list[str]:
    """Return the table with its sums, and what was measured of the whole, as HTML."""
    rows = report.rows
    columns = [*columns_of(rows), _MEMORY, _REASON]
    header = [column.header for column in columns]
    cells = [[column.cell(row) for column in columns] for row in rows]
    said = [*lines(report), *([] if report.budget is None else report.budget.summary.splitlines())]
    foot = _sums(header, rows) if rows else ()
    return [html_table(summary(report), header, cells, foot=foot, most=None), *map(paragraph, said)]


def _sums(header: Sequence[str], rows: Sequence[ReportRow]) -> list[str]:
    """Return the last row: memory in all, of the workspace the largest, and the sums of times."""
    times = [row.measured.times for row in rows if row.measured is not None and row.measured.times is not None]
    filters, workspace = filter_bytes(rows), max(row.workspace_bytes for row in rows)
    sums = {
        "layer": "total",
        "U MiB": mebibytes(filters),
        "work MiB": mebibytes(workspace),
        _MEMORY.header: mebibytes(filters + workspace),
    }
    if times:
        sums["direct ms"] = f"{sum(one.direct_ms for one in times):.3g}"
        sums["ms"] = f"{sum(one.converted_ms for one in times):.3g}"
    return [sums.get(name, "") for name in header]
