"""Gradients by plan: torch's own where the plan says so, in its memory formats, and Winograd's where it is forced."""

from __future__ import annotations

from itertools import product
from math import prod

import pytest
import torch

from winograd import error_bound, nest, set_enabled, toom_cook
from winograd.algebra.forms import transposed_nest
from winograd.conv.arguments import ConvArguments
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gradient import run as gradients
from winograd.conv.gradient.plan import plan_gradient
from winograd.conv.gradient.record import Gradient, GradientPlan
from winograd.conv.gradient.run import input_gradient, runnable_gradient_plan, weight_gradient
from winograd.conv.plan.record import Backend
from winograd.conv.tensors.layout import FORMATS, Layout

F23, F43 = toom_cook(2, 3), toom_cook(4, 3)


def tensors(shape: ConvShape, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return input, weight and gradient of the output, of small integers: their sums are exact in every order."""
    torch.manual_seed(0)
    input_ = torch.randint(-3, 4, (shape.batch, shape.channels, *shape.sizes)).to(dtype)
    weight = torch.randint(-3, 4, shape.weight_sizes).to(dtype)
    return input_, weight, torch.randint(-3, 4, (shape.batch, shape.outputs, *shape.output)).to(dtype)


def exact(shape: ConvShape, input_: torch.Tensor, weight: torch.Tensor, slope: torch.Tensor) -> list[torch.Tensor]:
    """Return the gradients of input and weight by torch in float64."""
    with torch.enable_grad():
        leaves = [tensor.double().requires_grad_() for tensor in (input_, weight)]
        padded = torch.constant_pad_nd(leaves[0], [side for pair in reversed(shape.padding) for side in pair])
        function = (torch.conv1d, torch.conv2d, torch.conv3d)[shape.ndim - 1]
        output = function(padded, leaves[1], None, shape.stride, 0, shape.dilation, shape.groups)
        return list(torch.autograd.grad(output, leaves, slope.double()))


CASES = {
    "dense": ConvArguments(padding=1).shape((2, 8, 6, 7), (4, 8, 3, 3), dtype="float32"),
    "uneven": ConvArguments(padding="same").shape((2, 4, 6, 7), (4, 4, 4, 2), dtype="float32"),
    "padded beyond the kernel": ConvArguments(padding=4).shape((1, 3, 5, 6), (4, 3, 3, 2), dtype="float32"),
    "strided": ConvArguments(stride=2, padding=1).shape((2, 4, 7, 8), (6, 4, 3, 3), dtype="float32"),
    "dilated": ConvArguments(dilation=2, padding=2).shape((2, 4, 9, 8), (6, 4, 3, 3), dtype="float32"),
    "grouped": ConvArguments(groups=2, padding=1).shape((2, 16, 9, 8), (32, 8, 3, 3), dtype="float32"),
    "one axis": ConvArguments(padding=1).shape((2, 4, 9), (6, 4, 3), dtype="float32"),
    "three axes": ConvArguments(padding=1).shape((2, 4, 5, 4, 3), (6, 4, 3, 3, 3), dtype="float32"),
    "no image": ConvArguments(padding=1).shape((0, 4, 9), (6, 4, 3), dtype="float32"),
}


@pytest.mark.parametrize("shape", CASES.values(), ids=CASES)
def test_what_is_planned_is_torchs_gradient(shape: ConvShape) -> None:
    input_, weight, slope = tensors(shape)
    expected = exact(shape, input_, weight, slope)
    plans = plan_gradient(Gradient.INPUT, shape), plan_gradient(Gradient.WEIGHT, shape)
    found = input_gradient(plans[0], slope, weight), weight_gradient(plans[1], input_, slope)
    for plan, one, other in zip(plans, found, expected, strict=True):
        assert plan.backend is Backend.DIRECT, plan
        assert torch.equal(one.double(), other)


@pytest.mark.parametrize(("last", "wanted"), [*product([False, True], Layout)])
def test_results_lie_in_memory_as_torchs_do(last: bool, wanted: Layout) -> None:
    shape = CASES["dense"]
    form = FORMATS[4] if last else torch.contiguous_format
    input_, weight, slope = (tensor.to(memory_format=form) for tensor in tensors(shape))
    plans = plan_gradient(Gradient.INPUT, shape), plan_gradient(Gradient.WEIGHT, shape)
    for layout in (wanted, None):
        asked = layout or (Layout.CHANNELS_LAST if last else Layout.CHANNELS_FIRST)
        expected = FORMATS[4] if asked is Layout.CHANNELS_LAST else torch.contiguous_format
        assert input_gradient(plans[0], slope, weight, layout).is_contiguous(memory_format=expected)
        assert weight_gradient(plans[1], input_, slope, layout).is_contiguous(memory_format=expected)


def test_one_image_without_a_batch() -> None:
    shape = ConvArguments(padding=1).shape((4, 6, 7), (4, 4, 3, 3), dtype="float32")
    input_, weight, slope = tensors(shape)
    expected = exact(shape, input_, weight, slope)
    assert torch.equal(input_gradient(plan_gradient(Gradient.INPUT, shape), slope[0], weight).double(), expected[0][0])
    assert torch.equal(
        weight_gradient(plan_gradient(Gradient.WEIGHT, shape), input_[0], slope[0]).double(), expected[1]
    )


def test_forced_algorithms_run_the_composed_backend_where_c_cannot() -> None:
    shape = CASES["three axes"]
    nested = nest(F43, F43, F23)
    plans = [plan_gradient(wanted, shape, algorithm=nested, obstacle="a gradient is required") for wanted in Gradient]
    assert [plan.backend for plan in plans] == [Backend.COMPOSED] * 2
    assert all("a gradient is required" in plan.reason for plan in plans)
    input_, weight, slope = tensors(shape)
    found = input_gradient(plans[0], slope, weight), weight_gradient(plans[1], input_, slope)
    for one, other, algorithm, sums in zip(
        found,
        exact(shape, input_, weight, slope),
        (nested, transposed_nest(nested)),
        (shape.outputs, shape.batch * prod((2, 1, 2))),
        strict=True,
    ):
        # worst case of values within 3, in both factors; 3 since no FMA is promised and all transforms round
        assert (one - other).abs().max() <= 3 * 9 * error_bound(algorithm, channels=sums).max_abs
        assert (one - other).abs().max() > 0  # Winograd's own rounding


def test_the_gradient_of_the_input_runs_native_code_where_it_is_forced() -> None:
    shape = CASES["three axes"]
    nested = nest(F43, F43, F23)
    plan = plan_gradient(Gradient.INPUT, shape, algorithm=nested)
    input_, weight, slope = tensors(shape)
    found = input_gradient(plan, slope, weight)
    assert plan.backend is Backend.NATIVE
    bound = 3 * 9 * error_bound(nested, channels=shape.outputs).max_abs
    assert (found - exact(shape, input_, weight, slope)[0]).abs().max() <= bound


def test_a_forced_algorithm_gives_way_to_a_stride_where_c_cannot() -> None:
    shape = CASES["strided"]
    nested = nest(toom_cook(2, 2), toom_cook(2, 2))
    for wanted in Gradient:
        plan = plan_gradient(wanted, shape, algorithm=nested, obstacle="a gradient is required")
        assert plan.backend is Backend.DIRECT
        assert "a gradient is required" in plan.reason


@pytest.mark.parametrize("wanted", Gradient)
def test_winograd_is_switched_off(wanted: Gradient) -> None:
    shape, nested = CASES["dense"], nest(F43, F43)
    with set_enabled(False):
        assert plan_gradient(wanted, shape, algorithm=nested).reason == "Winograd is switched off"
    assert plan_gradient(wanted, shape, algorithm="direct").backend is Backend.DIRECT


def test_large_layers_take_native_code_for_the_gradient_of_their_input() -> None:
    shape = ConvArguments(padding=1).shape((4, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32")
    plan = plan_gradient(Gradient.INPUT, shape)
    assert plan.backend is Backend.NATIVE
    assert plan.convolution is not None
    assert (plan.convolution.shape.channels, plan.convolution.shape.outputs) == (128, 64)


def test_plans_of_other_gradients_and_sizes_are_refused() -> None:
    shape = CASES["dense"]
    input_, weight, slope = tensors(shape)
    with pytest.raises(ValueError, match="plan is for the gradient of the weight, must be for that of the input"):
        input_gradient(plan_gradient(Gradient.WEIGHT, shape), slope, weight)
    with pytest.raises(ValueError, match=r"grad_output has shape \(1, 4, 6, 7\), the plan is for \(2, 4, 6, 7\)"):
        weight_gradient(plan_gradient(Gradient.WEIGHT, shape), input_, slope[:1])


def test_without_a_compiler_torch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "lack_of_code", lambda _: "no native kernel: none")
    shape = ConvArguments(padding=1).shape((4, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32")
    plan = runnable_gradient_plan(Gradient.INPUT, shape)
    assert (plan.backend, plan.reason) == (Backend.DIRECT, "no native kernel: none")


def test_records_are_consistent_and_tell() -> None:
    plan = plan_gradient(Gradient.WEIGHT, CASES["dense"], algorithm=nest(F43, F23))
    assert plan.digest == plan_gradient(Gradient.WEIGHT, CASES["dense"], algorithm=nest(F43, F23)).digest
    assert plan.digest != plan_gradient(Gradient.WEIGHT, CASES["dense"], algorithm=nest(F23, F23)).digest
    assert "gradient of the weight" in plan.explain()
    assert "F(4x2,3x3)" in repr(plan)
    with pytest.raises(ValueError, match="only direct has none"):
        GradientPlan(CASES["dense"], Gradient.INPUT, Backend.COMPOSED, None, "none")
