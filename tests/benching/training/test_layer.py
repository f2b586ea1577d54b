from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

import winograd
from tests.benching.made_up import layer
from winograd.benching.training import layer as measuring
from winograd.benching.training.engaged import engaged
from winograd.benching.training.layer import measure_step
from winograd.benching.training.reference import float64_step
from winograd.benching.training.rivals import converted, draw_steps
from winograd.benching.training.step import NAMES, check_step
from winograd.benching.verification import AboveToleranceError
from winograd.nn.modules import Conv3d

SMALL = layer("small", 8, 8, 4, 8, 8, batch=2)
WIDE = layer("wide", 64, 64, 8, 28, 28)
TOLERANCE = 5e-6


def test_a_measured_step_has_every_error_and_round() -> None:
    found = measure_step(SMALL, tolerance=TOLERANCE, repeats=2, with_parts=True)
    assert (tuple(found.errors), tuple(found.direct_errors)) == (NAMES, NAMES)
    assert all(0 < error <= TOLERANCE for error in found.errors.values())
    assert len(found.rounds.direct_ms) == len(found.rounds.ours_ms) == 2
    assert min(*found.rounds.direct_ms, *found.rounds.ours_ms) > 0
    assert list(found.parts) == ["output", "input_gradient", "weight_gradient"]
    assert found.macs == 3 * SMALL.macs
    assert found.layout in ("contiguous", "channels_last")


def test_a_layer_without_a_bias_has_no_error_of_its_gradient() -> None:
    found = measure_step(layer("bare", 4, 4, 9, has_bias=False), tolerance=TOLERANCE, repeats=1)
    assert tuple(found.errors) == NAMES[:3]
    assert (found.layout, found.direct_layout) == ("contiguous", "contiguous")  # a row has no channels last


def test_both_sides_take_part_in_both_memory_formats_with_the_same_numbers() -> None:
    direct, ours = draw_steps(SMALL, TOLERANCE, seed=3)
    for steps in (direct, ours):
        assert list(steps) == ["contiguous", "channels_last"]
        last = steps["channels_last"]
        for tensor in (last.input, last.grad_output, last.module.weight):
            assert tensor.is_contiguous(memory_format=torch.channels_last_3d)
            assert not tensor.is_contiguous()
    assert type(direct["contiguous"].module) is nn.Conv3d
    assert type(ours["contiguous"].module) is Conv3d
    assert torch.equal(direct["contiguous"].module.weight, ours["channels_last"].module.weight)
    assert direct["contiguous"].module.weight is not direct["channels_last"].module.weight


def test_the_weight_counts_as_written_to_before_every_step() -> None:
    step = draw_steps(SMALL, TOLERANCE, seed=0)[1]["contiguous"]
    versions = []
    for _ in range(3):
        step()
        versions.append(step.module.weight._version)
    assert versions[0] < versions[1] < versions[2]


def test_a_changed_weight_is_what_the_next_step_computes_with() -> None:
    step = draw_steps(WIDE, TOLERANCE, seed=0)[1]["contiguous"]
    step()
    with torch.no_grad():
        step.module.weight.mul_(-1)
    exact = float64_step(step.input, step.module.weight, step.module.bias, step.grad_output, WIDE.shape)
    assert max(step().errors(exact).values()) <= TOLERANCE


def test_parts_need_no_gradient_but_their_own() -> None:
    step = draw_steps(SMALL, TOLERANCE, seed=0)[1]["contiguous"]
    whole = step()
    parts = step.parts()
    assert torch.equal(parts["input_gradient"]()[0], whole.input_gradient)
    assert torch.equal(parts["weight_gradient"]()[0], whole.weight_gradient)
    assert all(parameter.requires_grad for parameter in step.module.parameters())


class _Broken(torch.autograd.Function):
    """A convolution whose gradients are as wrong as asked for."""

    wrong: Mapping[str, float] = {}

    @staticmethod
    def forward(ctx: Any, input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(input, weight)
        return torch.conv3d(input, weight, bias, padding=1) * (1 + _Broken.wrong.get("output", 0))

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> Any:
        input, weight = ctx.saved_tensors
        exact = float64_step(input, weight, weight[:, 0, 0, 0, 0], grad_output, SMALL.shape)
        return tuple(getattr(exact, name).float() * (1 + _Broken.wrong.get(name, 0)) for name in NAMES[1:])


@pytest.mark.parametrize("name", NAMES)
def test_one_wrong_tensor_is_refused_before_anything_is_timed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Broken, "wrong", {name: 1e-4})
    monkeypatch.setattr(Conv3d, "_conv_forward", lambda _, *tensors: _Broken.apply(*tensors))
    monkeypatch.setattr(measuring, "race", lambda *_: pytest.fail("it was timed"))
    told = name.replace("_", " ")
    with pytest.raises(AboveToleranceError, match=rf"small: error 1\.00e-04 of {told} by direct is above 5e-06"):
        measure_step(SMALL, tolerance=TOLERANCE, repeats=1)


def test_what_winograd_computes_is_held_to_the_tolerance_whatever_torch_does() -> None:
    errors = {"weight_gradient": 6e-6}
    check_step("one", errors, {"weight_gradient": 5e-6}, {}, TOLERANCE)
    with pytest.raises(AboveToleranceError, match="by native F"):
        check_step("one", errors, {"weight_gradient": 5e-6}, {"weight_gradient": "native F(2,3)"}, TOLERANCE)
    with pytest.raises(AboveToleranceError, match="error nan"):
        check_step("one", {"output": float("nan")}, {"output": 1e-7}, {}, TOLERANCE)


def test_uneven_padding_is_refused() -> None:
    uneven = replace(SMALL, shape=replace(SMALL.shape, padding=((1, 2), (1, 1), (1, 1))))
    with pytest.raises(ValueError, match=r"small has padding .*, must be the same on both sides of each axis"):
        measure_step(uneven, tolerance=TOLERANCE, repeats=1)


def test_what_was_engaged_is_told_after_a_forward() -> None:
    module = converted(nn.Conv3d(4, 4, 3), TOLERANCE)
    assert engaged(module) == {}
    module(torch.zeros(1, 4, 5, 5, 5))
    assert engaged(module) == {"output": "direct", "input_gradient": "direct", "weight_gradient": "direct"}
    assert engaged(nn.ReLU()) == {}


def test_winograd_is_engaged_where_plans_say_so() -> None:
    found = measure_step(WIDE, tolerance=TOLERANCE, repeats=1)
    assert list(found.engaged) == list(NAMES[:3])
    assert found.engaged["output"].startswith("native F(")
    assert found.engaged["input_gradient"].startswith("native F(")
    assert max(found.errors.values()) <= TOLERANCE


def test_without_winograd_ours_is_torchs_own_to_the_bit() -> None:
    direct, ours = draw_steps(WIDE, TOLERANCE, seed=0)
    with winograd.set_enabled(False):
        errors = ours["channels_last"]().errors(direct["channels_last"]())
    assert errors == dict.fromkeys(NAMES, 0.0)
