from __future__ import annotations

import math
import subprocess
import sys
import warnings
from dataclasses import FrozenInstanceError, replace
from typing import Any

import mpmath
import numpy as np
import pytest

from winograd.accuracy import measurement as module
from winograd.accuracy.bounds import error_bound
from winograd.accuracy.experiment import measure_error, sample_errors
from winograd.accuracy.formats import float_format
from winograd.accuracy.protocol import LAYER, STANDARD, Experiment, Inputs
from winograd.accuracy.samples import draw_uniform
from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("order", ["sequential", "huffman", "lowered"])
def test_every_kind_is_measured_within_its_worst_case(dtype: str, ndim: int, order: str) -> None:
    nested = nest(*[toom_cook(3, 3)] * ndim)
    report = measure_error(nested, dtype, trials=200, order=order, seed=3)
    assert (report.trials, report.seed, report.dtype, report.order) == (200, 3, dtype, order)
    assert (report.experiment, report.protocol, report.algorithm) == ("standard", STANDARD, nested)
    assert 0 < report.mean_abs < report.max_abs <= error_bound(nested, dtype, order=order).max_abs
    for _, value, (low, high) in report.figures:
        assert low <= value <= high


def test_float64_is_measured_against_exact_numbers() -> None:
    report = measure_error(toom_cook(4, 3), "float64", trials=100)
    single = measure_error(toom_cook(4, 3), "float32", trials=5000)
    # The same algorithm in another precision: the ratio of the roundoffs, 2^29, and what 100 trials scatter.
    assert report.relative_l2 * 2**29 == pytest.approx(single.relative_l2, rel=0.25)


def test_same_arguments_same_report_and_another_seed_another() -> None:
    first, again = (measure_error(toom_cook(2, 3), trials=100, seed=5) for _ in range(2))
    assert first == again
    assert first.digest == again.digest
    assert measure_error(toom_cook(2, 3), trials=100, seed=6).digest != first.digest


@pytest.mark.parametrize("values", [4 * 30, 4 * 7, 4 * 1000])
@pytest.mark.parametrize("inputs", list(Inputs))
def test_results_do_not_depend_on_the_size_of_chunks(
    monkeypatch: pytest.MonkeyPatch, values: int, inputs: Inputs
) -> None:
    experiment = Experiment("chunks", inputs=inputs)
    whole = measure_error(toom_cook(2, 3), experiment=experiment, trials=1001, seed=5)
    monkeypatch.setattr(module, "_CHUNK_VALUES", values)
    assert measure_error(toom_cook(2, 3), experiment=experiment, trials=1001, seed=5) == whole


def test_a_longer_run_begins_with_a_shorter_one() -> None:
    short, long = (sample_errors(toom_cook(2, 3), trials=trials, seed=5) for trials in (100, 3000))
    np.testing.assert_array_equal(short, long[:100])
    assert not np.array_equal(short, sample_errors(toom_cook(2, 3), trials=100, seed=6))


def test_intervals_hold_95_percent_of_the_time() -> None:
    axis = toom_cook(2, 3)
    truth = measure_error(axis, trials=200_000, seed=1000)
    reports = [measure_error(axis, trials=200, seed=seed) for seed in range(300)]
    for name in ("mean_abs", "relative_l2"):
        expected = getattr(truth, name)
        intervals = [getattr(report, f"{name}_interval") for report in reports]
        held = sum(low <= expected <= high for low, high in intervals)
        # 285 are expected with a standard deviation of 3.8; the normal approximation costs a few.
        assert 267 <= held <= 297
        narrow = sum(abs(expected - (low + high) / 2) <= (high - low) / 8 for low, high in intervals)
        assert narrow < 267


def test_global_state_is_as_before() -> None:
    state: Any = np.random.get_state(legacy=False)  # noqa: NPY002  # the global generator is what must not move
    digits, filters, handling = mpmath.mp.dps, list(warnings.filters), np.geterr()
    measure_error(toom_cook(4, 3), "float16", trials=10)
    after: Any = np.random.get_state(legacy=False)  # noqa: NPY002
    assert np.array_equal(state["state"]["key"], after["state"]["key"])
    assert state["state"]["pos"] == after["state"]["pos"]
    assert (digits, filters, handling) == (mpmath.mp.dps, list(warnings.filters), np.geterr())


def test_overflow_is_an_infinite_error_without_a_warning() -> None:
    axis = toom_cook(6, 3, "0,1,-1,8,-8,9,-9,inf")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = measure_error(nest(axis, axis), "float16", trials=50)
    assert math.inf == report.mean_abs == report.max_abs == report.relative_l2
    assert report.mean_abs_interval == (math.inf, math.inf)


def test_grid_is_that_of_the_standard_library_of_cpp() -> None:
    single = draw_uniform(np.random.default_rng(0), (100_000,), float_format("float32"))
    assert single.dtype == np.float32
    assert -1 <= single.min() < -0.999
    assert 0.999 < single.max() < 1
    positive = single[single > 0]
    np.testing.assert_array_equal(positive * 2.0**23, np.round(positive * 2.0**23))
    assert abs(float(single.mean(dtype=np.float64))) < 5 / math.sqrt(3 * single.size)
    half = draw_uniform(np.random.default_rng(0), (100_000,), float_format("float16"))
    assert half.max() == 1 - 2.0**-10
    double = draw_uniform(np.random.default_rng(0), (1000,), float_format("float64"))
    assert np.any(double != double.astype(np.float32))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dtype": "int8"}, ValueError, "dtype is int8, must be one of float16, bfloat16, float32, float64"),
        ({"experiment": "hard"}, ValueError, "experiment is 'hard', must be one of standard, layer, or an Experiment"),
        ({"order": "pairs"}, ValueError, "order is 'pairs'"),
        ({"trials": 1}, ValueError, "trials is 1, must be at least 2"),
        ({"trials": 2.5}, TypeError, r"trials is 2\.5, must be an integer"),
        ({"seed": -1}, ValueError, "seed is -1, must be at least 0"),
        ({"algorithm": toom_cook(2, 3, "0,1000,-1000,inf"), "dtype": "float16"}, ValueError, "overflows float16"),
        ({"algorithm": "F(2,3)"}, TypeError, "algorithm is a str"),
        ({"dtype": "float64", "experiment": "layer"}, ValueError, "experiment layer in float64 is fused"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        measure_error(**{"algorithm": toom_cook(2, 3), **arguments})


def test_layer_experiment_sums_channels() -> None:
    report = measure_error(toom_cook(2, 3), experiment="layer", order="lowered", trials=50)
    assert report.protocol is LAYER
    assert report.relative_l2 > 1.5 * measure_error(toom_cook(2, 3), order="lowered", trials=50).relative_l2


def test_report_shows_itself_in_one_line_and_in_escaped_html() -> None:
    hostile = Experiment("<script>alert(1)</script>")
    report = measure_error(toom_cook(2, 3), experiment=hostile, trials=10)
    assert "\n" not in repr(report)
    for condition in ("float32", "huffman", "10 trials", "seed 0", "F(2,3)"):
        assert condition in repr(report)
    assert "<script>" not in report._repr_html_()
    assert "&lt;script&gt;" in report._repr_html_()
    with pytest.raises(FrozenInstanceError):
        report.trials = 1  # type: ignore[misc]
    assert replace(report, seed=1).digest != report.digest


def test_digest_is_the_same_in_another_process() -> None:
    code = "import winograd; print(winograd.measure_error(winograd.toom_cook(2, 3), trials=10).digest)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert shown.stdout.strip() == measure_error(toom_cook(2, 3), trials=10).digest
