from __future__ import annotations

import re
from dataclasses import replace

import pytest
from torch import nn

import winograd
from winograd.nn import ConversionReport
from winograd.nn.comparison import Times
from winograd.nn.report import LayerEntry, ReportRow
from winograd.nn.reporting.measurement import Measurement

ROW = ReportRow(
    layer="features.stage4.block2.branch1.conv_spatial.0.convolution",
    kind="Conv3dSimple",
    status="converted",
    input=(16, 1024, 100, 1120, 1120),
    computes="output",
    algorithm="native F(8x4x7,3x3x3) of 11x6x9 products",
    schedule="fused blocks of 28 tiles",
    tolerance=1e-5,
    predicted_error=7.3e-6,
    filter_bytes=3 << 20,
    workspace_bytes=5 << 19,
    folds="features.stage4.block2.branch1.norm_spatial, features.stage4.block2.relu",
    reason="Winograd with stride (1, 2, 2) by 4 phases would take 35.2 ms: not faster by a factor of 1.85 " * 3,
    measured=Measurement(2.1e-6, 3e-7, Times("onednn_prepacked", "channels_last", 34.5, 7.6, 4.55)),
)


def recorded(*rows: ReportRow) -> ConversionReport:
    return ConversionReport(tuple(LayerEntry(row.layer, row.kind, None, "", (row,)) for row in rows))


@pytest.mark.parametrize("width", [60, 61, 79, 80, 100, 120, 160, 250, 1000])
def test_no_line_is_wider_than_asked_for(width: int) -> None:
    gradient = replace(ROW, computes="weight gradient", tolerance=2e-6, measured=None)
    report = recorded(ROW, replace(ROW, layer="stem"), gradient, replace(ROW, layer="x" * 300, reason="y" * 500))
    text = report.to_text(width)
    assert max(map(len, text.splitlines())) <= width
    words = re.sub(r"\s+", "", text)
    assert re.sub(r"\s+", "", ROW.reason) in words  # wrapped, not cut
    assert "y" * 500 in words


def test_what_had_no_room_is_named() -> None:
    text = recorded(ROW).to_text(100)
    left_out = next(line for line in text.splitlines() if line.startswith("not shown: "))
    assert left_out.startswith("not shown: schedule, class, folds")
    assert "fused blocks" not in text
    assert "not shown" not in recorded(ROW).to_text(1000)


def test_reasons_stand_beside_where_they_fit_and_once_below_where_not() -> None:
    short = replace(ROW, layer="a", reason="asked for")
    assert "reasons:" not in recorded(short, replace(short, layer="b")).to_text(1000)
    below = recorded(short, replace(short, layer="b"), replace(short, layer="c", reason="z")).to_text(100).splitlines()
    assert below[below.index("reasons:") + 1 :][:2] == ["  a, b: asked for", "  c: z"]


def test_tolerances_are_a_column_only_where_they_differ() -> None:
    assert "tolerance 1e-05 each" in recorded(ROW, ROW).to_text()
    both = recorded(replace(ROW, layer="a", reason=""), replace(ROW, layer="b", reason="", tolerance=3e-6)).to_text(250)
    assert "each" not in both
    assert [line.split()[0] for line in both.splitlines() if "3.0e-06" in line] == ["b"]


def test_sums_are_those_of_the_rows() -> None:
    report = recorded(replace(ROW, layer="a"), replace(ROW, layer="b", workspace_bytes=1 << 20))
    report.whole = Measurement(1.5e-6, 2e-7, Times("contiguous", "channels_last", 100.0, 50.0, 2.0))
    lines = report.to_text().splitlines()
    assert (
        lines[-4]
        == "2 converted, 0 left as they were; tolerance 1e-05 each; U 6.0 MiB in all, workspace 2.5 MiB at most"
    )
    assert lines[-3] == "layers, sums of medians: best direct 69 ms, converted 15.2 ms"
    assert "1.5e-06 (before the conversion 2.0e-07)" in lines[-2]
    assert " ".join(lines[-1].split()) == (
        "whole model: before 100 ms (contiguous), converted 50 ms (channels_last), ratio 2.00; the memory formats "
        "differ, and that is part of the ratio"
    )


@pytest.mark.parametrize(
    ("algorithm", "variant", "end"),
    [
        (
            "direct",
            "channels_last",
            "; all layers are direct: the ratio is that of memory formats, of what is folded, and of noise",
        ),
        ("native F(2x2x2,3x3x3)", "contiguous", "ratio 1.25"),
    ],
)
def test_a_ratio_that_is_not_of_winograd_says_so(algorithm: str, variant: str, end: str) -> None:
    report = recorded(replace(ROW, layer="a", reason="", algorithm=algorithm))
    report.whole = Measurement(1.5e-6, 2e-7, Times("contiguous", variant, 50.0, 40.0, 1.25))
    assert report.to_text(250).splitlines()[-1].endswith(end)


SPREAD = Times("contiguous", "contiguous", 34.5, 7.6, 4.55, (33.26, 41.0), (7.5, 7.9), (4.2, 5.0))


def test_the_rounds_have_a_range_beside_each_median() -> None:
    report = recorded(replace(ROW, layer="a", reason="", measured=Measurement(2.1e-6, 3e-7, SPREAD)))
    report.whole = Measurement(2.1e-6, 3e-7, SPREAD)
    table, whole = report.to_text(1000), report.to_text(1000).splitlines()[-1]
    for words in ("direct ms range", "ms range", "ratio range", "33.3 to 41", "7.5 to 7.9", "4.2 to 5"):
        assert words in table
    assert whole == (
        "whole model: before 34.5 ms (33.3 to 41; contiguous), converted 7.6 ms (7.5 to 7.9; contiguous), "
        "ratio 4.55 (4.2 to 5)"
    )
    assert "not shown: direct ms range, ms range" in report.to_text(160)
    assert "range" not in recorded(ROW).to_text(1000)


def test_a_model_without_a_convolution_has_one_line() -> None:
    with pytest.warns(UserWarning, match="no convolution was converted"):
        report = winograd.convert_(nn.Sequential(nn.Linear(2, 2)))
    assert str(report) == "0 converted: the model has no convolution"


def test_too_narrow_is_refused() -> None:
    with pytest.raises(ValueError, match="width is 59, must be at least 60"):
        recorded(ROW).to_text(59)
