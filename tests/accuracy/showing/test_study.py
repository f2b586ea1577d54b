"""Studies: measured, predicted and bounded figures of one experiment side by side."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from winograd import error_bound, measure_error, nest, toom_cook
from winograd.accuracy.experiment import sample_errors
from winograd.accuracy.model import predict_error
from winograd.accuracy.protocol import STANDARD, Experiment
from winograd.accuracy.ranges import safe_range
from winograd.accuracy.showing.study import HEADER, ErrorStudy, study_error
from winograd.accuracy.showing.study_report import study_page

AXIS = toom_cook(2, 3)
NESTED = nest(AXIS, AXIS)


@pytest.fixture(scope="module")
def study() -> ErrorStudy:
    return study_error(NESTED, trials=200, seed=3)


def test_every_figure_is_of_one_experiment(study: ErrorStudy) -> None:
    assert study.report.digest == measure_error(NESTED, trials=200, seed=3).digest
    assert study.prediction == predict_error(NESTED, "float32", "standard", "huffman")
    assert study.bound == error_bound(NESTED, "float32", order="huffman", experiment="standard")
    assert study.range == safe_range(NESTED, "float32", order="huffman", experiment="standard")
    assert study.conditions == "standard experiment, float32, huffman order, 1 channel, 200 trials, seed 3"


def test_the_table_shows_the_figures(study: ErrorStudy) -> None:
    rows = {row[0]: row for row in study.rows}
    assert all(len(row) == len(HEADER) for row in study.rows)
    assert float(rows["mean_abs"][1]) == pytest.approx(study.report.mean_abs, rel=5e-4)
    assert float(rows["relative_l2"][3]) == pytest.approx(study.prediction.relative_l2, rel=5e-4)
    assert float(rows["max_abs"][4]) == pytest.approx(study.bound.max_abs, rel=5e-4)
    assert float(study.range_rows[-1][1]) == pytest.approx(study.range.largest, rel=5e-4)
    text = str(study)
    assert all(cell in text for row in (*study.rows, *study.quantile_rows, *study.range_rows) for cell in row)


def test_json_has_all_figures(study: ErrorStudy) -> None:
    figures = json.loads(json.dumps(study.as_dict(), allow_nan=False))
    assert figures["measured"]["mean_abs"] == {
        "value": study.report.mean_abs,
        "interval": list(study.report.mean_abs_interval),
    }
    assert np.array_equal(figures["predicted"]["rms_by_output"], study.prediction.rms_by_output)
    assert figures["algorithm"]["axes"][0]["bt"][0] == [str(entry) for entry in AXIS.bt.row(0)]
    assert figures["experiment"]["channels"] == 1
    assert figures["bound"]["max_abs"] == study.bound.max_abs
    assert figures["largest_without_overflow"]["largest"] == study.range.largest


def test_what_is_infinite_is_null_in_json(study: ErrorStudy) -> None:
    overflowed = replace(study, report=replace(study.report, mean_abs=math.inf, mean_abs_interval=(math.inf, math.inf)))
    figures = overflowed.as_dict()["measured"]["mean_abs"]
    assert figures == {"value": None, "interval": [None, None]}
    json.dumps(overflowed.as_dict(), allow_nan=False)


def test_the_page_has_its_pictures_and_figures(study: ErrorStudy) -> None:
    errors = sample_errors(NESTED, trials=200, seed=3)
    page = study_page(study, errors)
    assert page.count(b"<figure>") == 5
    assert page != study_page(study, 2 * errors)
    assert all(cell.encode() in page for row in study.rows for cell in row)
    assert b"http://" not in page
    assert b"https://" not in page


def test_a_page_escapes_what_an_experiment_is_called() -> None:
    hostile = Experiment("<script>alert(1)</script>", channels=2)
    page = study_page(study_error(AXIS, experiment=hostile, trials=20), sample_errors(AXIS, "float32", hostile, 20))
    assert b"<script" not in page
    assert b"&lt;script&gt;" in page


def test_overflow_leaves_the_pictures_out(study: ErrorStudy) -> None:
    errors = np.full((20, 2, 2), np.inf)
    page = study_page(study, errors)
    assert b"overflowed" in page
    assert b"<figure>" not in page


def test_the_preset_is_what_its_name_says(study: ErrorStudy) -> None:
    assert study_error(NESTED, experiment=STANDARD, trials=200, seed=3).report.digest == study.report.digest
