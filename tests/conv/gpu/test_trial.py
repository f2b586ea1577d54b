"""Trials of plans on a card: wrong outputs and kernels that do not run are never the fastest."""

from __future__ import annotations

import platform
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

from triton.runtime.errors import OutOfResources

from winograd import nest, toom_cook
from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.selection import Filters
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu import device, trial
from winograd.conv.gpu.card import card_named
from winograd.conv.gpu.device import pretending
from winograd.conv.gpu.failures import is_out_of_memory, is_passed_over
from winograd.conv.gpu.trial import Trial, device_like
from winograd.conv.plan.record import Plan
from winograd.conv.running.runnable import runnable_plan

pytestmark = pytest.mark.usefixtures("settable_flags")

H100, H200 = card_named("h100"), card_named("h200")


def small(dtype: str = "float32") -> ConvShape:
    return ConvArguments(padding=1).shape((2, 8, 4), (8, 8, 3), dtype=dtype, card=H100)


def small_plan(dtype: str = "float32") -> Plan:
    forced = nest(toom_cook(2, 3))
    return runnable_plan(small(dtype), tolerance=1e-5, algorithm=forced, filters=Filters.FROZEN, obstacle=None)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_wrong_output_is_never_fast(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = trial.try_on_card
    with pretending(H100), torch.inference_mode():
        plan, tried = small_plan(dtype), Trial.of(small(dtype), 1e-5, lambda call: (call(), 1.0)[1])
        assert tried.plan_ms(plan) == 1.0
        for change in (lambda out: out * 1.01, lambda out: out * torch.nan, lambda out: out.roll(1, 0)):
            monkeypatch.setattr(trial, "try_on_card", lambda *a, change=change, **k: change(real(*a, **k)))
            assert tried.plan_ms(plan) == float("inf")


@pytest.mark.parametrize(
    ("error", "passed"),
    [
        (OutOfResources(300_000, 232_448, "shared memory"), True),
        (RuntimeError("Failed to find C compiler. Please specify via CC environment variable."), True),
        (RuntimeError("PassManager::run failed"), True),
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (subprocess.CalledProcessError(1, "gcc"), True),
        (RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered"), False),
        (torch.AcceleratorError("CUDA error: unspecified launch failure"), False),
        (RuntimeError("CUDA error: operation not permitted when stream is capturing"), False),
        (ValueError("u is not contiguous, must be as transform_filter made it"), False),
    ],
)  # fmt: skip
def test_what_leaves_a_card_as_it_was_is_passed_over(
    error: Exception, passed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_passed_over(error) is passed
    assert is_out_of_memory(error) is isinstance(error, torch.OutOfMemoryError)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(trial, "try_pack_on_card", fail)
    tried = Trial(small(), 1e-5, lambda _: 1.0, *[torch.zeros(1)] * 3)
    if passed and not is_out_of_memory(error):
        assert tried.plan_ms(small_plan()) == float("inf")
    else:  # memory may suffice another time
        with pytest.raises(type(error)):
            tried.plan_ms(small_plan())


def test_data_are_drawn_on_a_card_like_that_of_the_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = {0: H200, 1: H100, 2: replace(H100, memory_bytes=85 * 10**9)}  # as the driver says it
    there = SimpleNamespace(is_available=lambda: True, device_count=lambda: 3, current_device=lambda: 0)
    monkeypatch.setattr(torch, "cuda", there)
    monkeypatch.setattr(device, "card_of_device", cards.__getitem__)
    assert device_like(small()) == torch.device("cuda", 1)
    there.current_device = lambda: 2
    assert device_like(small()) == torch.device("cuda", 2)
    cards.update({1: H200, 2: H200})
    with pytest.raises(ValueError, match="no NVIDIA H100 80GB HBM3 here to measure on"):
        device_like(small())
