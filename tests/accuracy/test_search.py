"""The search: what it finds, that nothing but its arguments decides on it, and that whatever stops it loses nothing."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from winograd import search_points, toom_cook
from winograd.accuracy.experiment import measure_error
from winograd.accuracy.protocol import Experiment
from winograd.accuracy.searching import stages
from winograd.accuracy.searching import work as searching
from winograd.accuracy.searching.objective import Cost
from winograd.accuracy.searching.result import SearchResult
from winograd.accuracy.searching.workers import Workers
from winograd.algebra.growth import kappa

ROOT = Path(__file__).resolve().parents[2]
QUICK: dict[str, Any] = {"budget": 40, "objective": "model", "norm": "relative_l2", "max_height": 4}
"""A search of a second."""


def quick(m: int = 2, **options: Any) -> SearchResult:
    return search_points(m, 3, **{**QUICK, **options})


def test_the_best_set_is_found_and_better_than_the_published_one() -> None:
    result = search_points(4, 3, budget=4000, objective="kappa")
    assert result.best is not None
    assert result.best.kappa < 4.75 < float(kappa(toom_cook(4, 3)))
    assert [candidate.kappa for candidate in result.ranking] == sorted(one.kappa for one in result.ranking)


def test_a_measured_search_is_as_good_as_the_published_set() -> None:
    best = search_points(2, 3, budget=40).best
    assert best is not None
    assert best.report is not None
    published = measure_error(toom_cook(2, 3), trials=best.report.trials)
    assert best.report.mean_abs <= published.mean_abs
    assert best.report == measure_error(best.algorithm, trials=best.report.trials)


def test_more_products_give_algorithms_of_that_rank() -> None:
    result = search_points(4, 3, products=7, budget=2000, objective="kappa")
    assert {candidate.algorithm.rank for candidate in result.ranking} == {7}
    assert result.best is not None
    assert result.best.kappa < 1.5
    assert "F(4,3; 7)" in repr(result)


def test_a_compromise_takes_fewer_operations_than_the_least_error() -> None:
    error, cost = (
        search_points(4, 3, budget=12, max_height=8, norm="rms", objective=objective).best
        for objective in ("measurement", Cost(1.0, 5.0))
    )
    assert error is not None
    assert cost is not None
    assert cost.operations < error.operations  # type: ignore[operator]


@pytest.mark.parametrize("experiment", ["standard", Experiment("stored", channels=2, storage="float16")])
def test_float16_is_searched_with_balanced_rows(experiment: Any) -> None:
    dtype = "float16" if experiment == "standard" else "float32"
    best = quick(dtype=dtype, experiment=experiment).best
    assert best is not None
    assert max(abs(entry) for entry in best.algorithm.axes[0].bt) <= 1
    assert "balanced" in best.label


def test_candidates_are_never_more_than_the_budget() -> None:
    for budget in (1, 2, 5):
        result = search_points(2, 3, budget=budget)
        assert result.evaluated <= budget
        assert result.measured <= budget


def test_the_result_says_what_was_done() -> None:
    result = quick(3, budget=100)
    counts = (result.evaluated, result.modelled, result.measured)
    assert 0 < counts[2] <= 16 <= counts[1]
    assert result.task.budget == 100
    assert not result.interrupted


# One seed, one result.


def test_same_arguments_same_result() -> None:
    first, again, other = quick(seed=1), quick(seed=1), quick(seed=2)
    assert first == again
    assert first.digest == again.digest != other.digest


class Shuffled:
    """Workers that finish in some order."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def apply(self, function: Callable[[Any], Any], items: Any) -> Iterator[Any]:
        done = [function(item) for item in items]
        yield from self._data.draw(st.permutations(done))


def shuffled(data: st.DataObject) -> SearchResult:
    task = REFERENCE.task
    run = searching.Searching(task, searching.Running(Shuffled(data), None, False))  # type: ignore[arg-type]
    run.run()
    return run.result(interrupted=False)


REFERENCE = quick(2, budget=20_000)


@settings(max_examples=3)
@given(st.data())
def test_the_order_of_finishing_changes_nothing(data: st.DataObject) -> None:
    assert shuffled(data) == REFERENCE


def test_a_selection_by_arrival_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "ordered", list)

    @settings(max_examples=10, database=None, phases=[Phase.generate])
    @given(st.data())
    def law(data: st.DataObject) -> None:
        assert shuffled(data) == REFERENCE

    with pytest.raises(AssertionError):
        law()


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_change_nothing(workers: int) -> None:
    assert quick(2, budget=20_000, workers=workers).digest == REFERENCE.digest


def test_a_dask_cluster_changes_nothing(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=tmp_path / "dask"
        ) as cluster,
        distributed.Client(cluster),
    ):
        assert quick(2, budget=20_000, backend="dask", storage=tmp_path / "trials.db").digest == REFERENCE.digest
    assert quick(2, budget=20_000, storage=tmp_path / "trials.db") == REFERENCE


# Stopped, resumed, shared.


def rows(path: Path) -> int:
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as connection:
        try:
            return int(connection.execute("SELECT COUNT(*) FROM results").fetchone()[0])
        except sqlite3.OperationalError:  # no table yet
            return 0


