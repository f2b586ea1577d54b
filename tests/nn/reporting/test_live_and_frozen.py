"""Rows of a report say whether calls keep the transformed weight, and lines below them what to do about it."""

from __future__ import annotations

import torch
from torch import nn

import winograd
from winograd.nn import ConversionReport

CLIP = torch.ones(1, 16, 4, 8, 8)


def converted() -> tuple[nn.Sequential, ConversionReport]:
    model = nn.Sequential(nn.Conv3d(16, 16, 3, padding=1)).eval()
    return model, winograd.convert_(model, example=CLIP)


def test_a_report_names_freeze_until_the_model_is_frozen() -> None:
    model, report = converted()
    assert [row.weight for row in report.rows] == ["live"]
    assert "winograd.freeze(model)" in report.to_text()
    assert "winograd.freeze(model)" in report.to_html()
    winograd.freeze(model)
    assert [row.weight for row in report.rows] == ["frozen"]
    assert "winograd.freeze" not in report.to_text()
    assert "every call" not in report.to_text()


def test_calls_with_gradients_of_a_frozen_model_have_rows_that_are_told_apart() -> None:
    model, report = converted()
    winograd.freeze(model)
    model(CLIP)
    outputs = [row for row in report.rows if row.computes == "output"]
    assert sorted(row.weight for row in outputs) == ["frozen", "live"]
    text = report.to_text()
    assert "weight" in text.splitlines()[0].split()
    assert "torch.no_grad() or torch.inference_mode()" in " ".join(text.split())
    assert ConversionReport.from_json(report.to_json()).rows == report.rows


def test_rows_of_one_weight_have_no_column_for_it() -> None:
    model, report = converted()
    assert "weight" not in report.to_text().splitlines()[0].split()
    winograd.revert_(model)
    assert "every call" not in report.to_text()


def test_a_weight_that_is_computed_in_each_call_is_not_said_to_need_freezing() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv3d(16, 16, 3, padding=1))).eval()
    report = winograd.convert_(model, example=CLIP)
    winograd.freeze(model)
    with torch.no_grad():
        model(CLIP)
    assert {row.weight for row in report.rows} == {"live"}
    assert "winograd.freeze(model)" not in report.to_text()
    assert "computed anew in each" in " ".join(report.to_text().split())
