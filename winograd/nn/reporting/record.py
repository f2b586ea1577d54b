"""A conversion report as JSON text, and back. In: a report or text. Out: the other. Refused: text that is no report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from itertools import groupby
from typing import Any, Final

from winograd.nn.report import ConversionReport
from winograd.nn.reporting.measurement import Measurement
from winograd.nn.reporting.rows import CONVERTED, REVERTED, SKIPPED, LayerEntry, ReportRow
from winograd.nn.reporting.typed import typed

FORMAT: Final = 1


def report_json(report: ConversionReport) -> str:
    """Return counts, rows, what was measured of the whole, and the budget."""
    figures = {
        "format": FORMAT,
        "converted": report.converted,
        "skipped": report.skipped,
        "reverted": report.reverted,
        "rows": [asdict(row) for row in report.rows],
        "whole": None if report.whole is None else asdict(report.whole),
        "budget": None if report.budget is None else report.budget.as_dict(),
    }
    return json.dumps(figures, indent=2, allow_nan=False)


def read_report(text: str | bytes) -> ConversionReport:
    """Return the report that was written; its rows stay as they are.

    Raises
    ------
    ValueError
        If the text is no report.
    """
    try:
        figures = json.loads(text)
        if figures["format"] != FORMAT:
            raise ValueError(f"format is {figures['format']}, must be {FORMAT}")
        rows = [_read_row(row) for row in figures["rows"]]
        # A layer without its own row has one that says why, so that no layer is lost.
        grouped = ((name, tuple(group)) for name, group in groupby(rows, lambda row: row.layer))
        report = ConversionReport(tuple(LayerEntry(name, own[0].kind, None, "", own) for name, own in grouped))
        report.whole = _read_measurement(figures["whole"])
        report._recorded = _read_budget(figures["budget"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"text is no conversion report: {type(error).__name__}: {error}") from None
    return report


def _read_row(figures: Mapping[str, Any]) -> ReportRow:
    row = {**figures, "input": tuple(figures["input"]), "measured": _read_measurement(figures["measured"])}
    read = typed(ReportRow(**row))
    if read.status not in {CONVERTED, SKIPPED, REVERTED}:
        raise ValueError(f"status is {read.status!r}, must be {CONVERTED}, {SKIPPED} or {REVERTED}")
    return read


def _read_measurement(figures: Mapping[str, Any] | None) -> Measurement | None:
    return None if figures is None else Measurement.from_dict(figures)


def _read_budget(figures: Mapping[str, Any] | None) -> Any:
    if figures is None:
        return None
    from winograd.nn.budget.record import OutputBudget

    budget = typed(OutputBudget.from_dict(figures))
    for layer in budget.layers:
        typed(layer)
    return budget
