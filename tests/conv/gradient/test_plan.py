"""Plans of the gradient of the weight: their native code, its error and its memory are what they say."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from winograd import best, nest, toom_cook
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.tiling import tile_axes
from winograd.conv.arguments import ConvArguments
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gradient import run as gradients
from winograd.conv.gradient.direct import weight_gradient_direct
from winograd.conv.gradient.native import filter_gradient
from winograd.conv.gradient.plan import plan_gradient
from winograd.conv.gradient.record import Gradient
from winograd.conv.gradient.run import runnable_gradient_plan, weight_gradient
from winograd.conv.gradient.selection import select_gradient, selection_of
from winograd.conv.gradient.wanted import is_worth_an_operator
from winograd.conv.gradient.weight_plan import own_error
from winograd.conv.limits import MemoryLimits
from winograd.conv.plan.record import Backend
from winograd.conv.planning.make import make_plan
from winograd.conv.tensors.layout import Layout

LARGE = ConvArguments(padding=1).shape((4, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32")

MODEL = 0.08 + 0.03
"""How far the model may be off, as `winograd.accuracy.model.predict_error` says, and the sample: independent errors of
V and M are some hundred to some thousand."""


def layer(padding: int, batch: int, sizes: tuple[int, ...], taps: int, dtype: str = "float32") -> ConvShape:
    """Return the shape of a layer of 32 channels and outputs."""
    weight = (32, 32, *(taps,) * len(sizes))
    return ConvArguments(padding=padding).shape((batch, 32, *sizes), weight, dtype=dtype)


LAYERS = {
    "whole tiles": (nest(best(4, 3), best(4, 3)), layer(0, 4, (34, 34), 3)),
    "padded": (nest(best(4, 3), best(4, 3), best(4, 3)), layer(1, 2, (8, 8, 8), 3)),
    "ragged": (nest(best(2, 3), best(4, 3), best(4, 3)), layer(1, 2, (7, 9, 9), 3)),
    "many tiles": (nest(best(2, 3)), layer(1, 4, (3000,), 3)),
    "five taps": (nest(best(4, 5), best(4, 5)), layer(2, 2, (24, 24), 5)),
}


def drawn(shape: ConvShape, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    input_ = 2 * torch.rand(shape.batch, shape.channels, *shape.sizes) - 1
    return input_.to(dtype), (2 * torch.rand(shape.batch, shape.outputs, *shape.output) - 1).to(dtype)


def measured(shape: ConvShape, algorithm: NestedAlgorithm, dtype: torch.dtype = torch.float32) -> float:
    """Return the relative L2 error of what a plan with this algorithm computes, against torch in float64."""
    input_, slope = drawn(shape, dtype)
    exact = weight_gradient_direct(input_.double(), slope.double(), shape, Layout.CHANNELS_FIRST)
    found = weight_gradient(plan_gradient(Gradient.WEIGHT, shape, algorithm=algorithm), input_, slope)
    return float((found.double() - exact).norm() / exact.norm())


@pytest.mark.parametrize(("algorithm", "shape"), LAYERS.values(), ids=LAYERS)
def test_the_error_is_the_predicted_one(algorithm: NestedAlgorithm, shape: ConvShape) -> None:
    plan = plan_gradient(Gradient.WEIGHT, shape, algorithm=algorithm)
    assert plan.backend is Backend.NATIVE
    assert plan.predicted_error is not None
    assert 1 - MODEL <= measured(shape, algorithm) / plan.predicted_error <= 1 + MODEL


def test_a_tile_that_is_left_out_is_noticed() -> None:
    algorithm, shape = LAYERS["whole tiles"]
    plan = plan_gradient(Gradient.WEIGHT, shape, algorithm=algorithm)
    assert plan.predicted_error is not None
    input_, slope = drawn(shape)
    exact = weight_gradient_direct(input_.double(), slope.double(), shape, Layout.CHANNELS_FIRST)
    slope[-1, :, -4:, -4:] = 0
    found = weight_gradient(plan, input_, slope).double()
    assert float((found - exact).norm() / exact.norm()) > (1 + MODEL) * plan.predicted_error


@pytest.mark.parametrize(("dtype", "name"), [(torch.float16, "float16"), (torch.bfloat16, "bfloat16")])
def test_sixteen_bits_are_computed_in_float32_and_rounded_once(dtype: torch.dtype, name: str) -> None:
    algorithm = nest(best(4, 3), best(4, 3))
    shape = layer(1, 4, (32, 32), 3, name)
    plan = plan_gradient(Gradient.WEIGHT, shape, algorithm=algorithm)
    assert plan.predicted_error is not None
    assert 1 - MODEL <= measured(shape, algorithm, dtype) / plan.predicted_error <= 1 + MODEL


def test_float64_has_an_error_of_its_own() -> None:
    algorithm = nest(best(4, 3), best(4, 3))
    shapes = [layer(1, 1, (16, 16), 3, name) for name in ("float32", "float64")]
    single, double = (plan_gradient(Gradient.WEIGHT, shape, algorithm=algorithm).predicted_error for shape in shapes)
    assert single is not None
    assert double is not None
    assert double == pytest.approx(single * 2**-29, rel=0.05)
    # torch's own sums in float64 round about as much as the transforms do: a bound only
    assert measured(shapes[1], algorithm, torch.float64) < 2 * double


def test_what_is_predicted_to_be_slower_is_torchs_own() -> None:
    tiny = ConvArguments(padding=1).shape((1, 4, 6, 6), (4, 4, 3, 3), dtype="float32")
    plan = plan_gradient(Gradient.WEIGHT, tiny)
    assert plan.backend is Backend.DIRECT
    assert "not faster by a factor of" in plan.reason
    large = plan_gradient(Gradient.WEIGHT, LARGE)
    assert large.backend is Backend.NATIVE
    assert large.predicted_ms is not None
    assert large.direct_ms is not None
    assert large.predicted_ms * 1.2 <= large.direct_ms


def test_the_tolerance_decides() -> None:
    errors = [
        plan_gradient(Gradient.WEIGHT, LARGE, tolerance=tolerance).predicted_error for tolerance in (1e-5, 2e-6, 9e-7)
    ]
    for error, tolerance in zip(errors, (1e-5, 2e-6, 9e-7), strict=True):
        assert error is not None
        assert error <= tolerance
    none = plan_gradient(Gradient.WEIGHT, LARGE, tolerance=1e-8)
    assert (none.backend, none.reason.startswith("no candidate within the tolerance 1e-08")) == (Backend.DIRECT, True)


def test_no_other_candidate_is_faster_and_tolerated() -> None:
    found = select_gradient(LARGE, 2e-6, MemoryLimits(), 2)
    assert found is not None
    for sizes in ((2, 4, 4), (4, 4, 4), (2, 2, 2), (4, 6, 6)):
        other = selection_of(LARGE, nest(*(best(m, 3) for m in sizes)), MemoryLimits(), 2)
        assert other is not None
        assert other.milliseconds >= 0.999 * found.milliseconds or other.error > 2e-6 / 1.055


def test_blocks_are_made_small_enough_for_the_workspace() -> None:
    algorithm = nest(*(best(4, 3),) * 3)
    given = partial(plan_gradient, Gradient.WEIGHT, LARGE, algorithm=algorithm)
    plans = [given(workspace_cap=cap) for cap in (64 << 20, 8 << 20)]
    assert plans[0].block is not None
    assert plans[1].block is not None
    assert plans[1].block < plans[0].block
    assert plans[1].workspace_bytes <= 8 << 20
    with pytest.raises(ValueError, match="no tile whose gradient fits into the limits on memory"):
        plan_gradient(Gradient.WEIGHT, LARGE, algorithm=algorithm, workspace_cap=100_000)
    with pytest.raises(ValueError, match="no tile whose gradient fits into the limits on memory"):
        plan_gradient(Gradient.WEIGHT, LARGE, algorithm=algorithm, filter_cap=100_000)
    assert plan_gradient(Gradient.WEIGHT, LARGE, workspace_cap=100_000, filter_cap=1000).backend is Backend.DIRECT


def test_the_kernel_takes_the_memory_that_the_plan_says() -> None:
    algorithm, shape = LAYERS["padded"]
    plan = plan_gradient(Gradient.WEIGHT, shape, algorithm=algorithm)
    tiling = tile_axes(shape.sizes, algorithm.m, algorithm.r, shape.padding)
    taken = filter_gradient(algorithm).workspace_bytes(tiling, shape.batch, 32, 32, plan.block)
    said = plan.filter_bytes + plan.workspace_bytes
    own = 4 * 2 * (algorithm.rank * (16 + 2 * 8 * 32) + 4096)  # of two threads: vectors, addresses, doubles
    assert said <= taken <= said + own + 4 * 3 * 16 * algorithm.rank + 4096


def test_without_a_compiler_torch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "try_compiling", lambda *_: "no native kernel: none")
    plan = runnable_gradient_plan(Gradient.WEIGHT, LARGE)
    assert (plan.backend, plan.reason) == (Backend.DIRECT, "no native kernel: none")


def test_equal_questions_have_one_answer() -> None:
    assert plan_gradient(Gradient.WEIGHT, LARGE) is plan_gradient(Gradient.WEIGHT, LARGE)
    assert math.isfinite(plan_gradient(Gradient.WEIGHT, LARGE, threads=1).predicted_ms or math.inf)


def test_axes_of_one_tap_have_choices() -> None:
    shape = ConvArguments(padding=(0, 1, 1)).shape((4, 64, 8, 56, 56), (64, 64, 1, 3, 3), dtype="float32")
    plan = plan_gradient(Gradient.WEIGHT, shape)
    assert plan.algorithm is not None
    assert plan.algorithm.m[0] == 1
    input_, slope = drawn(ConvArguments(padding=(0, 1, 1)).shape((1, 8, 3, 9, 9), (8, 8, 1, 3, 3), dtype="float32"))
    small = ConvArguments(padding=(0, 1, 1)).shape((1, 8, 3, 9, 9), (8, 8, 1, 3, 3), dtype="float32")
    forced = plan_gradient(Gradient.WEIGHT, small, algorithm=nest(toom_cook(1, 1), toom_cook(4, 3), toom_cook(2, 3)))
    exact = weight_gradient_direct(input_.double(), slope.double(), small, Layout.CHANNELS_FIRST)
    found = weight_gradient(forced, input_, slope).double()
    assert forced.predicted_error is not None
    assert float((found - exact).norm() / exact.norm()) <= 1.2 * forced.predicted_error


def test_what_torchs_own_would_sum_too_inaccurately_is_computed_even_if_that_takes_longer() -> None:
    shape = ConvArguments(padding=1).shape((4, 8, 50_000), (8, 8, 3), dtype="float32")
    error = own_error(shape, threads=2)
    allowed, refused = (plan_gradient(Gradient.WEIGHT, shape, tolerance=factor * error) for factor in (1.01, 0.99))
    assert allowed.backend is Backend.DIRECT
    assert refused.backend is Backend.NATIVE
    assert refused.predicted_error is not None
    assert refused.predicted_error < error
    assert f"direct {error:.1e}" in refused.reason
    plan = make_plan(shape)
    assert not is_worth_an_operator(plan, (allowed,), forced=False)
    assert is_worth_an_operator(plan, (refused,), forced=False)


def test_torchs_own_errs_as_predicted() -> None:
    shape = ConvArguments(padding=1).shape((4, 16, 40, 40, 40), (16, 16, 3, 3, 3), dtype="float32")
    input_, slope = drawn(shape)
    exact = weight_gradient_direct(input_.double(), slope.double(), shape, Layout.CHANNELS_FIRST)
    found = weight_gradient_direct(input_, slope, shape, Layout.CHANNELS_FIRST).double()
    # measured 0.9 to 1.3 of it for large layers; how oneDNN parts the sum among threads is its own choice
    assert 0.5 <= float((found - exact).norm() / exact.norm()) / own_error(shape, torch.get_num_threads()) <= 2


def test_copies_of_16_bit_tensors_count_against_the_limit() -> None:
    shape = ConvArguments(padding=1).shape((4, 64, 8, 56, 56), (64, 64, 3, 3, 3), dtype="bfloat16")
    wide = plan_gradient(Gradient.WEIGHT, shape, workspace_cap=256 << 20)
    copies = 4 * 4 * (64 + 64) * 8 * 56 * 56
    assert wide.backend is Backend.NATIVE
    assert copies < wide.workspace_bytes <= 256 << 20
    narrow = plan_gradient(Gradient.WEIGHT, shape, workspace_cap=copies)
    assert narrow.backend is Backend.DIRECT
    assert "above the limit" in narrow.reason
