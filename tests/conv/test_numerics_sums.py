"""Long sums, and sums that cancel, through the compiled kernels: bounds hold, and reports divide by no zero."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

import winograd
from winograd import error_bound, nest, toom_cook
from winograd.accuracy.bounding.adversarial import adversarial_signs
from winograd.accuracy.model import predict_relative_l2
from winograd.accuracy.protocol import Experiment, FilterRounding
from winograd.algebra.nesting import NestedAlgorithm
from winograd.benching.verification import float64_reference, measured_errors
from winograd.codegen.interpret import Contraction
from winograd.codegen.targets.c import CHANNEL_BLOCK
from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.prediction import DEFAULT_TOLERANCE, float32_error
from winograd.conv.direct.convolve import FUNCTIONS
from winograd.conv.native.kernel import native_convolution
from winograd.conv.native.schedule import Schedule, ScheduleKind
from winograd.conv.plan.record import Backend
from winograd.conv.planning.make import make_plan
from winograd.nn.compare import compare, compare_layer
from winograd.testing import assert_within_bound

Tensor = torch.Tensor

F23, F43 = toom_cook(2, 3), toom_cook(4, 3)
AS_COMPILED = Experiment(
    "compiled", channel_block=CHANNEL_BLOCK, contraction=Contraction.FUSED, filter_rounding=FilterRounding.ONCE
)
"""What the kernels do, whose bound is sharper than that of any kernel."""


def run(data: Tensor, weight: Tensor, algorithm: NestedAlgorithm, kind: ScheduleKind) -> Tensor:
    convolution = native_convolution(algorithm)
    none = ((0, 0),) * algorithm.ndim
    return convolution.convolve(data, convolution.pack(weight), padding=none, schedule=Schedule(kind, 5))


# Adversarial signs


def largest_share(nested: NestedAlgorithm, channels: int, kind: ScheduleKind) -> float:
    """Return the largest error over the bound of its output, of tiles whose signs are the worst there are."""
    generator = torch.Generator().manual_seed(0)
    tiles, filters = max(128 // channels, 2), 4
    drawn = []
    for count, pattern in zip((tiles, filters), adversarial_signs(nested), strict=True):
        sizes = torch.rand(count, channels, *pattern.shape, generator=generator) / 2 + 0.5
        drawn.append((sizes * torch.from_numpy(pattern)).float())
    data, weight = drawn
    result = run(data, weight, nested, kind)
    assert_within_bound(result, data, weight, nested)
    assert_within_bound(result, data, weight, nested, experiment=AS_COMPILED)
    exact = FUNCTIONS[nested.ndim](data.double(), weight.double())
    # Every tile with every filter, the pairs innermost.
    inputs = np.repeat(np.moveaxis(data.numpy(), (0, 1), (-1, -2)), filters, axis=-1)
    taps = np.tile(np.moveaxis(weight.numpy(), (0, 1), (-1, -2)), tiles)
    allowed = error_bound(nested, channels=channels).componentwise(inputs, taps)
    errors = np.moveaxis((result.double() - exact).abs().flatten(0, 1).numpy(), 0, -1)
    return float((errors / allowed).max())


@pytest.mark.parametrize("kind", ScheduleKind)
@pytest.mark.parametrize(
    ("ndim", "channels", "least"), [(1, 1, 0.08), (2, 1, 0.01), (3, 1, 0.0), (1, 65, 0.0), (2, 65, 0.0), (3, 65, 0.0)]
)
def test_compiled_kernels_keep_to_the_bound_under_adversarial_signs(
    ndim: int, channels: int, least: float, kind: ScheduleKind, capsys: pytest.CaptureFixture[str]
) -> None:
    shares = {axis.m: largest_share(nest(*[axis] * ndim), channels, kind) for axis in (F23, F43)}
    with capsys.disabled():
        print(f" {ndim}D, {channels} channels: " + ", ".join(f"F({m},3) {x:.2%}" for m, x in shares.items()), end=" ")
    assert all(least < share <= 1 for share in shares.values())


# 4096 channels


@pytest.mark.parametrize("kind", ScheduleKind)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_4096_channels_of_one_output_keep_to_the_bound_of_their_blocks(ndim: int, kind: ScheduleKind) -> None:
    generator = torch.Generator().manual_seed(ndim)
    # All of one sign, so that partial sums grow to the end.
    data = torch.rand(1, 4096, *(3,) * ndim, generator=generator)
    weight = torch.rand(3, 4096, *(3,) * ndim, generator=generator)
    algorithm = nest(*[F23] * ndim)
    result = run(data, weight, algorithm, kind)
    assert result.shape == (1, 3, *(1,) * ndim)
    assert_within_bound(result, data, weight, algorithm)
    assert_within_bound(result, data, weight, algorithm, experiment=AS_COMPILED)


@pytest.mark.parametrize("kind", ScheduleKind)
def test_blocks_keep_what_one_running_sum_would_lose(kind: ScheduleKind) -> None:
    # 1 and 4095 times 2^-24: a running sum stays at 1. Of blocks of 64 only the first loses its 63.
    data, weight = torch.zeros(1, 4096, 4), torch.zeros(1, 4096, 3)
    data[..., 0], data[0, 0, 0], weight[..., 0] = 2.0**-24, 1, 1
    exact = 1 + 4095 * 2.0**-24
    result = run(data, weight, nest(F23), kind)[0, 0, 0].item()
    assert exact - result <= 64 * 2.0**-24
    assert exact - 1 > 4000 * 2.0**-24


def test_the_bound_grows_with_blocks_where_sums_are_in_blocks() -> None:
    algorithm = nest(F43, F43)
    one, many = (error_bound(algorithm, channels=channels) for channels in (64, 4096))
    assert many.max_abs > 4096 * error_bound(algorithm, channels=1).max_abs / 2
    assert many.norm_factor > one.norm_factor


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_plans_leave_a_single_output_to_direct_convolution_and_say_why(ndim: int) -> None:
    shape = ConvArguments().shape((1, 4096, *(3,) * ndim), (64, 4096, *(3,) * ndim), dtype="float32")
    plan = make_plan(shape)
    assert plan.backend is Backend.DIRECT
    assert "one on every axis" in plan.reason
    forced = make_plan(shape, algorithm=nest(*[F23] * ndim))
    assert forced.backend is Backend.NATIVE
    # 64 blocks of 64 channels are two sums of 64 numbers, one after the other, and far from one sum of 4096.
    narrow = ConvArguments().shape((1, 64, *(3,) * ndim), (64, 64, *(3,) * ndim), dtype="float32")
    blocks, many = (float32_error(one, nest(*[F23] * ndim)) for one in (narrow, shape))
    assert blocks < many < math.sqrt(2) * blocks
    assert predict_relative_l2(nest(*[F23] * ndim), channels=4096) > 3 * many


@pytest.mark.parametrize("size", [2, 4])
def test_plans_of_4096_channels_with_few_outputs_keep_their_promise(size: int) -> None:
    arguments = ConvArguments(padding=1)
    shape = arguments.shape((1, 4096, size, size), (64, 4096, 3, 3), dtype="float32")
    plan = make_plan(shape)
    assert plan.backend is Backend.DIRECT or plan.predicted_error <= DEFAULT_TOLERANCE
    generator = torch.Generator().manual_seed(size)
    data = torch.randn(1, 4096, size, size, generator=generator)
    weight = torch.randn(64, 4096, 3, 3, generator=generator)
    exact = torch.conv2d(data.double(), weight.double(), padding=1)
    with torch.no_grad():
        ours = winograd.conv2d(data, weight, padding=1)
    assert ((ours - exact).norm() / exact.norm()).item() <= DEFAULT_TOLERANCE


# Total cancellation


def constant_and_sum_zero(ndim: int, channels: int = 3) -> tuple[Tensor, Tensor]:
    line, weight = torch.tensor([1.0, -2.0, 1.0]), torch.ones(())
    for _ in range(ndim):
        weight = weight[..., None] * line
    return torch.full((1, channels, *(9,) * ndim), 0.7), weight.expand(4, channels, *weight.shape).contiguous()


@pytest.mark.parametrize("kind", ScheduleKind)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_total_cancellation_keeps_the_absolute_bound(ndim: int, kind: ScheduleKind) -> None:
    data, weight = constant_and_sum_zero(ndim)
    for axis in (F23, F43):
        algorithm = nest(*[axis] * ndim)
        result = run(data, weight, algorithm, kind)
        assert_within_bound(result, data, weight, algorithm, experiment=AS_COMPILED)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_verification_of_a_benchmark_divides_by_no_zero(ndim: int) -> None:
    data, weight = constant_and_sum_zero(ndim)
    shape = ConvArguments().shape(tuple(data.shape), tuple(weight.shape), dtype="float32")
    exact = float64_reference(torch.ones_like(data), weight, None, shape)
    assert not exact.any()
    ours = run(data, weight, nest(*[F43] * ndim), ScheduleKind.FUSED)
    errors = measured_errors({"ours": lambda: ours, "zero": lambda: torch.zeros_like(ours)}, exact)
    assert errors["zero"] == 0
    # Where the exact result is zero it is the norm of what came out, which is a number.
    assert errors["ours"] == float(torch.linalg.vector_norm(ours.double()))
    assert math.isfinite(errors["ours"])


class Cancelling(nn.Module):
    """Two layers of filters that sum to zero, and a head that sees nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv3d(3, 4, 3), nn.Conv3d(4, 4, 3)
        _, weight = constant_and_sum_zero(3, 4)
        self.first.weight.data, self.second.weight.data = weight[:, :3].contiguous(), weight
        for layer in (self.first, self.second):
            assert layer.bias is not None
            layer.bias.data.zero_()

    def forward(self, clips: Tensor) -> Tensor:
        return self.second(self.first(clips)).flatten(1)[:, :8]


def test_a_comparison_of_a_network_without_output_is_all_numbers() -> None:
    clips = torch.full((2, 3, 9, 9, 9), 0.5)
    found = compare(Cancelling().eval(), clips, repeats=1, stack=("first",))
    figures = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert figures["clip_distance"] == 0
    assert [layer["measured_error"] for layer in figures["layers"]] == [0, 0]
    assert "nan" not in str(found)
    assert "inf" not in str(found)


def test_a_layer_forced_to_cancel_reports_what_came_out_of_it() -> None:
    direct = Cancelling().first
    converted = nn.Sequential(Cancelling().first)
    report = winograd.convert_(converted)
    with torch.inference_mode():
        row = compare_layer("first", direct, converted[0], torch.full((1, 3, 9, 9, 9), 0.7), repeats=1)
    assert 0 <= row.measured_error < 1e-4
    assert json.loads(report.to_json())["rows"]
    assert "nan" not in str(report)
