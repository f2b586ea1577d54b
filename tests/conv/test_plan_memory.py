"""Limits on memory: they are kept, what they cost is said, and what they make impossible is refused."""

from __future__ import annotations

import pytest

from winograd import nest, toom_cook
from winograd.conv import limits
from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.selection import Filters
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.limits import MemoryLimits, memory_limits, set_memory_limits
from winograd.conv.plan.record import Backend
from winograd.conv.planning.make import make_plan

F43_3D = nest(*[toom_cook(4, 3)] * 3)


def layer(channels: int, outputs: int, *sizes: int) -> ConvShape:
    taps = (3,) * len(sizes)
    return ConvArguments(padding=1).shape((1, channels, *sizes), (outputs, channels, *taps), dtype="float32")


C3D = [
    layer(64, 128, 16, 56, 56),
    layer(128, 256, 8, 28, 28),
    layer(256, 256, 8, 28, 28),
    layer(256, 512, 4, 14, 14),
    layer(512, 512, 4, 14, 14),
    layer(512, 512, 2, 7, 7),
]


@pytest.mark.parametrize("shape", C3D, ids=str)
@pytest.mark.parametrize("cap", [5 << 20, 16 << 20, 64 << 20])
def test_workspace_stays_under_its_cap(shape: ConvShape, cap: int) -> None:
    free = make_plan(shape, tolerance=2e-6, filters=Filters.FROZEN)
    plan = make_plan(shape, tolerance=2e-6, filters=Filters.FROZEN, workspace_cap=cap)
    assert plan.backend is Backend.NATIVE
    assert plan.workspace_bytes <= cap
    assert plan.predicted_ms >= 0.92 * free.predicted_ms  # other algorithms on other axes have to gain 3 % each


def test_smaller_caps_are_never_faster() -> None:
    caps = [600_000, 1 << 20, 2 << 20, 8 << 20, 64 << 20]
    plans = [make_plan(C3D[1], algorithm=F43_3D, workspace_cap=cap) for cap in caps]
    assert all(plan.workspace_bytes <= cap for plan, cap in zip(plans, caps, strict=True))
    times = [plan.predicted_ms for plan in plans]
    assert times == sorted(times, reverse=True)
    assert plans[0].schedule.block < plans[-1].schedule.block


def test_a_cap_below_one_tile_is_refused_for_a_forced_algorithm_and_direct_otherwise() -> None:
    with pytest.raises(ValueError, match=r"workspace is capped at 4096 bytes, F\(4x4x4,3x3x3\) needs \d+ for one tile"):
        make_plan(C3D[1], algorithm=F43_3D, workspace_cap=4096)
    plan = make_plan(C3D[1], filters=Filters.FROZEN, workspace_cap=4096)
    assert plan.backend is Backend.DIRECT
    assert "fits into the workspace" in plan.reason


def test_a_filter_above_its_cap_gives_way_and_the_reason_says_so() -> None:
    shape = C3D[4]
    free = make_plan(shape, tolerance=2e-6, filters=Filters.FROZEN)
    for cap in (free.filter_bytes, free.filter_bytes - 1, 80 << 20, 1 << 20):
        plan = make_plan(shape, tolerance=2e-6, filters=Filters.FROZEN, filter_cap=cap)
        kept = plan.backend is Backend.NATIVE and plan.filters is Filters.FROZEN
        assert not kept or plan.filter_bytes <= cap
        assert (cap >= free.filter_bytes) == ("above the cap" not in plan.reason)
    assert "above the cap" not in make_plan(shape, tolerance=2e-6, filters=Filters.LIVE, filter_cap=1 << 20).reason


def test_a_forced_filter_above_its_cap_is_made_in_every_call() -> None:
    free, capped = (make_plan(C3D[4], algorithm=F43_3D, filters=Filters.FROZEN, filter_cap=cap) for cap in (None, 1))
    assert (free.filters, capped.filters) == (Filters.FROZEN, Filters.LIVE)
    assert capped.predicted_ms > free.predicted_ms
    assert "made anew in every call" in capped.reason


def test_the_limits_of_the_process_hold_where_a_plan_has_none() -> None:
    before = memory_limits()
    with set_memory_limits(workspace=1 << 20) as held:
        assert held == MemoryLimits(1 << 20, before.filters)
        assert make_plan(C3D[0], algorithm=F43_3D).workspace_bytes <= 1 << 20
        assert make_plan(C3D[0], algorithm=F43_3D, workspace_cap=4 << 20).workspace_bytes > 1 << 20
        with set_memory_limits(workspace=None, filters=None):
            assert memory_limits() == MemoryLimits(None, None)
        assert memory_limits() == held
    assert memory_limits() == before


def test_limits_stay_where_with_is_not_used_and_come_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_current", [MemoryLimits()])
    set_memory_limits(filters=5)
    assert memory_limits().filters == 5
    with pytest.raises(KeyError), set_memory_limits(filters=6):
        raise KeyError
    assert memory_limits().filters == 5


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)])
def test_what_is_no_number_of_bytes_is_refused(value: object, error: type[Exception]) -> None:
    before = memory_limits()
    for set_ in ({"workspace": value}, {"filters": value}):
        with pytest.raises(error, match="must be"):
            set_memory_limits(**set_)
    for cap in ("workspace_cap", "filter_cap"):
        with pytest.raises(error, match="must be"):
            make_plan(C3D[0], **{cap: value})
    assert memory_limits() == before
