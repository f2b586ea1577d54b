from __future__ import annotations

import io
import math
import subprocess
import sys
import warnings
from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

from winograd.accuracy.bounds import error_bound
from winograd.accuracy.experiment import measure_error, sample_errors
from winograd.accuracy.formats import float_format
from winograd.accuracy.measuring import measurement as module
from winograd.accuracy.model import kappa
from winograd.accuracy.protocol import LAYER, STANDARD, ChannelSum, Experiment, FilterRounding, Inputs
from winograd.accuracy.reference import direct_ref
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.interpret import Contraction


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


def test_the_worst_case_is_that_of_given_arrays_however_small_or_large_they_are() -> None:
    # A quarter of a subnormal number is lost whole, and a large weight makes of it what data of size 1 never lose.
    quarters = BilinearAlgorithm(m=1, r=1, at=[[4]], g=[[1]], bt=[[Fraction(1, 4)]])
    data, weights = np.full((1, 1, 1), 3 * 2.0**-24), np.full((1, 1, 1), 16000.0)
    report = measure_error(quarters, "float16", trials=2, order="lowered", data=data, weights=weights)
    worst = report.max_abs_interval[1]
    assert report.max_abs > error_bound(quarters, "float16").max_abs
    assert report.max_abs < worst < 3 * report.max_abs
    # Data of size 2^-40 have errors of that size, too.
    small, large = (
        measure_error(toom_cook(2, 3), trials=2, data=np.full((1, 1, 4), size), weights=np.ones((1, 1, 3)))
        for size in (2.0**-40, 1.0)
    )
    assert small.max_abs_interval[1] == pytest.approx(2.0**-40 * large.max_abs_interval[1], rel=1e-6)


def test_more_trials_than_can_be_kept_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match=r"^trials is 100000001, must be at most 100000000$"):
        measure_error(toom_cook(2, 3), trials=10**8 + 1)


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
        # 285 are expected with a standard deviation of 3.8; that errors are skewed costs a few.
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
        (
            {"experiment": Experiment("x", interface="float64")},
            ValueError,
            "interface of experiment x is float64",
        ),
        (
            {"dtype": "float16", "experiment": Experiment("x", storage="bfloat16")},
            ValueError,
            "storage of experiment x is bfloat16, must be numbers of dtype float16",
        ),
        (
            {"experiment": Experiment("x", transforms="bfloat16")},
            ValueError,
            "transforms of experiment x are bfloat16, must hold dtype float32",
        ),
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


@pytest.mark.parametrize(
    "fields",
    [
        {"storage": "float16"},
        {"storage": "bfloat16"},
        {"storage": "tf32"},
        {"transforms": "float64"},
        {"interface": "float16"},
        {"interface": "bfloat16", "storage": "bfloat16"},
        {"channel_block": 4},
        {"channel_sum": ChannelSum.PAIRWISE},
        {"contraction": Contraction.FUSED},
        {"filter_rounding": FilterRounding.ONCE},
        {"inputs": Inputs.NORMAL},
    ],
    ids=str,
)
def test_every_field_changes_what_is_measured(fields: dict[str, Any]) -> None:
    plain = Experiment("plain", channels=16)
    reports = [
        measure_error(toom_cook(4, 3), "float32", experiment, 300, "lowered")
        for experiment in (plain, replace(plain, name="changed", **fields))
    ]
    assert reports[0].mean_abs != reports[1].mean_abs
    for _, value, (low, high) in reports[1].figures:
        assert low <= value <= high