def interrupt(monkeypatch: pytest.MonkeyPatch, name: str, at: int, error: BaseException) -> None:
    """Let a stage's function raise an error at one of its calls."""
    real, calls = getattr(stages, name), iter(range(10_000))

    def raising(*arguments: Any, **options: Any) -> Any:
        if next(calls) == at:
            raise error
        return real(*arguments, **options)

    monkeypatch.setattr(stages, name, raising)


@pytest.mark.parametrize(
    ("name", "at"), [("run_kappa_unit", 0), ("run_kappa_unit", 1), ("predict_batch", 0), ("measure_error", 3)]
)
def test_ctrl_c_returns_and_keeps_what_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, at: int
) -> None:
    path = tmp_path / "trials.db"
    interrupt(monkeypatch, name, at, KeyboardInterrupt())
    result = quick(2, budget=20_000, storage=path)
    assert result.interrupted
    assert (result.measured, len(result.ranking) > 0) == (3 if name == "measure_error" else 0, (name, at) != KAPPA)
    assert all((one.report is not None) == (name == "measure_error") for one in result.ranking)
    assert (result.best is None) == ((name, at) == KAPPA)
    assert "\n" not in repr(result)
    finished = rows(path)
    assert finished == at if name == "run_kappa_unit" else finished >= result.measured + 2
    monkeypatch.undo()
    assert quick(2, budget=20_000, storage=path) == REFERENCE


KAPPA = ("run_kappa_unit", 0)


def test_what_is_kept_is_not_done_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "trials.db"
    quick(2, budget=20_000, storage=path)
    kept = rows(path)
    for name in ("run_kappa_unit", "predict_batch", "measure_error"):
        interrupt(monkeypatch, name, 0, AssertionError("done again"))
    assert quick(2, budget=20_000, storage=path) == REFERENCE
    assert rows(path) == kept


def test_searches_of_other_sizes_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "trials.db"
    first = quick(2, ndim=2, storage=path)
    assert quick(2, budget=20_000, storage=path) == REFERENCE
    assert quick(2, ndim=2, storage=path) == first


WHOLE: dict[str, Any] = {"budget": 20_000, "max_height": 20}
"""What `command` searches."""


def command(path: Path, found: Path) -> subprocess.Popen[bytes]:
    words = [
        "--m",
        "2",
        "--r",
        "3",
        "--budget",
        "20000",
        "--objective",
        "model",
        "--norm",
        "relative_l2",
    ]
    files = ["--storage", str(path), "--json", str(found)]
    return subprocess.Popen(
        [sys.executable, "-m", "winograd.search", *words, *files],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        start_new_session=True,
    )


def test_killed_until_done_is_the_same_as_one_run(tmp_path: Path) -> None:
    path, found = tmp_path / "trials.db", tmp_path / "found.json"
    kills, whole = 0, quick(**WHOLE)
    for wanted in (1, 5, 11):
        process = command(path, found)
        while process.poll() is None and rows(path) < wanted:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 3
    process = command(path, found)
    said = process.communicate()[1].decode().splitlines()
    assert said[0].startswith("python -m winograd.search: <SearchResult F(2,3) in 1D")
    left_out = f"python -m winograd.search: candidates left out: {whole.failed}, kappa is not finite"
    assert said[1:] == ([left_out] if whole.failed else [])
    assert process.returncode == 0
    assert [one["recipe"] for one in json.loads(found.read_text())["ranking"]] == recipes(whole)
    assert quick(**WHOLE, storage=path).digest == whole.digest


def recipes(result: SearchResult) -> list[str]:
    return [candidate.recipe.text for candidate in result.ranking]


def test_two_processes_on_one_file_lose_and_double_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trials.db"
    processes = [command(path, tmp_path / f"{number}.json") for number in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert (tmp_path / "0.json").read_bytes() == (tmp_path / "1.json").read_bytes()
    alone = tmp_path / "alone.db"
    quick(**WHOLE, storage=alone)
    assert rows(path) == rows(alone)


def test_a_file_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "trials.db"
    path.write_text("m,r\n")
    with pytest.raises(ValueError, match="is no database of searches"):
        quick(storage=path)
    assert path.read_text() == "m,r\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["trials.db"]


# What fails is counted, and the search goes on.


@pytest.mark.parametrize("error", [ValueError("constant\noverflows"), OverflowError(), MemoryError(), RuntimeError()])
def test_a_candidate_that_raises_is_counted(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    interrupt(monkeypatch, "measure_error", 2, error)
    result = quick(2, budget=20_000)
    assert (result.failed, len(result.reasons)) == (REFERENCE.failed + 1, len(REFERENCE.reasons) + 1)
    assert result.measured == REFERENCE.measured - 1
    assert not set(recipes(result)) - set(recipes(REFERENCE))


@pytest.mark.parametrize("name", ["run_kappa_unit", "predict_batch", "measure_error"])
def test_a_stage_of_which_everything_fails_is_an_empty_result(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def failing(*_: Any, **__: Any) -> Any:
        raise ValueError("nothing works")

    monkeypatch.setattr(stages, name, failing)
    monkeypatch.setattr(stages, "predict_error", failing)
    result = quick(2, budget=20_000)
    assert result.failed > 0
    assert "ValueError: nothing works" in result.reasons
    assert (len(result.ranking) > 0) == (name != "run_kappa_unit")
    assert all(candidate.report is None for candidate in result.ranking)


def test_nan_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "known_sets", lambda _: [])
    monkeypatch.setattr(stages, "predict_batch", lambda *arguments, **_: [float("nan")] * len(arguments[2]))
    assert quick().measured > 0  # predicted one by one
    monkeypatch.setattr(stages, "predict_error", lambda *_, **__: (_ for _ in ()).throw(OverflowError("too large")))
    result = quick()
    assert result.failed > 0
    assert result.reasons[0] == "OverflowError: too large"


def test_a_clock_that_is_set_back_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000_000, 0, -1))
    for name in ("time", "monotonic", "perf_counter"):
        monkeypatch.setattr(time, name, lambda: float(next(clock)))
    result = quick(2, budget=20_000)
    monkeypatch.undo()
    assert result == REFERENCE


