"""Stages of a plan on a GPU timed one by one, with a marker that only counts; and kernels left as they were."""

from __future__ import annotations

import platform
import sys
from collections import Counter
from dataclasses import replace

import pytest
import torch

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

from winograd import nest, toom_cook
from winograd.benching.cuda import stages
from winograd.benching.cuda.stages import EventMarker, ProcessMarker, marker_of, stage_times
from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.selection import Filters
from winograd.conv.gpu.card import card_named
from winograd.conv.gpu.device import pretending
from winograd.conv.gpu.run import module_of, try_on_card, try_pack_on_card
from winograd.conv.gpu.schedule import GpuSchedule
from winograd.conv.plan.record import Plan
from winograd.conv.planning.make import make_plan

H100 = card_named("h100")
FUSED = GpuSchedule("fused", "ieee")


class Counting:
    """Every mark is a millisecond behind the one before."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.now = 0

    def mark(self) -> int:
        self.log.append("mark")
        self.now += 1
        return self.now

    def between(self, before: int, behind: int) -> float:
        return float(behind - before)

    def hold(self, milliseconds: float) -> None:
        assert milliseconds > 0
        self.log.append("hold")

    def wait(self) -> None:
        self.log.append("wait")


def planned(schedule: GpuSchedule) -> Plan:
    shape = ConvArguments(padding=1).shape((3, 8, 4), (8, 8, 3), dtype="float32", card=H100)
    return replace(make_plan(shape, algorithm=nest(toom_cook(2, 3)), filters=Filters.FROZEN), gpu=schedule)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (FUSED, {"fused": 1.0, "filter": 1.0}),
        (GpuSchedule("staged", "ieee"), {"data": 1.0, "products": 1.0, "inverse": 1.0, "filter": 1.0}),
        # 2 of 6 columns of tiles at a time, of 256 bytes each
        (
            GpuSchedule("staged", "ieee", (("workspace_bytes", 768),)),
            {"data": 3.0, "products": 3.0, "inverse": 3.0, "filter": 1.0},
        ),
    ],
    ids=lambda given: given.label if isinstance(given, GpuSchedule) else "",
)
def test_all_launches_of_a_stage_are_its_time(
    schedule: GpuSchedule, expected: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "CALLS", 2)
    with pretending(H100), torch.inference_mode():
        plan, marker, numbers = planned(schedule), Counting(), []
        x, w = torch.ones(3, 8, 4), torch.ones(8, 8, 3)
        before = dict(vars(module_of(plan)))
        packed = try_pack_on_card(plan, w)
        found = stage_times(
            plan, w, lambda number: numbers.append(number) or try_on_card(plan, x, w, packed=packed), 3, marker
        )
        assert vars(module_of(plan)).items() >= before.items()
    assert dict(found.stages) == expected
    assert found.host_ms > 0
    assert numbers == [0, 1, 0, 1]  # timed from outside, then by stages
    counts = Counter(marker.log)
    assert counts["hold"] == 4  # of calls and of transforms of the filter
    held = [index for index, word in enumerate(marker.log) if word == "hold"]
    assert all(marker.log[index + 1] == "mark" for index in held)  # nothing is marked before the card is held back


def test_kernels_are_put_back_when_a_call_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "CALLS", 1)
    calls = iter([None])

    def fail_later(_: int) -> None:
        if next(calls, "no more") == "no more":
            raise RuntimeError("CUDA error")

    with pretending(H100), torch.inference_mode():
        plan = planned(FUSED)
        run = module_of(plan).run
        with pytest.raises(RuntimeError, match="CUDA error"):
            stage_times(plan, torch.ones(8, 8, 3), fail_later, 1, Counting())
        assert module_of(plan).run is run


def test_a_gpu_is_marked_by_events(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[object] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            log.append("record")

        def elapsed_time(self, other: object) -> float:
            return 2.5

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "_sleep", log.append)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: log.append("idle"))
    marker = marker_of(torch.device("cuda", 0))
    assert isinstance(marker, EventMarker)
    marker.hold(0.5)
    assert marker.between(marker.mark(), marker.mark()) == 2.5
    marker.wait()
    assert log == [1_000_000, "record", "record", "idle"]
    assert isinstance(marker_of(torch.device("cpu")), ProcessMarker)
