"""Stages: units of JSON, keys that tell apart what differs, and errors that are results."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from winograd import measure_error
from winograd.accuracy.model import predict_error
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import LAYER, STANDARD
from winograd.accuracy.recipe import Recipe, Scaling
from winograd.accuracy.searching import stages
from winograd.accuracy.searching.halving import rungs
from winograd.accuracy.searching.objective import Cost, Norm, Objective
from winograd.accuracy.searching.running import Running
from winograd.accuracy.searching.selection import BEST_OF_A_SHAPE, best_by_kappa, ordered
from winograd.accuracy.searching.stages import Stage, attempt, kappa_stage, measurement_stage, model_stage, report_of
from winograd.accuracy.searching.task import SearchTask
from winograd.accuracy.searching.trials import Trials
from winograd.accuracy.searching.versions import provenance, source_digest
from winograd.accuracy.searching.workers import Workers
from winograd.algebra.nesting import nest

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


def test_other_source_or_other_packages_other_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(TASK)
    for line in provenance():
        others = tuple("other" if one == line else one for one in provenance())
        monkeypatch.setattr(stages, "provenance", lambda others=others: others)
        assert key(TASK) != before


def test_every_python_file_of_the_rooms_decides_on_the_digest(tmp_path: Path) -> None:
    names = ("algebra/a.py", "codegen/targets/b.py", "accuracy/searching/c.py")
    for name in (*names, "accuracy/catalogue.json", "networks/d.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("LEAST = 1\n")
    before = source_digest(tmp_path)
    assert before == source_digest(tmp_path)
    for name in names:
        (tmp_path / name).write_text("LEAST = 2\n")
        assert source_digest(tmp_path) != before
        (tmp_path / name).write_text("LEAST = 1\n")
    for name in ("accuracy/catalogue.json", "networks/d.py"):
        (tmp_path / name).write_text("LEAST = 2\n")
    assert source_digest(tmp_path) == before


STORED = replace(TASK, experiment=replace(LAYER, storage="float16"), order=Order.LOWERED)


@pytest.mark.parametrize("task", [replace(TASK, dtype="float16"), STORED], ids=["float16", "stored"])
@pytest.mark.parametrize("scaling", list(Scaling))
def test_float16_is_predicted_for_the_algorithm_that_is_built(task: SearchTask, scaling: Scaling) -> None:
    task = replace(task, m=6, ndim=3, rank=8)
    text = Recipe.from_points([0, 1, -1, 2, -2, "1/2", "-1/2", "inf"], scaling).text
    [predicted] = model_stage(task, [text]).work({"recipes": [text]})["errors"]
    built = predict_error(task.build(Recipe.parse(text)), **task.arithmetic).relative_l2
    assert predicted == pytest.approx(built, rel=2**-26)


def test_rows_that_are_not_balanced_have_other_errors() -> None:
    text = Recipe.from_points([4, -4, "3/4", "-3/4", "19/14", "-19/14", "5/19", "-5/19"], Scaling.INTEGER).text
    task = replace(STORED, m=6, ndim=3, rank=8)
    plain = predict_error(nest(*[Recipe.parse(text).build(6, 3)] * 3), **task.arithmetic).relative_l2
    [predicted] = model_stage(task, [text]).work({"recipes": [text]})["errors"]
    assert predicted < plain / 100


@pytest.mark.parametrize("error", [MemoryError(), OSError("disk"), RuntimeError(), RecursionError()])
def test_a_passing_failure_is_not_kept(tmp_path: Path, error: Exception) -> None:
    stage = Stage("stage", ({"x": 1},), partial(attempt, _raising(error)))
    trials = Trials(tmp_path / "trials.db")
    [(_, result)] = Running(Workers(), trials, False).results(stage)
    assert result["failed"] == 1
    assert trials.get([stage.key({"x": 1})]) == {}


@pytest.mark.parametrize("error", [ValueError(), OverflowError(), ZeroDivisionError()])
def test_a_failure_of_the_candidate_is_kept(tmp_path: Path, error: Exception) -> None:
    stage = Stage("stage", ({"x": 1},), partial(attempt, _raising(error)))
    trials = Trials(tmp_path / "trials.db")
    [(_, result)] = Running(Workers(), trials, False).results(stage)
    assert trials.get([stage.key({"x": 1})]) == {stage.key({"x": 1}): result}


def _raising(error: Exception) -> Any:
    def work(unit: Any) -> Any:
        raise error

    return work


def test_units_are_taken_some_hundreds_at_a_time() -> None:
    class Units(list[Any]):
        def __len__(self) -> int:
            return 10**15

        def __getitem__(self, place: Any) -> Any:
            return [{"x": number} for number in range(place.start, place.stop)]

    results = Running(Workers(), None, False).results(Stage("stage", Units(), lambda unit: unit))
    assert [next(results)[1]["x"] for _ in range(1200)] == list(range(1200))


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


def test_the_cost_of_no_error_is_the_least() -> None:
    assert Cost().of(0.0, 3) == -math.inf < Cost().of(1e-300, 3)
    assert Cost(0.0, 1.0).of(0.0, math.e) == 1
    for error, operations in ((-1.0, 3), (math.nan, 3), (1.0, 0)):
        with pytest.raises(ValueError, match="must be at least 0 and above 0"):
            Cost().of(error, operations)