@pytest.mark.parametrize(("storage", "roundoff"), [("float16", 2.0**-11), ("bfloat16", 2.0**-8), ("tf32", 2.0**-11)])
def test_stored_operands_cost_what_theory_says(storage: str, roundoff: float) -> None:
    axis = toom_cook(4, 3)
    experiment = Experiment("stored", channels=64, storage=storage, filter_rounding=FilterRounding.ONCE)
    report = measure_error(nest(axis, axis), "float32", experiment, 1500, "lowered")
    # Two independent roundings of every product, of mean square phi u^2 / 3, phi = 0.541 on average over the scale; for
    # given scales phi lies between 3/8 and 3/4, which the square root makes 0.83 to 1.18 times the average.
    expected = roundoff * math.sqrt(2 * 0.541 / 3) * kappa(nest(axis, axis)) ** 0.5
    assert 0.83 < report.relative_l2 / expected < 1.18


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_arithmetic_has_the_errors_of_its_digits(dtype: str) -> None:
    axis, digits = toom_cook(2, 3), {"float16": 11, "bfloat16": 8}[dtype]
    narrow, single = (measure_error(axis, kind, trials=20_000) for kind in (dtype, "float32"))
    # The same algorithm in another precision, as fine as the grid of the inputs: within the interval's few percent,
    # but inputs of few digits make some sums exact.
    assert narrow.relative_l2 * 2.0 ** (digits - 24) == pytest.approx(single.relative_l2, rel=0.1)
    assert narrow.max_abs <= narrow.max_abs_interval[1]
    assert measure_error(axis, dtype, "layer", trials=50, order="lowered").relative_l2 > narrow.relative_l2


def test_signed_errors_are_what_the_figures_are_made_of() -> None:
    axis = toom_cook(4, 3)
    errors = sample_errors(nest(axis, axis), trials=3000, seed=2)
    report = measure_error(nest(axis, axis), trials=3000, seed=2)
    assert errors.shape == (3000, 4, 4)
    assert report.max_abs == np.abs(errors).max()
    assert report.mean_abs == pytest.approx(np.abs(errors).mean(), rel=1e-12)
    assert report.rms == pytest.approx(math.sqrt((errors**2).mean()), rel=1e-12)
    assert (errors < 0).any()
    assert (errors > 0).any()


def test_given_activations_and_weights_are_measured_with_their_channels() -> None:
    rng = np.random.default_rng(0)
    data = np.maximum(rng.normal(size=(2, 8, 12, 12)), 0).astype(np.float16)
    weights = rng.normal(size=(5, 8, 3, 3)).astype(np.float32)
    axis = toom_cook(2, 3)
    report = measure_error(nest(axis, axis), "float32", "layer", 200, "lowered", data=data, weights=weights)
    assert (report.protocol.name, report.protocol.channels) == ("layer", 8)
    assert report.max_abs < report.max_abs_interval[1] < 1e-2
    drawn = measure_error(nest(axis, axis), "float32", "layer", 200, "lowered", data=data)
    assert drawn.protocol.channels == 8
    assert drawn.digest != report.digest
    with pytest.raises(ValueError, match="weights has 8 channels, must have those of the experiment, 4"):
        measure_error(nest(axis, axis), experiment=Experiment("four", 4), weights=weights)
    with pytest.raises(ValueError, match="weights has 8 channels, must have those of the experiment, 3"):
        measure_error(nest(axis, axis), data=data[:, :3], weights=weights)


