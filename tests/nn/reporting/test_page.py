from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

import winograd
from winograd.nn import ConversionReport
from winograd.nn.report import ReportRow
from winograd.nn.reporting import page

ROW = ReportRow("a", "Conv3d", "converted", (1, 1), "output", "direct", "", None, None, 0, 0, "", "")

HEADER = ("U MiB", "work MiB", "total MiB")

HOSTILE = "<script>alert('&\"')</script>"


@pytest.fixture(scope="module")
def report() -> ConversionReport:
    model = nn.Sequential()
    model.add_module(HOSTILE, nn.Conv3d(2, 2, 3))
    model.add_module("second", nn.Conv3d(2, 2, 1))
    return winograd.convert_(model).measure(torch.ones(1, 2, 4, 4, 4), repeats=1)


def test_everything_is_escaped_and_well_formed(report: ConversionReport) -> None:
    assert "<script" not in report.to_html()
    table = ElementTree.fromstring(f"<div>{report._repr_html_()}</div>").find("table")
    assert table is not None
    assert table.findtext("tr[2]/td[1]") == HOSTILE


def test_the_table_has_all_columns_and_sums(report: ConversionReport) -> None:
    table = ElementTree.fromstring(f"<div>{report._repr_html_()}</div>").find("table")
    assert table is not None
    header = [cell.text for cell in table.findall("tr[1]/th")]
    assert header[:3] == ["layer", "class", "input"]
    assert header[-1] == "reason"
    sums = dict(zip(header, [cell.text for cell in table.findall("tfoot/tr/th")], strict=True))
    times = [row.measured.times for row in report.rows if row.measured is not None and row.measured.times is not None]
    assert len(times) == 2
    assert sums["layer"] == "total"
    assert header[-2] == "total MiB"
    assert sums["ms"] == f"{sum(one.converted_ms for one in times):.3g}"
    assert {"direct ms range", "ms range", "ratio range"} <= set(header)
    assert sums["ratio range"] is None
    assert sums["direct ms"] == f"{sum(one.direct_ms for one in times):.3g}"


def test_memory_is_that_of_all_weights_and_of_the_largest_workspace() -> None:
    rows = [
        replace(ROW, layer="a", filter_bytes=1 << 20, workspace_bytes=4 << 20),
        replace(ROW, layer="a", filter_bytes=2 << 20, workspace_bytes=1 << 20),  # another shape of the same layer
        replace(ROW, layer="b", filter_bytes=8 << 20, workspace_bytes=3 << 20),
    ]
    sums = dict(zip(HEADER, page._sums(HEADER, rows), strict=True))
    assert sums == {"U MiB": "10.0", "work MiB": "4.0", "total MiB": "14.0"}


def test_the_page_says_what_was_measured_of_the_whole_and_loads_nothing(report: ConversionReport) -> None:
    text = report.to_html()
    assert text.startswith("<!DOCTYPE html>")
    assert "whole model, relative L2 error of the output" in text
    assert "default-src 'none'" in text
    assert "http:" not in text
    assert "https:" not in text


def test_a_model_without_a_convolution_has_a_page() -> None:
    with pytest.warns(UserWarning, match="no convolution was converted"):
        report = winograd.convert_(nn.Sequential())
    assert "the model has no convolution" in report.to_html()
