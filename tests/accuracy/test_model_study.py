"""The committed studies keep what they promise, and a few of their cases come out the same here."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from winograd.accuracy.batch import predict_batch
from winograd.accuracy.formats import float_format
from winograd.accuracy.model import predict_error
from winograd.accuracy.modelling import moments, variance
from winograd.accuracy.orders import as_order
from winograd.accuracy.recipe import Recipe

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((BENCHMARKS / "results" / f"{name}.json").read_text())
    return found


study, check = loaded("model_study"), loaded("bound_check")


def test_committed_study_is_within_its_tolerances() -> None:
    rows = result("model_study")["rows"]
    assert len(rows) >= 150
    for kind, tolerance in (("one channel", 0.08), ("many channels", 0.05)):
        distances = np.array([abs(row["ratio"] - 1) for row in rows if row["kind"] == kind])
        assert (distances <= tolerance).mean() >= 0.95
        assert distances.max() <= 0.10
    assert result("model_study")["summary"] == study.summary(rows)


def test_committed_study_is_of_all_cases() -> None:
    listed = [(case.axis, case.ndim, case.experiment.name) for case in study.cases()]
    assert listed == [(row["axis"], row["ndim"], row["experiment"]) for row in result("model_study")["rows"]]


SMALL = [case for case in study.cases() if case.nested.rank * case.experiment.channels <= 5000]
DOZEN = random.Random(0).sample(SMALL, 12)


@pytest.mark.parametrize("case", DOZEN, ids=lambda case: f"{case.axis}-{case.ndim}D-{case.experiment.name}")
def test_a_dozen_cases_come_out_again(case: Any) -> None:
    row = study.compared(case, study.trials_of(case, 2e6), seed=7)
    # The tolerance of the model, and the measurement's interval doubled: four standard errors.
    assert abs(row["ratio"] - 1) <= study.TOLERANCES[row["kind"]] + 2 * row["half_interval"]


def test_all_committed_predictions_are_those_of_the_model() -> None:
    found = [predict_error(case.nested, "float32", case.experiment, case.order).relative_l2 for case in study.cases()]
    committed = [row["predicted_relative_l2"] for row in result("model_study")["rows"]]
    # The same sums in float64, perhaps in another order.
    assert found == pytest.approx(committed, rel=1e-9, abs=0)


def test_committed_ranking_orders_candidates_and_is_of_this_model() -> None:
    cases = result("model_ranking")["cases"]
    assert {(case["algorithm"], case["experiment"]) for case in cases} == {
        (f"F({m}x{m},3x3)", experiment) for m in (4, 6) for experiment in ("layer", "standard")
    }
    for case in cases:
        assert case["spearman"] >= 0.98
        recipes = [Recipe.parse(text) for text in case["sets"]]
        setting = {"ndim": 2, "experiment": case["experiment"], "order": case["order"]}
        # Figures are committed with five digits.
        found = predict_batch(int(case["algorithm"][2]), 3, recipes, **setting)
        assert found == pytest.approx(case["predicted"], rel=1e-4, abs=0)
        assert case["spearman"] == pytest.approx(spearmanr(found, case["measured"]).statistic, abs=1e-3)


def test_committed_rates_are_those_that_a_search_needs() -> None:
    sizes = result("model_speed")["per_second"]
    assert set(sizes) == {"F(4,3)", "F(6,3)"}
    for rates in sizes.values():
        assert rates["kappa"] >= 1e5
        assert "asymmetric, layer, lowered, float32, 2D" in rates
        # Batched over candidates of one program shape: with programs known.
        for experiment in ("layer, lowered", "standard, huffman"):
            assert rates[f"{experiment}, float32, 2D"]["again"] >= 2000


@pytest.mark.parametrize("forgotten", ["accumulation", "storage", "inverse"])
def test_a_model_that_forgets_one_rounding_is_noticed(monkeypatch: pytest.MonkeyPatch, forgotten: str) -> None:
    name = "64 stored in float16" if forgotten == "storage" else "64 in order"
    case = next(case for case in study.cases() if (case.axis, case.ndim, case.experiment.name) == ("F(4,3)", 2, name))
    if forgotten == "inverse":
        case = replace(case, experiment=replace(case.experiment, channels=1))
    right = study.compared(case, 3000, seed=3)
    if forgotten == "accumulation":
        monkeypatch.setattr(variance, "accumulation", lambda *_: 0.0)
    elif forgotten == "storage":
        monkeypatch.setattr(variance, "rounding_variance", lambda sizes, *_: np.zeros_like(sizes))
    else:
        known = moments.axis_moments
        monkeypatch.setattr(
            variance, "axis_moments", lambda *given: replace(known(*given), inverse=0 * known(*given).inverse)
        )
    parts = variance.variances.__wrapped__(case.nested, float_format("float32"), case.experiment, as_order(case.order))
    wrong = float(np.sqrt(parts.by_output.mean() / np.prod(case.nested.r)))
    tolerance = study.TOLERANCES[right["kind"]] + 2 * right["half_interval"]
    assert abs(right["ratio"] - 1) <= tolerance < abs(wrong / right["measured_relative_l2"] - 1)


def test_committed_check_found_no_violation_in_a_million_runs() -> None:
    found = result("bound_check")
    assert found["runs"] >= 10**6
    assert found["violations"] == 0
    assert max(found["worst_error_over_bound"].values()) <= 1
    for row in found["quantiles"]["rows"]:
        for share, covered in zip(found["quantiles"]["shares"], row["covered"], strict=True):
            # Four standard deviations of a count: one of 48 beyond it has a probability of 0.3 %.
            assert abs(covered - share) <= 4 * np.sqrt(share * (1 - share) / row["tiles"])


def test_a_handful_of_tiles_stays_under_the_bound() -> None:
    rows = [check.checked(np.random.default_rng(seed), 20) for seed in range(20)]
    assert sum(row["violations"] for row in rows) == 0
    assert max(row["worst"] for row in rows) > 0.05


@pytest.mark.parametrize(("m", "ndim", "storage"), [(4, 1, None), (2, 2, None), (4, 2, "float16")])
def test_quantiles_cover_their_share_of_64_channel_tiles(m: int, ndim: int, storage: str | None) -> None:
    row = check.coverage(m, ndim, storage, 2000, 5)
    assert all(abs(score) <= 4 for score in row["z"])


def test_a_quantile_of_another_share_is_noticed() -> None:
    row = check.coverage(4, 1, None, 2000, 5)
    low, tiles = row["covered"][0], row["tiles"]
    assert abs(low - 0.95) > 4 * np.sqrt(0.95 * 0.05 / tiles)


def test_quantiles_beyond_the_sample_are_refused() -> None:
    prediction = predict_error(study.axes()["F(2,3)"])
    for share in (0.0, -1.0, 0.99999, 1.0, float("nan")):
        with pytest.raises(ValueError, match=r"^share is .*, must be above 0 and at most 0.9999$"):
            prediction.quantile(share)
