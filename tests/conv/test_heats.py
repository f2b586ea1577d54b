"""Heats: what runs against what, with which weights, how many filters are held, and what their times come to."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakSet

import pytest
import torch

from winograd.conv import tuning
from winograd.conv.choosing.selection import Filters
from winograd.conv.choosing.task import core_task
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.planning.make import make_plan
from winograd.conv.running.packing import pack_for_plan
from winograd.conv.running.run import run_plan
from winograd.conv.tuning import heats
from winograd.conv.tuning import rivals as rivals_module
from winograd.conv.tuning.heats import DIRECT, heats_within, run_heats

LARGE = ConvShape(1, 512, 512, (4, 14, 14), (3, 3, 3), (1, 1, 1), (1, 1, 1), ((1, 1),) * 3, 1, "float32")
SMALL = ConvShape(1, 8, 8, (9, 9), (3, 3), (1, 1), (1, 1), ((1, 1),) * 2, 1, "float32")
GROUPED = ConvShape(1, 8, 8, (9, 9), (3, 3), (2, 2), (1, 1), ((1, 1),) * 2, 2, "float32")

Clock = Callable[[str, str], float]


def rivals(shape: ConvShape, monkeypatch: pytest.MonkeyPatch, **terms: Any) -> tuple[Plan, dict[str, Plan]]:
    """Return a plan and the native ones that would be timed against it, compiled or not."""
    planned = make_plan(shape, threads=2, **terms)
    assert planned.terms is not None
    with monkeypatch.context() as patched:
        patched.setattr(rivals_module, "_compiles", lambda _: True)
        found = {plan.label: plan for plan in rivals_module.rivals_of(planned, core_task(shape, planned.terms))}
    return planned, found


def set_clock(monkeypatch: pytest.MonkeyPatch, clock: Clock, runs: bool = False) -> None:
    """Have every call take as long as the clock says for its label and format; call it once, or never."""

    def timed(callables: Mapping[tuple[str, str], Callable[[], object]], repeats: int) -> dict[Any, list[float]]:
        for call in callables.values() if runs else ():
            call()
        return {name: [clock(*name)] * repeats for name in callables}

    monkeypatch.setattr(heats, "interleaved", timed)


@pytest.mark.parametrize("shape", [SMALL, GROUPED], ids=["dense", "phases"])
@pytest.mark.parametrize("filters", Filters)
def test_direct_convolution_runs_as_a_direct_plan_does(
    monkeypatch: pytest.MonkeyPatch, filters: Filters, shape: ConvShape
) -> None:
    seen: list[tuple[Plan, bool, object]] = []

    def run(plan: Plan, input: torch.Tensor, weight: torch.Tensor, *, packed: Any) -> torch.Tensor:
        seen.append((plan, input.is_contiguous(), packed))
        return run_plan(plan, input, weight, packed=packed)

    monkeypatch.setattr(heats, "run_plan", run)
    set_clock(monkeypatch, lambda *_: 1.0, runs=True)
    planned = make_plan(shape, filters=filters)
    times = run_heats(planned, {})
    assert {plan.backend for plan, _, _ in seen} == {Backend.DIRECT}
    assert {plan.filters for plan, _, _ in seen} == {filters}
    assert {contiguous for _, contiguous, _ in seen} == {True, False}
    made = pack_for_plan(seen[0][0], torch.zeros(shape.weight_sizes)) if filters is Filters.FROZEN else None
    assert all(type(packed) is type(made) for _, _, packed in seen)
    assert {DIRECT, "direct default", "direct channels_last"} <= set(times)


@pytest.mark.parametrize("filters", Filters)
def test_variants_that_no_plan_runs_decide_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, filters: Filters
) -> None:
    monkeypatch.setenv("WINOGRAD_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(rivals_module, "_compiles", lambda _: True)
    monkeypatch.setattr(heats, "pack_for_plan", lambda *_: None)
    fast = {DIRECT: 9.0, **{f"direct {name}": 0.1 for name in ("onednn_prepacked", "channels_last")}}
    set_clock(monkeypatch, lambda label, _: fast.get(label, 5.0))
    shape = ConvShape(1, 64, 64, (40, 40), (3, 3), (1, 1), (1, 1), ((1, 1),) * 2, 1, "float32")
    plan = tuning.tuned_plan(shape, filters=filters)
    assert plan.backend is Backend.NATIVE
    assert (plan.measured_ms, dict(plan.measured)[DIRECT]) == (5.0, 9.0)


def test_everything_counts_by_its_better_memory_format(monkeypatch: pytest.MonkeyPatch) -> None:
    planned, found = rivals(SMALL, monkeypatch)
    clock = {"channels first": 3.0, "channels last": 2.0}
    set_clock(monkeypatch, lambda _, layout: clock.get(layout, 1.0))
    times = run_heats(planned, found)
    assert found
    assert {times[label] for label in (DIRECT, *found)} == {2.0}


class Held:
    """A transformed filter of so many bytes."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes


@pytest.mark.parametrize("cap", [200 << 20, 512 << 20])
def test_kept_filters_stay_within_their_limit_and_are_made_once(monkeypatch: pytest.MonkeyPatch, cap: int) -> None:
    planned, found = rivals(LARGE, monkeypatch, filters=Filters.FROZEN, filter_cap=cap)
    alive: WeakSet[Held] = WeakSet()
    most, packed = 0, []

    def pack(plan: Plan, weight: torch.Tensor) -> Held | None:
        nonlocal most
        if plan.backend is Backend.DIRECT:
            return None
        gc.collect()
        held = Held(plan.filter_bytes)
        alive.add(held)
        most = max(most, sum(one.nbytes for one in alive))
        packed.append(plan.algorithm)
        return held

    monkeypatch.setattr(heats, "pack_for_plan", pack)
    monkeypatch.setattr(heats, "_draw", lambda _: {"channels first": (torch.empty(1), torch.empty(1))})
    monkeypatch.setattr(heats, "_variants", lambda *_: {})
    set_clock(monkeypatch, lambda *_: 1.0)
    times = run_heats(planned, found)
    assert 0 < most <= cap
    assert len(packed) == len(set(packed)) >= 1
    assert set(times) == {DIRECT, *found}
    kept = {plan.algorithm: plan.filter_bytes for plan in found.values() if plan.filters is Filters.FROZEN}
    assert len(heats_within(found, cap)) > 1 or sum(kept.values()) <= cap


def test_rivals_of_one_algorithm_are_in_one_heat(monkeypatch: pytest.MonkeyPatch) -> None:
    _, found = rivals(LARGE, monkeypatch, filters=Filters.FROZEN, filter_cap=512 << 20)
    apart = heats_within(found, 512 << 20)
    assert len(apart) > 1
    assert {label: plan for heat in apart for label, plan in heat.items()} == found
    for algorithm in {plan.algorithm for plan in found.values()}:
        assert sum(any(plan.algorithm == algorithm for plan in heat.values()) for heat in apart) == 1
    assert [*map(dict, heats_within(found, None))] == [found]
    assert heats_within({}, 1) == [{}]


def test_times_of_heats_are_compared_by_those_of_direct_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    planned, found = rivals(LARGE, monkeypatch, filters=Filters.FROZEN, filter_cap=512 << 20)
    slow = [1.0]

    def packed(plan: Plan, *_: object) -> None:
        if plan.backend is Backend.NATIVE:
            slow[0] *= 2  # the machine becomes slower with every filter that is made

    monkeypatch.setattr(heats, "pack_for_plan", packed)
    monkeypatch.setattr(heats, "heats_within", lambda given, _: [{label: plan} for label, plan in given.items()])
    monkeypatch.setattr(heats, "_draw", lambda _: {"channels first": (torch.empty(1), torch.empty(1))})
    monkeypatch.setattr(heats, "_variants", lambda *_: {})
    set_clock(monkeypatch, lambda label, _: slow[0] * (3.0 if label == DIRECT else 1.5))
    times = run_heats(planned, found)
    assert times.pop(DIRECT) == 6.0
    assert set(times.values()) == {3.0}


def test_the_default_device_plays_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, lambda *_: 1.0, runs=True)
    with torch.device("meta"):
        times = run_heats(make_plan(SMALL, filters=Filters.FROZEN), {})
    assert DIRECT in times