@pytest.mark.parametrize("options", [{}, {"workers": 2}, {"objective": "kappa"}, {"products": 6}])
def test_a_budget_of_0_is_an_empty_result(options: dict[str, Any], tmp_path: Path) -> None:
    result = search_points(4, 3, budget=0, storage=tmp_path / "trials.db", **options)
    assert (result.best, result.ranking, result.evaluated, result.interrupted) == (None, (), 0, False)
    assert "nothing found" in repr(result)
    assert "nothing found" in result._repr_html_()


def test_no_candidates_are_an_empty_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "kappa_units", lambda *_, **__: [])
    assert search_points(4, 3, budget=100).ranking == ()


@pytest.mark.parametrize(("m", "r"), [(1, 1), (1, 3), (3, 1), (2, 2)])
def test_small_sizes(m: int, r: int) -> None:
    result = search_points(m, r, **QUICK)
    assert all(candidate.algorithm.m == (m,) for candidate in result.ranking)
    assert (m, r) == (1, 1) or result.best is not None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ndim": 4}, ValueError, "ndim is 4, must be 1, 2 or 3"),
        ({"ndim": 0}, ValueError, "ndim is 0, must be at least 1"),
        ({"ndim": True}, TypeError, "ndim is True, must be an integer"),
        ({"budget": -1}, ValueError, "budget is -1, must be at least 0"),
        ({"budget": True}, TypeError, "budget is True, must be an integer"),
        ({"budget": 1.5}, TypeError, r"budget is 1\.5, must be an integer"),
        ({"seed": -1}, ValueError, "seed is -1, must be at least 0"),
        ({"seed": "0"}, TypeError, "seed is '0', must be an integer"),
        ({"dtype": "int8"}, ValueError, "dtype is int8"),
        ({"products": 5}, ValueError, "products is 5, must be at least 6"),
        ({"products": 11}, ValueError, "products is 11, must be 6 to 9"),
        ({"products": 7.0}, TypeError, r"products is 7\.0, must be an integer"),
        ({"experiment": "tile"}, ValueError, "experiment is 'tile', must be one of standard, layer"),
        ({"order": "tree"}, ValueError, "order"),
        ({"objective": "speed"}, ValueError, "objective is 'speed', must be one of kappa, model, measurement"),
        ({"norm": "max"}, ValueError, "norm is 'max', must be one of mean_abs, rms, relative_l2"),
        ({"max_height": 0}, ValueError, "max_height is 0, must be at least 1"),
        ({"max_height": 4000}, ValueError, "max_height is 4000, must be 1 to 256"),
        ({"backend": "multiprocessing"}, ValueError, "backend is 'multiprocessing'"),
        ({"workers": 0}, ValueError, "workers is 0, must be at least 1"),
        ({"workers": 4097}, ValueError, "workers is 4097, must be at most 4096"),
        ({"backend": 3}, TypeError, "backend is 3, must be the name"),
        ({"progress": 1}, TypeError, "progress is 1, must be True or False"),
        ({"storage": 3}, TypeError, "storage is 3, must be the path of a file, or None"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        search_points(4, 3, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize" if workers == 1 else "joblib", None)
    missing = "scipy" if workers == 1 else "joblib"
    with pytest.raises(
        ModuleNotFoundError, match=rf"{missing}, which is not installed: .*winograd\[search\]"
    ) as caught:
        quick(workers=workers)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("m", "r", "products", "allowed"), [(2, 3, 8, "4 to 6"), (2, 2, 5, "3 to 4"), (1, 3, 4, "3")])
def test_products_that_no_family_has_are_named(m: int, r: int, products: int, allowed: str) -> None:
    with pytest.raises(ValueError, match=rf"products is {products}, must be {allowed}: no family of F\({m},{r}\)"):
        search_points(m, r, products=products)


def test_a_worker_that_is_killed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError) as caught:
        list(Workers(2).apply(_kill, [1]))
    assert str(caught.value).count("\n") == 0
    assert "worker" in str(caught.value)


def _kill(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
