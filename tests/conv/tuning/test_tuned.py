"""Measured plans: the fastest by median, kept on disk for all that it depends on, measured again where that fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

import winograd
from winograd.codegen.compiler import BuildError
from winograd.conv import tuning
from winograd.conv.choosing.ranking import ranked
from winograd.conv.choosing.selection import Filters
from winograd.conv.choosing.task import core_task
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.measuring import tuning_cache
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.plan.verdict import MEASURED_GAIN
from winograd.conv.planning.make import make_plan
from winograd.conv.switch import set_enabled
from winograd.conv.tensors.forked import has_lost_threads
from winograd.conv.tuning import answers, rivals, tuned, tuned_plan
from winograd.conv.tuning import question as question_module

SHAPE = ConvShape(1, 64, 64, (8, 20, 20), (3, 3, 3), (1, 1, 1), (1, 1, 1), ((1, 1),) * 3, 1, "float32")
LAYER = (1, 64, 8, 20, 20), (64, 64, 3, 3, 3)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("WINOGRAD_CACHE_DIR", str(tmp_path / "cache"))
    tuning_cache._answers.clear()
    yield tmp_path / "cache" / "plans"
    tuning_cache._answers.clear()


@pytest.fixture
def races(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The rivals of every race, in which nothing is compiled or run: the last wins, but for what no plan runs."""
    seen: list[list[str]] = []

    def race(planned: Plan, rivals: Mapping[str, Plan]) -> dict[str, float]:
        seen.append(list(rivals))
        return {"direct": 9.0, "direct onednn_prepacked": 0.1, **{label: 5.0 - n for n, label in enumerate(rivals)}}

    monkeypatch.setattr(rivals, "ALGORITHMS", 2)
    monkeypatch.setattr(tuned, "run_heats", race)
    monkeypatch.setattr(rivals, "_compiles", lambda _: True)
    return seen


