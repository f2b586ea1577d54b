"""Calls made ready for direct convolution: what the longer way computes, by as few functions of Python as can be."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest
import torch

from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.selection import Filters
from winograd.conv.direct.packed import PackedDirect, TorchsOwn
from winograd.conv.plan.record import Plan
from winograd.conv.planning.make import make_plan
from winograd.conv.running import run as running
from winograd.conv.running.packing import pack_for_plan
from winograd.conv.running.run import run_plan
from winograd.conv.switch import DIRECT
from winograd.conv.tensors.layout import as_channels_last

Sizes = tuple[int, ...]

CASES: dict[str, tuple[Sizes, Sizes, dict[str, Any]]] = {
    "packed, few outputs": ((1, 64, 4, 4, 4), (32, 64, 3, 3, 3), {"padding": 1}),
    "packed, many outputs": ((1, 3, 8, 40, 40), (16, 3, 3, 3, 3), {"padding": 1}),
    "packed, uneven zeros": ((2, 32, 9, 10), (64, 32, 4, 4), {"padding": "same"}),
    "packed, groups": ((1, 64, 6, 6, 6), (64, 8, 3, 3, 3), {"groups": 8}),
    "packed, one channel": ((2, 1, 30, 30), (64, 1, 7, 7), {}),
    "packed, one place": ((2, 512, 1, 1, 1), (64, 512, 3, 3, 3), {"padding": 1}),
    "packed, one column": ((1, 128, 5, 9, 1), (64, 128, 3, 3, 1), {}),
    "own, tiny": ((1, 4, 5, 5, 5), (4, 4, 2, 2, 2), {}),
    "own, uneven zeros": ((1, 4, 5, 6), (4, 4, 2, 2), {"padding": "same"}),
    "own, one axis": ((2, 4, 30), (8, 4, 3), {"padding": 1}),
    "own, one place": ((1, 8, 1, 1), (4, 8, 1, 1), {}),
}
FORMATS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "contiguous": torch.Tensor.contiguous,
    "channels last": as_channels_last,
    "neither": lambda tensor: tensor.transpose(1, -1).contiguous().transpose(1, -1),
}


def prepared(case: str) -> tuple[Plan, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return plan, input, weight and bias; small integers, of which float32 sums are exact in any order."""
    sizes, weight_sizes, options = CASES[case]
    generator = torch.Generator().manual_seed(0)
    input, weight = (torch.randint(-8, 9, each, generator=generator).float() for each in (sizes, weight_sizes))
    shape = ConvArguments(**options).shape(sizes, weight_sizes, dtype="float32")
    plan = make_plan(shape, algorithm=DIRECT, filters=Filters.FROZEN)
    return plan, input, weight, torch.arange(float(weight_sizes[0]))


@pytest.mark.parametrize("weight_format", ["contiguous", "channels last"])
@pytest.mark.parametrize("case", CASES)
def test_a_ready_call_gives_what_the_longer_way_gives(case: str, weight_format: str) -> None:
    plan, input, weight, bias = prepared(case)
    weight = FORMATS[weight_format](weight)
    packed = pack_for_plan(plan, weight)
    assert isinstance(packed, TorchsOwn if case.startswith("own") else PackedDirect)
    longer = replace(packed, ready={})
    for name, arranged in FORMATS.items():
        given = arranged(input)
        found, expected = (run_plan(plan, given, weight, bias, packed=one) for one in (packed, longer))
        assert torch.equal(found, expected), name
        assert found.stride() == expected.stride(), name
        assert torch.equal(found, run_plan(plan, given, weight, bias)), name


def python_calls(run: Callable[[], object]) -> list[str]:
    """Return the names of the functions of Python that are called."""
    names: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            names.append(frame.f_code.co_name)

    gc.disable()  # a collection calls what others have asked to be told of it
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
        gc.enable()
    return names


@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
@pytest.mark.parametrize("case", ["packed, many outputs", "packed, groups", "own, tiny"])
def test_a_ready_call_is_one_function_behind_the_plan(case: str, layout: str) -> None:
    plan, input, weight, bias = prepared(case)
    packed, given = pack_for_plan(plan, weight), FORMATS[layout](input)
    if not isinstance(packed, TorchsOwn | PackedDirect) or given.stride() not in packed.ready:
        assert (case, layout) == ("packed, many outputs", "contiguous")  # copying its output costs more than reordering
        return
    with torch.no_grad():
        lambda_and_plan = ["<lambda>", "run_plan"]
        called = python_calls(lambda: run_plan(plan, given, weight, bias, packed=packed))
    assert called[:2] == lambda_and_plan
    assert set(called[2:]) <= {"run", "<lambda>"}
    assert len(called) <= 4


def test_a_packed_weight_has_no_gradient_and_no_need_of_one() -> None:
    plan, input, weight, bias = prepared("packed, groups")
    packed, last = pack_for_plan(plan, weight), as_channels_last(input)
    with torch.enable_grad():
        found = run_plan(plan, last, weight, bias.requires_grad_(), packed=packed)
    assert not found.requires_grad
    with torch.no_grad():
        assert torch.equal(found, run_plan(plan, last, weight, bias, packed=packed))


def test_a_residual_and_a_relu_are_not_passed_over() -> None:
    plan, input, weight, bias = prepared("packed, groups")
    packed, last = pack_for_plan(plan, weight), as_channels_last(input)
    plain = run_plan(plan, last, weight, bias, packed=packed)
    assert plain.min() < 0
    assert torch.equal(run_plan(plan, last, weight, bias, packed=packed, relu=True), plain.relu())
    assert torch.equal(run_plan(plan, last, weight, bias, packed=packed, residual=-plain), torch.zeros_like(plain))


def test_a_forked_child_takes_the_longer_way_that_minds_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, input, weight, bias = prepared("own, tiny")
    packed = pack_for_plan(plan, weight)
    monkeypatch.setattr(running, "FORKS", [True])
    with torch.no_grad():
        assert "_run_plan" in python_calls(lambda: run_plan(plan, input, weight, bias, packed=packed))


def test_a_wrong_ready_call_is_noticed() -> None:
    plan, input, weight, bias = prepared("packed, groups")
    packed, last = pack_for_plan(plan, weight), as_channels_last(input)
    assert isinstance(packed, PackedDirect)
    wrong = replace(packed, ready={strides: lambda *given: packed.run(*given) + 1 for strides in packed.ready})
    assert not torch.equal(run_plan(plan, last, weight, bias, packed=wrong), run_plan(plan, last, weight, bias))
