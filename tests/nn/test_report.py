from __future__ import annotations

import json

import torch
from torch import nn

import winograd
from winograd.conv.plan.record import Backend


def test_rows_fill_as_plans_are_made() -> None:
    model = nn.ModuleDict({"wide": nn.Conv3d(64, 64, 3, padding=1), "point": nn.Conv3d(4, 4, 1)})
    report = winograd.convert_(model)
    winograd.freeze(model)
    assert repr(report) == "<ConversionReport: 2 of 2 convolutions converted, 0 plans made>"
    assert [row.algorithm for row in report.rows] == ["no forward yet", "no forward yet"]
    with torch.inference_mode():
        model["wide"](torch.zeros(1, 64, 8, 32, 32))
        model["wide"](torch.zeros(2, 64, 8, 32, 32))
        model["point"](torch.zeros(1, 4, 2, 2, 2))
    assert repr(report) == "<ConversionReport: 2 of 2 convolutions converted, 3 plans made>"
    first, second, point = report.rows
    assert (first.layer, first.input, second.input) == ("wide", (1, 64, 8, 32, 32), (2, 64, 8, 32, 32))
    plan = model["wide"].plans[0]
    assert plan.backend is Backend.NATIVE
    assert first.algorithm == plan.algorithm_label
    assert first.algorithm.startswith("native F(")
    assert 0 < first.predicted_error <= 1e-5
    assert (first.filter_bytes, first.workspace_bytes) == (plan.filter_bytes, plan.workspace_bytes)
    assert first.filter_bytes > 64 * 64 * 27 * 4  # U is larger than the filter it stands for
    assert (point.algorithm, point.predicted_error, point.filter_bytes) == ("direct", None, 0)


def test_a_layer_that_is_differentiated_has_a_row_for_each_gradient() -> None:
    model = nn.ModuleDict({"wide": nn.Conv3d(64, 64, 3, padding=1), "frozen": nn.Conv3d(64, 64, 3, padding=1)})
    report = winograd.convert_(model, tolerance=5e-6)
    clip = torch.zeros(2, 64, 8, 32, 32)
    model["wide"](clip.clone().requires_grad_())
    with torch.no_grad():
        model["frozen"](clip)
    output, of_input, of_weight, frozen = report.rows
    assert [row.layer for row in report.rows] == ["wide", "wide", "wide", "frozen"]
    assert [row.computes for row in report.rows] == ["output", "input gradient", "weight gradient", "output"]
    for row, plan in zip((of_input, of_weight), model["wide"].gradient_plans, strict=True):
        assert (row.input, row.algorithm, row.reason) == ((2, 64, 8, 32, 32), plan.label, plan.reason)
        assert (row.predicted_error, row.workspace_bytes) == (plan.predicted_error, plan.workspace_bytes)
        assert plan.algorithm is not None
        assert 0 < row.predicted_error <= 5e-6
    assert output.algorithm.startswith("native F(")
    assert frozen.algorithm.startswith("native F(")
    assert "weight gradient" in str(report)
    assert "<td>input gradient</td>" in report._repr_html_()


def test_text_names_every_layer_and_counts() -> None:
    report = winograd.convert_(
        nn.Sequential(nn.Conv3d(2, 2, 3), nn.Conv3d(2, 2, 3)), filter_fn=lambda _, name: name == "0"
    )
    text = str(report)
    assert text.splitlines()[0].split()[:2] == ["layer", "class"]
    assert "no forward yet" in text
    assert "excluded by filter_fn" in text
    assert text.splitlines()[-1] == "1 converted, 1 left as they were"


def test_html_is_escaped() -> None:
    model = nn.Sequential()
    model.add_module("<b>&", nn.Conv3d(2, 2, 3))
    html = winograd.convert_(model)._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;&amp;" in html


def test_json_holds_the_rows() -> None:
    model = nn.Sequential(nn.Conv3d(2, 2, 3))
    report = winograd.convert_(model)
    with torch.inference_mode():
        model(torch.zeros(1, 2, 4, 4, 4))
    loaded = json.loads(report.to_json())
    assert (loaded["converted"], loaded["skipped"]) == (1, 0)
    assert loaded["rows"][0]["input"] == [1, 2, 4, 4, 4]
    assert loaded["rows"][0]["algorithm"] == "direct"


def test_a_gradient_that_nobody_asks_for_has_no_plan() -> None:
    layer = winograd.nn.Conv3d(64, 64, 3, padding=1)
    clip = torch.zeros(2, 64, 8, 32, 32)
    layer(clip)
    assert [plan.wanted.value for plan in layer.gradient_plans] == ["weight"]
    layer.requires_grad_(False)
    layer(clip.clone().requires_grad_())
    assert [plan.wanted.value for plan in layer.gradient_plans] == ["weight", "input"]
