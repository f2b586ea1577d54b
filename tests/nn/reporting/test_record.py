from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
import torch
from torch import nn

import winograd
from winograd.nn import ConversionReport
from winograd.nn.budget.record import LayerShare, OutputBudget
from winograd.nn.comparison import Times
from winograd.nn.reporting.measurement import Measurement

CLIP = torch.randn(1, 3, 6, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model() -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 4, 1), nn.Conv3d(4, 4, 3)).eval()


@pytest.fixture(scope="module")
def report(model: nn.Sequential) -> ConversionReport:
    converted = winograd.convert_(model, tolerance=2e-6, filter_fn=lambda _, name: name != "2")
    return converted.measure(CLIP, repeats=1)


def same(one: ConversionReport, other: ConversionReport) -> bool:
    texts = [(found.to_json(), found.to_html(), str(found), repr(found)) for found in (one, other)]
    return texts[0] == texts[1] and one.rows == other.rows and one.shapes == other.shapes


def test_json_comes_back_as_the_same_report(report: ConversionReport) -> None:
    read = ConversionReport.from_json(report.to_json())
    assert same(read, report)
    assert (read.converted, read.skipped, read.reverted) == (2, 1, 0)
    assert read.whole == report.whole is not None
    assert same(ConversionReport.from_json(report.to_json().encode()), report)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, copy.copy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_are_what_the_report_was(report: ConversionReport, duplicate: Callable[[Any], Any]) -> None:
    assert same(duplicate(report), report)


def test_a_figure_that_changed_is_noticed(report: ConversionReport) -> None:
    figures = json.loads(report.to_json())
    figures["rows"][0]["measured"]["error"] *= 2
    assert not same(ConversionReport.from_json(json.dumps(figures)), report)


def test_recorded_shapes_plan_another_model_alike(model: nn.Sequential, report: ConversionReport) -> None:
    other = winograd.revert_(copy.deepcopy(model))
    shapes = ConversionReport.from_json(report.to_json()).shapes
    assert shapes == {"0": [(1, 3, 6, 6, 6)], "3": [(1, 4, 6, 6, 6)]}
    again = winograd.convert_(other, tolerance=2e-6, filter_fn=lambda _, name: name != "2", shapes=shapes)
    figures = [(row.layer, row.input, row.algorithm, row.predicted_error) for row in report.rows]
    assert [(row.layer, row.input, row.algorithm, row.predicted_error) for row in again.rows] == figures


def test_layers_that_were_turned_back_say_so_and_stay_readable() -> None:
    model = nn.Sequential(nn.Conv3d(3, 4, 3), nn.Conv3d(4, 4, 1))
    report = winograd.convert_(model, example=CLIP)
    former = [row.algorithm for row in report.rows]
    winograd.revert_(model)
    assert [row.status for row in report.rows] == ["reverted", "reverted"]
    assert [row.reason for row in report.rows] == [
        f"its class is its own again; converted it was {algorithm}" for algorithm in former
    ]
    assert (report.converted, report.reverted) == (0, 2)
    assert str(report).splitlines()[-1] == "0 converted, 0 left as they were, 2 turned back"
    assert same(ConversionReport.from_json(report.to_json()), report)


def test_the_budget_of_the_output_comes_with_it() -> None:
    model = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.Conv3d(4, 4, 3)).eval()
    report = winograd.convert_(model, output_tolerance=1e-5, example=CLIP)
    assert report.budget is not None
    read = ConversionReport.from_json(report.to_json())
    assert read.budget == report.budget
    assert same(read, report)
    first_words = report.budget.summary.split(":")[0]
    assert first_words.startswith("output tolerance 1e-05")
    for text in (str(report), report.to_html()):
        assert first_words in text


def broken(place: str, value: object) -> str:
    """Return the text of a report in which one figure is another; the place names it, from the outermost on."""
    share = LayerShare("0", 1e-5, "direct", 0.0, None, None, None, 1.0, 1.0)
    budget = OutputBudget(1e-5, 1.25, 4e-7, 3e-7, 4e-7, (share,), 1)
    model = nn.Sequential(nn.Conv3d(3, 4, 3))
    whole = Measurement(1e-6, 1e-7, Times("own", "native", 2.0, 1.0, 2.0, (1.5, 2.5), (1.0, 1.0), (1.5, 2.5)))
    figures = json.loads(winograd.convert_(model, example=CLIP).to_json())
    figures |= {"budget": budget.as_dict(), "whole": asdict(whole)}
    ConversionReport.from_json(json.dumps(figures))
    *path, last = place.split(".")
    inner: Any = figures
    for step in path:
        inner = inner[int(step) if step.isdecimal() else step]
    inner[last] = value
    return json.dumps(figures)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("rows.0.layer", 1),
        ("rows.0.input", ["a"]),
        ("rows.0.input", [True]),
        ("rows.0.tolerance", "small"),
        ("rows.0.predicted_error", math.inf),
        ("rows.0.filter_bytes", 1.5),
        ("rows.0.reason", None),
        ("rows.0.status", "lost"),
        ("rows.0.measured", {"error": None, "direct_error": 1.0, "times": None}),
        ("whole.error", "x"),
        ("whole.direct_error", []),
        ("whole.times.ratio", None),
        ("whole.times.ratio_range", [1.0]),
        ("whole.times.ratio_range", [2.0, 1.0]),
        ("whole.times.direct_range", "1 to 2"),
        ("budget.measured_error", None),
        ("budget.runs", "1"),
        ("budget.layers.0.gain", "x"),
        ("budget.layers.0.note", 2),
    ],
)
def test_figures_of_another_type_are_refused(place: str, value: object) -> None:
    name = "error" if place == "rows.0.measured" else place.rsplit(".", maxsplit=1)[-1]
    with pytest.raises(ValueError, match=rf"text is no conversion report: (Type|Value)Error: {name} is .*, must be "):
        ConversionReport.from_json(broken(place, value))


def test_a_report_without_ranges_of_times_is_read() -> None:
    figures = json.loads(broken("whole.error", 1e-6))
    read = ConversionReport.from_json(json.dumps(figures)).whole
    assert read is not None
    assert read.times == Times("own", "native", 2.0, 1.0, 2.0, (1.5, 2.5), (1.0, 1.0), (1.5, 2.5))
    for name in ("direct_range", "converted_range", "ratio_range"):
        del figures["whole"]["times"][name]
    old = ConversionReport.from_json(json.dumps(figures)).whole
    assert old == Measurement(1e-6, 1e-7, Times("own", "native", 2.0, 1.0, 2.0))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "JSONDecodeError"),
        ("[]", "TypeError"),
        ("{}", "KeyError: 'format'"),
        ('{"format": 2}', "format is 2, must be 1"),
        ('{"format": 1, "rows": [{"layer": "a"}], "whole": null, "budget": null}', "KeyError"),
    ],
)
def test_text_that_is_no_report_is_refused(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=f"text is no conversion report: .*{word}"):
        ConversionReport.from_json(text)