def test_where_all_outputs_are_zero_nothing_is_divided_by_them() -> None:
    constant, sum_zero = np.ones((1, 1, 9)), np.array([[[1.0, -2.0, 1.0]]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exact = measure_error(toom_cook(2, 3), trials=50, data=constant, weights=sum_zero)
        wrong = measure_error(toom_cook(4, 3), trials=50, data=constant / 3, weights=sum_zero)
    assert (exact.mean_abs, exact.rms, exact.max_abs) == (0, 0, 0)
    assert math.isnan(exact.relative_l2)
    assert "relative_l2 nan" in repr(exact)
    assert "nan" in exact._repr_html_()
    assert exact == measure_error(toom_cook(2, 3), trials=50, data=constant, weights=sum_zero)
    assert 0 < wrong.max_abs <= error_bound(toom_cook(4, 3), order="huffman").max_abs * 2
    assert wrong.relative_l2 == math.inf
    assert "relative_l2 inf" in repr(wrong)


@pytest.mark.parametrize("exponent", [-700, -540, -330, 330, 540, 700])
def test_the_size_of_the_inputs_moves_no_figure(exponent: int) -> None:
    rng = np.random.default_rng(0)
    data, weights = rng.normal(size=(3, 2, 12)), rng.normal(size=(3, 2, 3))
    experiment = Experiment("two", 2)

    def measured(factor: float) -> Any:
        return measure_error(toom_cook(4, 3), "float64", experiment, 40, data=data * factor, weights=weights)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain, scaled = measured(1.0), measured(2.0**exponent)
    for (_, value, interval), (name, found, bounds) in zip(plain.figures, scaled.figures, strict=True):
        factor = 1.0 if name == "relative_l2" else 2.0**exponent
        assert found == value * factor
        # The largest possible error is scaled only where it is more than that of inputs up to 1.
        assert bounds[0] == interval[0] * factor
        assert name == "max_abs" or bounds[1] == interval[1] * factor


def test_trials_of_very_different_sizes_are_scaled_by_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.random.default_rng(0).normal(size=(2, 1, 9)) * np.array([1e-160, 1e160])[:, None, None]
    whole = measure_error(toom_cook(2, 3), "float64", trials=30, data=data)
    monkeypatch.setattr(module, "_CHUNK_VALUES", 4)
    assert measure_error(toom_cook(2, 3), "float64", trials=30, data=data) == whole
    assert 1e-17 < whole.relative_l2 < 1e-15


def test_outputs_beyond_float64_are_infinite_errors_without_a_warning() -> None:
    data, weights = (np.random.default_rng(seed).normal(size=(2, 1, size)) * 1e200 for seed, size in ((0, 9), (1, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = measure_error(toom_cook(2, 3), "float64", trials=10, data=data, weights=weights)
        finite = measure_error(toom_cook(2, 3), "float64", "standard", 10, lambda d, _: d[:2, 0], data=data)
    assert math.inf == report.mean_abs == report.max_abs == report.rms == report.relative_l2
    assert finite.relative_l2 > 0.1


def test_a_function_is_measured_under_its_name() -> None:
    def direct(data: Any, filters: Any) -> Any:
        return direct_ref(data, filters)

    report = measure_error(toom_cook(4, 3), trials=2000, order=direct)
    assert report.order == "direct"
    assert 0 < report.mean_abs < measure_error(toom_cook(4, 3), trials=2000).mean_abs
    exact = measure_error(toom_cook(4, 3), trials=20, order=lambda d, w: direct_ref(*(x.astype(float) for x in (d, w))))
    assert exact.mean_abs < 1e-3 * report.mean_abs
    with pytest.raises(ValueError, match=r"order <lambda> returned shape \(4, 1, 10\), must return \(4, 10\)"):
        measure_error(toom_cook(4, 3), trials=10, order=lambda d, w: direct(d, w)[:, None])


def test_a_function_may_compute_in_place() -> None:
    def careless(data: Any, filters: Any) -> Any:
        result = direct_ref(data, filters)
        data *= 2
        filters[:] = 0
        return result

    report = measure_error(toom_cook(4, 3), trials=20, order=careless)
    assert report.mean_abs == measure_error(toom_cook(4, 3), trials=20, order=direct_ref).mean_abs


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.ones((4, 10), complex), "order <lambda> returned dtype complex128, must return one of float16, bfloat16, "),
        (np.ones((4, 10), object), "order <lambda> returned dtype object, must return one of float16"),
        (np.ones((4, 10), int), "order <lambda> returned dtype int64, must return one of float16"),
        (None, "order <lambda> returned dtype object, must return one of float16"),
        ([[1.0], [1.0, 2.0]], "what order <lambda> returned is a list that is no array"),
    ],
)
def test_what_a_function_returns_must_be_floating_point_numbers(returned: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}") as caught:
        measure_error(toom_cook(4, 3), trials=10, order=lambda *_: returned)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_function_may_return_every_format(dtype: str) -> None:
    fmt = float_format(dtype)
    wide = [toom_cook(4, 3), "float16", "standard", 30]
    report = measure_error(*wide, lambda d, w: fmt.round(direct_ref(*(x.astype(float) for x in (d, w)))))
    assert report.max_abs <= 3 * fmt.roundoff


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = measure_error(toom_cook(2, 3), trials=100)
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        assert measure_error(toom_cook(2, 3), trials=100, progress=True) == plain
        assert ("F(2,3)" in stream.getvalue()) == shown


def test_missing_tqdm_is_one_line_and_only_if_a_bar_is_to_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    measure_error(toom_cook(2, 3), trials=10)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    measure_error(toom_cook(2, 3), trials=10, progress=True)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(ModuleNotFoundError, match=r"progress needs tqdm.*pip install 'winograd\[search\]'"):
        measure_error(toom_cook(2, 3), trials=10, progress=True)
