"""Winograd switched off, for one call, one layer or the process: direct everywhere, and every plan says so."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import winograd
from winograd.conv.calls import convolution as calls
from winograd.conv.choosing.selection import Filters
from winograd.conv.direct import convolve as direct
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.planning.make import make_plan
from winograd.conv.reference import arrays
from winograd.conv.reference.plan import plan_reference
from winograd.conv.running import run as running
from winograd.conv.switch import ASKED_FOR, SWITCHED_OFF, is_enabled, set_enabled, switched_off
from winograd.nn import Conv3d

F23 = winograd.nest(*[winograd.toom_cook(2, 3)] * 3)
IMAGE = torch.randn(1, 64, 12, 32, 32, generator=torch.Generator().manual_seed(0))
WEIGHT = torch.randn(64, 64, 3, 3, 3, generator=torch.Generator().manual_seed(1))
SHAPE = ConvShape(1, 64, 64, (12, 32, 32), (3, 3, 3), (1, 1, 1), (1, 1, 1), ((1, 1),) * 3, 1, "float32")


def ran(monkeypatch: pytest.MonkeyPatch, call: Callable[[], object]) -> list[Backend]:
    """Return the backends of the plans that a call runs; torch's own convolution runs without a plan."""
    seen: list[Backend] = []
    run = running.run_plan

    def recorded(plan: Plan, *rest: Any, **more: Any) -> torch.Tensor:
        seen.append(plan.backend)
        return run(plan, *rest, **more)

    for module in (running, calls):
        monkeypatch.setattr(module, "run_plan", recorded)
    call()
    return seen


def test_it_is_on_from_the_start() -> None:
    assert is_enabled()
    assert make_plan(SHAPE).backend is Backend.NATIVE


def test_off_plans_are_direct_and_say_so() -> None:
    with winograd.set_enabled(False) as enabled:
        assert enabled is False
        plan = make_plan(SHAPE, filters=Filters.FROZEN)
        assert (plan.backend, plan.reason, plan.filters) == (Backend.DIRECT, SWITCHED_OFF, Filters.FROZEN)
        assert make_plan(SHAPE, algorithm=F23).reason == SWITCHED_OFF
    assert make_plan(SHAPE).backend is Backend.NATIVE


def test_calls_off_compute_what_torch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    own = torch.conv3d(IMAGE, WEIGHT, padding=1)
    with torch.no_grad():
        assert ran(monkeypatch, lambda: winograd.conv3d(IMAGE, WEIGHT, padding=1)) == [Backend.NATIVE]
        with set_enabled(False):
            for algorithm in (None, F23):
                computed = winograd.conv3d(IMAGE, WEIGHT, padding=1, algorithm=algorithm)
                torch.testing.assert_close(computed, own, rtol=1e-5, atol=1e-4)
            backends = ran(monkeypatch, lambda: winograd.conv3d(IMAGE, WEIGHT, padding=1, algorithm=F23))
            assert Backend.NATIVE not in backends
        assert ran(monkeypatch, lambda: winograd.conv3d(IMAGE, WEIGHT, padding=1))[-1] is Backend.NATIVE


def test_one_call_can_be_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.no_grad():
        call = lambda: winograd.conv3d(IMAGE, WEIGHT, padding=1, algorithm="direct")  # noqa: E731
        assert Backend.NATIVE not in ran(monkeypatch, call)
        torch.testing.assert_close(call(), torch.conv3d(IMAGE, WEIGHT, padding=1), rtol=1e-5, atol=1e-4)
        line = torch.randn(1, 2, 9)
        taps = torch.randn(2, 2, 3)
        assert torch.equal(winograd.conv1d(line, taps, algorithm="direct"), torch.conv1d(line, taps))