def entries(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.json"))


def change(path: Path, **changes: Any) -> None:
    entry = json.loads(path.read_text())
    entry["answer"].update(changes)
    path.write_text(json.dumps(entry))


def chosen(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())["answer"]["chosen"]
    return found


def test_a_real_measurement_takes_what_was_fastest(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "ALGORITHMS", 1)
    sizes = (2, 32, 400), (32, 32, 3)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    plan = winograd.plan_conv(*sizes, padding=1, tuning="measure", threads=1, tolerance=1e-5)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    times = dict(plan.measured)
    assert {"direct", "direct default"} <= set(times)
    assert any(label.startswith("native F(") for label in times)
    fastest = min(ms for label, ms in times.items() if label.startswith("native "))
    assert (plan.backend is Backend.NATIVE) == (fastest * MEASURED_GAIN < times["direct"])
    assert plan.measured_ms == (fastest if plan.backend is Backend.NATIVE else times["direct"])
    assert winograd.plan_conv(*sizes, padding=1, tuning="measure", threads=1, tolerance=1e-5) == plan
    assert len(entries(cache)) == 1
    assert "measured" in plan.reason
    assert any(one.measured_ms is not None for one in plan.explain().candidates)


def test_the_fastest_wins_and_is_kept(cache: Path, races: list[list[str]]) -> None:
    first = winograd.plan_conv(*LAYER, padding=1, tuning="measure")
    second = winograd.plan_conv(*LAYER, padding=1, tuning="measure")
    assert first == second
    assert first.label == races[0][-1]
    assert len(races) == len(entries(cache)) == 1
    assert len({label.split(",")[-1].split(" ")[1] for label in races[0]}) == 2  # both kinds of schedule
    assert first.measured_ms == min(ms for label, ms in first.measured if not label.startswith("direct "))
    assert "onednn" not in first.reason
    assert {one.verdict for one in first.explain().candidates if one.label.startswith("direct ")} == {
        "a variant, for comparison"
    }
    assert entries(cache)[0].stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("filters", Filters)
def test_direct_convolution_wins_ties(
    races: list[list[str]], monkeypatch: pytest.MonkeyPatch, filters: Filters
) -> None:
    monkeypatch.setattr(
        tuned, "run_heats", lambda _, rivals: {"direct": 1.02, "direct onednn": 0.2, **dict.fromkeys(rivals, 1.0)}
    )
    plan = tuned_plan(SHAPE, filters=filters)
    assert (plan.backend, plan.filters, plan.measured_ms) == (Backend.DIRECT, filters, 1.02)
    assert tuned_plan(SHAPE, filters=filters) == plan
    verdicts = [one.verdict for one in plan.explain().candidates if one.measured_ms == 1.0]
    assert verdicts
    assert all(verdict.startswith("not faster than direct by 1.03") for verdict in verdicts)


def test_other_questions_have_other_answers(
    cache: Path, races: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[dict[str, Any]] = [
        {}, {"tolerance": 1e-4}, {"filters": Filters.FROZEN}, {"threads": 1}, {"workspace_cap": 8 << 20},
        {"filter_cap": 1 << 28},
    ]  # fmt: skip
    for question in questions:
        tuned_plan(SHAPE, **question)
    monkeypatch.setattr(question_module, "cpu_features", lambda: "another machine")
    tuned_plan(SHAPE)
    monkeypatch.setattr(question_module, "measured_on", lambda: {"winograd": "another version"})
    tuned_plan(SHAPE)
    assert len(races) == len(entries(cache)) == len(questions) + 2


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": 1}', "[" * 100_000, "\x00\xff", '{"format": 1e999}']
)
def test_a_corrupt_entry_is_measured_again(cache: Path, races: list[list[str]], text: str) -> None:
    plan = tuned_plan(SHAPE)
    (path,) = entries(cache)
    whole = path.read_text()
    for broken in (text, whole[: len(whole) // 2], whole.replace('"format": 1', '"format": 2')):
        path.write_text(broken)
        assert tuned_plan(SHAPE) == plan
        assert path.read_text() == whole
    assert len(races) == 4


def test_an_entry_of_another_question_is_no_answer(cache: Path, races: list[list[str]]) -> None:
    tuned_plan(SHAPE)
    (path,) = entries(cache)
    path.write_text(path.read_text().replace('"threads"', '"strings"'))
    tuned_plan(SHAPE)
    assert len(races) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"m": [4, 4]},
        {"m": [4, 4, 4000]},
        {"m": "444"},
        {"products": [1, 1, 1]},
        {"products": [True, 6, 6]},
        {"block": 0},
        {"block": -3},
        {"block": 10**9},
        {"block": 1.5},
        {"block": True},
        {"schedule": "__class__"},
        {"schedule": None},
        {"m": [8, 8, 8], "products": [10, 10, 10]},
        {"m": [1, 1, 1], "products": [3, 3, 3]},
    ],
)
def test_a_choice_that_cannot_be_is_measured_again(cache: Path, races: list[list[str]], wrong: dict[str, Any]) -> None:
    plan = tuned_plan(SHAPE)
    (path,) = entries(cache)
    change(path, chosen={**chosen(path), **wrong})
    assert tuned_plan(SHAPE) == plan
    assert len(races) == 2


@pytest.mark.parametrize(
    "measured",
    [
        None,
        [],
        [["direct", -1.0]],
        [["direct", True]],
        [["native", 1.0]],
        [["direct default", 1.0], ["direct onednn", 1.0]],
        [[1, 1.0]],
        ["direct"],
        [["direct", "1"]] * 3,
    ],
)
def test_times_that_cannot_be_are_measured_again(cache: Path, races: list[list[str]], measured: object) -> None:
    tuned_plan(SHAPE)
    change(*entries(cache), measured=measured)
    tuned_plan(SHAPE)
    assert len(races) == 2


@pytest.mark.parametrize("kind", ["symlink", "directory", "pipe", "large"])
def test_what_is_no_entry_is_not_read(cache: Path, races: list[list[str]], tmp_path: Path, kind: str) -> None:
    tuned_plan(SHAPE)
    (path,) = entries(cache)
    whole = path.read_text()
    path.unlink()
    if kind == "symlink":
        (tmp_path / "elsewhere").write_text(whole)
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_text(whole + " " * (1 << 17))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        tuned_plan(SHAPE)
    assert len(races) == 2


def unusable(cache: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "writable by others":
        cache.parent.mkdir(mode=0o700)
        cache.parent.chmod(0o777)
    elif kind == "symlink":
        cache.parent.symlink_to("/tmp")
    elif kind == "a file":
        cache.parent.write_text("")
    else:
        monkeypatch.setenv("WINOGRAD_CACHE_DIR", "relative")


@pytest.mark.parametrize("kind", ["writable by others", "symlink", "a file", "relative"])
def test_without_a_directory_it_works_with_one_warning(
    cache: Path, races: list[list[str]], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    unusable(cache, kind, monkeypatch)
    monkeypatch.setattr(tuning_cache, "_first_warning", threading.Lock())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plan = tuned_plan(SHAPE)
        assert tuned_plan(SHAPE) == plan
        tuned_plan(SHAPE, tolerance=1e-4)
    assert ["kept in this process only" in str(one.message) for one in caught] == [True]
    assert len(races) == 2


def test_clear_forgets_everything(cache: Path, races: list[list[str]]) -> None:
    tuned_plan(SHAPE)
    assert tuning.clear() == 1
    assert not entries(cache)
    tuned_plan(SHAPE)
    assert len(races) == 2
    assert (tuning.clear(), tuning.clear()) == (1, 0)


def test_what_killed_writers_left_is_removed(cache: Path, races: list[list[str]]) -> None:
    tuned_plan(SHAPE)
    old, young = cache / ".writing-old", cache / ".writing-young"
    for path in (old, young):
        path.write_text("{")
    os.utime(old, (0, 0))
    tuned_plan(SHAPE, tolerance=1e-4)
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize(
    "shape",
    [
        ConvShape(0, 4, 4, (9,), (3,), (1,), (1,), ((0, 0),), 1, "float32"),
        ConvShape(1, 4, 4, (9,), (1,), (1,), (1,), ((0, 0),), 1, "float32"),
        ConvShape(1, 4, 4, (9,), (3,), (1,), (1,), ((0, 0),), 1, "int64"),
    ],
)
def test_where_there_is_no_choice_nothing_is_measured(cache: Path, races: list[list[str]], shape: ConvShape) -> None:
    assert tuned_plan(shape).backend is Backend.DIRECT
    with set_enabled(False):
        assert tuned_plan(SHAPE).backend is Backend.DIRECT
    assert tuned_plan(SHAPE, tolerance=1e-9).backend is Backend.DIRECT
    assert not races


def test_without_a_compiler_the_model_decides(races: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> object:
        raise BuildError("no C compiler was found")

    monkeypatch.setattr(question_module, "find_compiler", none)
    for threads in (1, 3):
        plan = tuned_plan(SHAPE, threads=threads)
        assert plan.measured == ()
        assert plan.terms is not None
        assert plan.terms.threads == threads
    assert not races


def test_a_forked_child_does_not_measure(races: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_lost_threads()
    monkeypatch.setattr(tuned, "has_lost_threads", lambda: True)
    for threads in (1, 3):
        plan = tuned_plan(SHAPE, threads=threads)
        assert plan.terms is not None
        assert plan.terms.threads == threads
    assert not races


@pytest.mark.parametrize("mode", [FakeTensorMode, partial(FlopCounterMode, display=False)])
def test_under_a_mode_that_sees_every_operation_the_model_decides(
    races: list[list[str]], mode: Callable[[], AbstractContextManager[Any]]
) -> None:
    with mode() as entered:
        plan = tuned_plan(SHAPE)
    assert plan == make_plan(SHAPE, threads=torch.get_num_threads())
    assert not races
    if isinstance(entered, FlopCounterMode):
        assert entered.get_total_flops() == 0
    tuned_plan(SHAPE)
    assert len(races) == 1


def test_inside_a_function_transform_the_model_decides(races: list[list[str]]) -> None:
    torch.func.vmap(lambda x: x + len(tuned_plan(SHAPE).measured))(torch.zeros(2))
    assert not races


def test_layers_measure_at_their_first_forward(cache: Path, races: list[list[str]]) -> None:
    layer = winograd.nn.Conv3d(64, 64, 3, padding=1, tuning="measure")
    image = torch.randn(LAYER[0])
    with torch.inference_mode():
        layer(image)
        layer(image)
    assert layer.plans[-1].measured
    assert len(races) == 1
    torch.testing.assert_close(layer(image), torch.nn.Conv3d.forward(layer, image))


def test_converted_models_measure_where_it_was_asked_for(races: list[list[str]]) -> None:
    model = torch.nn.Sequential(torch.nn.Conv3d(64, 64, 3, padding=1))
    image = torch.randn(LAYER[0])
    report = winograd.convert_(model, tuning="measure")
    with torch.inference_mode():
        model(image)
        assert len(races) == 1
        assert "measured" in report.rows[0].reason
        winograd.convert_(model)
        model(image)
        assert "predicted" in report.rows[0].reason
    with pytest.raises(ValueError, match="tuning is 'try'"):
        winograd.convert_(model, tuning="try")  # type: ignore[arg-type]


WORK = """
import sys, time
from winograd.conv.measuring import tuning_cache

question = {"shape": "one"}
answer = tuning_cache.find(question)
if answer is None:
    with tuning_cache.alone():
        answer = tuning_cache.find(question)
        if answer is None:
            with open(sys.argv[1], "a") as file:
                file.write("measured\\n")
            time.sleep(0.3)
            tuning_cache.keep(question, answer := {"measured": [["direct", 1.0]]})
for number in range(40):
    tuning_cache.keep({"shape": "many"}, {"measured": [[sys.argv[2], float(number + 1)]] * 500})
    found = tuning_cache.find({"shape": "many"})
    assert len({label for label, _ in found["measured"]}) == 1 and len(found["measured"]) == 500
print(answer)
"""


def test_eight_processes_measure_once_and_read_whole_entries(cache: Path, tmp_path: Path) -> None:
    log = tmp_path / "measured"
    work = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", WORK, str(log), name], stdout=subprocess.PIPE, text=True)
        for name in "abcdefgh"
    ]
    answers = {process.communicate(timeout=120)[0] for process in work}
    assert [process.returncode for process in work] == [0] * 8
    assert len(answers) == 1
    assert log.read_text().splitlines() == ["measured"]
    assert len(entries(cache)) == 2
    assert not list(cache.glob(".writing-*"))


def test_an_entry_that_is_believed_is_caught(
    cache: Path, races: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = {"filters": Filters.FROZEN, "tolerance": 2e-6}
    plan = tuned_plan(SHAPE, **terms)  # type: ignore[arg-type]
    assert plan.terms is not None
    above = next(one for one in ranked(core_task(SHAPE, plan.terms), allowed=1, rejected=1) if one.obstacle)
    assert above.timing is not None
    schedule = above.timing.schedule
    wrong = {"m": list(above.candidate.m), "products": list(above.candidate.ranks)}
    change(*entries(cache), chosen={**wrong, "schedule": schedule.kind.name, "block": schedule.block})
    monkeypatch.setattr(answers, "tolerated", lambda *_: True)
    believed = tuned_plan(SHAPE, **terms)  # type: ignore[arg-type]
    assert len(races) == 1
    assert believed.predicted_error is not None
    assert believed.predicted_error > plan.terms.tolerance
