"""Stages: units of JSON, keys that tell apart what differs, and errors that are results."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from winograd import measure_error
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import LAYER, STANDARD
from winograd.accuracy.recipe import Recipe
from winograd.accuracy.searching.halving import rungs
from winograd.accuracy.searching.objective import Cost, Norm, Objective
from winograd.accuracy.searching.selection import BEST_OF_A_SHAPE, best_by_kappa, ordered
from winograd.accuracy.searching.stages import attempt, kappa_stage, measurement_stage, model_stage, report_of
from winograd.accuracy.searching.task import SearchTask

TASK = SearchTask(
    m=2,
    r=3,
    ndim=2,
    rank=4,
    dtype="float32",
    experiment=STANDARD,
    order=Order.HUFFMAN,
    norm=Norm.MEAN_ABS,
    objective=Objective.MEASUREMENT,
    max_height=20,
    budget=100,
    seed=3,
)
RECIPES = ("x,x-1,x+1,inf filter", "x,x-1,x+1,inf data", "x,x-1/2,x+1/2,inf filter")


@pytest.mark.parametrize("stage", [kappa_stage(TASK), model_stage(TASK, RECIPES), measurement_stage(TASK, RECIPES, 50)])
def test_units_and_results_are_json(stage: Any) -> None:
    for unit in stage.units:
        assert json.loads(json.dumps(unit)) == unit
        result = stage.work(unit)
        assert json.loads(json.dumps(result, allow_nan=False)) == result
        assert result.get("failed", 0) == 0


def test_a_measurement_comes_back_as_the_report_it_was() -> None:
    stage = measurement_stage(TASK, RECIPES[:1], 60)
    [unit] = stage.units
    report = report_of(TASK, RECIPES[0], stage.work(unit))
    direct = measure_error(TASK.build(Recipe.parse(RECIPES[0])), "float32", "standard", 60, "huffman", 3)
    assert report == direct
    assert report.digest == direct.digest


def test_predictions_are_in_the_order_of_the_recipes() -> None:
    [unit] = model_stage(TASK, RECIPES).units
    together = model_stage(TASK, RECIPES).work(unit)["errors"]
    alone = [model_stage(TASK, [text]).work({"recipes": [text]})["errors"][0] for text in RECIPES]
    assert together == pytest.approx(alone, rel=1e-12)
    assert together[2] > together[0]


@pytest.mark.parametrize(
    "change",
    [{"m": 3}, {"ndim": 3}, {"dtype": "float16"}, {"experiment": LAYER}, {"order": Order.LOWERED}, {"seed": 4}],
)
def test_whatever_changes_a_measurement_changes_its_key(change: dict[str, Any]) -> None:
    assert key(TASK) != key(replace(TASK, **change))


@pytest.mark.parametrize("change", [{"norm": Norm.RMS}, {"objective": Objective.MODEL}, {"budget": 7}])
def test_what_changes_nothing_keeps_the_key(change: dict[str, Any]) -> None:
    assert key(TASK) == key(replace(TASK, **change))


def key(task: SearchTask) -> str:
    stage = measurement_stage(task, RECIPES[:1], 50)
    return stage.key(stage.units[0])


def test_other_trials_other_key() -> None:
    stages = [measurement_stage(TASK, RECIPES[:1], trials) for trials in (50, 51)]
    assert stages[0].key(stages[0].units[0]) != stages[1].key(stages[1].units[0])


@pytest.mark.parametrize("error", [ValueError("a\nb"), OverflowError(), MemoryError("x" * 1000), RecursionError()])
def test_an_error_is_a_result_of_one_line(error: Exception) -> None:
    def work(unit: Any) -> Any:
        raise error

    result = attempt(work, {})
    assert result["failed"] == 1
    [reason] = result["reasons"]
    assert "\n" not in reason
    assert len(reason) <= 200


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ModuleNotFoundError("scipy")])
def test_what_no_other_candidate_could_mend_is_raised(error: BaseException) -> None:
    def work(unit: Any) -> Any:
        raise error

    with pytest.raises(type(error)):
        attempt(work, {})


def test_constants_that_overflow_are_a_reason() -> None:
    task = replace(TASK, dtype="float16", m=1, rank=3)
    stage = measurement_stage(task, ["x,x-1/100000,inf filter"], 50)
    result = stage.work(stage.units[0])
    assert (result["failed"], len(result["reasons"])) == (1, 1)


def test_float16_is_balanced() -> None:
    narrow = replace(TASK, dtype="float16").build(Recipe.parse(RECIPES[0]))
    assert max(abs(entry) for entry in narrow.axes[0].bt) <= 1
    assert narrow != TASK.build(Recipe.parse(RECIPES[0]))


@pytest.mark.parametrize("objective", [*Objective, Cost()])
@pytest.mark.parametrize("budget", [0, 1, 10, 10_000])
def test_rungs_narrow_and_never_exceed_the_budget(objective: Any, budget: int) -> None:
    for norm in Norm:
        ladder = rungs(replace(TASK, objective=objective, norm=norm, budget=budget))
        assert all(rung.candidates <= budget and rung.trials >= 2 for rung in ladder)
        assert [rung.candidates for rung in ladder] == sorted((rung.candidates for rung in ladder), reverse=True)
        assert [rung.trials for rung in ladder] == sorted({rung.trials for rung in ladder})


def test_only_a_mean_error_with_budget_enough_is_refined() -> None:
    assert [rung.is_refined for rung in rungs(replace(TASK, budget=10_000))] == [True, False, False, False]
    assert not any(rung.is_refined for rung in rungs(replace(TASK, budget=511)))
    assert not any(rung.is_refined for rung in rungs(replace(TASK, budget=10_000, norm=Norm.RMS)))


def test_every_shape_is_kept_and_ties_do_not_depend_on_the_order() -> None:
    near = {f"x,x-{place},x+{place},inf filter": float(place) for place in range(1, 1000)}
    far = {f"x-{place},x+{place},x-1,x+1 filter": 1e6 for place in range(2, 400)}
    chosen = best_by_kappa({**near, **far})
    assert chosen == best_by_kappa(dict(reversed([*near.items(), *far.items()])))
    assert sum(text in far for text in chosen) == BEST_OF_A_SHAPE


def test_equal_figures_are_ordered_by_text() -> None:
    assert ordered({"bb": 1.0, "c": 1.0, "a": 2.0, "b": 1.0}) == ["b", "c", "bb", "a"]