def test_a_direct_plan_takes_the_fastest_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    monkeypatch.setattr(running, "is_slow_in_torch", lambda *_: True)
    monkeypatch.setattr(
        running, "convolve_onednn", lambda *given: taken.append("onednn") or direct.convolve_onednn(*given)
    )
    image = torch.randn(1, 64, 8, 21, 20)
    with torch.no_grad(), set_enabled(False):
        winograd.conv3d(image, WEIGHT, padding=1)
    assert taken == ["onednn"]


def test_layers_plan_anew_and_take_their_plans_back() -> None:
    layer = Conv3d(64, 64, 3, padding=1)
    with torch.inference_mode():
        layer(IMAGE)
        first = layer.plans[-1]
        assert first.backend is Backend.NATIVE
        with set_enabled(False):
            layer(IMAGE)
        assert layer.plans[-1].reason == SWITCHED_OFF
        layer(IMAGE)
        assert len(layer.plans) == 2


def test_a_layer_can_be_direct_and_stays_so_as_a_copy() -> None:
    layer = pickle.loads(pickle.dumps(Conv3d(64, 64, 3, padding=1, algorithm="direct")))
    with torch.inference_mode():
        torch.testing.assert_close(layer(IMAGE), torch.nn.Conv3d.forward(layer, IMAGE))
    assert layer.plans[0].reason == ASKED_FOR


def test_reports_say_so() -> None:
    model = torch.nn.Sequential(torch.nn.Conv3d(64, 64, 3, padding=1))
    report = winograd.convert_(model)
    with torch.inference_mode(), set_enabled(False):
        model(IMAGE)
    assert [row.reason for row in report.rows] == [SWITCHED_OFF]


def test_arrays_follow_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    image, weight = np.ones((1, 2, 6)), np.ones((2, 2, 3))
    plans: list[Plan] = []

    def recorded(*given: Any, **more: Any) -> Plan:
        plans.append(plan_reference(*given, **more))
        return plans[-1]

    monkeypatch.setattr(arrays, "plan_reference", recorded)
    with set_enabled(False):
        assert np.array_equal(winograd.conv1d(image, weight), np.full((1, 2, 4), 6.0))
    assert np.array_equal(winograd.conv1d(image, weight, algorithm="direct"), np.full((1, 2, 4), 6.0))
    winograd.conv1d(image, weight)
    assert [plan.reason for plan in plans[:2]] == [SWITCHED_OFF, ASKED_FOR]
    assert [plan.backend for plan in plans] == [Backend.DIRECT, Backend.DIRECT, Backend.REFERENCE]


def test_compiled_code_may_ask_for_direct_convolution() -> None:
    def called(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return winograd.conv3d(x, w, padding=1, algorithm="direct")

    function = torch.jit.trace(called, (IMAGE, WEIGHT), check_trace=False)
    assert "aten::_convolution" in str(function.inlined_graph)


@pytest.mark.parametrize("wrong", [1, "off", None])
def test_other_settings_are_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="must be True or False"):
        set_enabled(wrong)  # type: ignore[arg-type]
    assert is_enabled()


def test_other_texts_are_refused() -> None:
    with pytest.raises(TypeError, match="'winograd', must be a BilinearAlgorithm, a NestedAlgorithm or 'direct'"):
        winograd.conv3d(IMAGE, WEIGHT, algorithm="winograd")  # type: ignore[arg-type]


def test_with_ends_at_an_error() -> None:
    with pytest.raises(KeyError), set_enabled(False):
        raise KeyError
    assert is_enabled()


@pytest.mark.parametrize(("value", "enabled"), [("1", False), ("yes", False), ("0", True), ("", True), (" ", True)])
def test_the_environment_says_so_from_the_start(value: str, enabled: bool) -> None:
    code = "from winograd.conv.switch import is_enabled; print(is_enabled())"
    environment = {**os.environ, "WINOGRAD_DISABLE": value}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(enabled)


def test_a_switch_that_does_nothing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winograd.conv.planning.make.switched_off", lambda *_: None)
    with set_enabled(False):
        plan: Plan = make_plan(SHAPE)
    assert plan.backend is not Backend.DIRECT
    assert switched_off("direct") == ASKED_FOR
