"""Plans: the fastest tolerated candidate of the cost model, or direct convolution with the reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import winograd
from winograd import nest, toom_cook
from winograd.conv import roofline
from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.prediction import DEFAULT_TOLERANCE
from winograd.conv.choosing.selection import Filters
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.limits import memory_limits
from winograd.conv.native.schedule import Schedule, ScheduleKind
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.plan.verdict import REQUIRED_GAIN
from winograd.conv.planning import make
from winograd.conv.planning.make import make_plan
from winograd.conv.reference.plan import plan_reference

F23, F43 = toom_cook(2, 3), toom_cook(4, 3)
F23_3D, F43_3D = nest(F23, F23, F23), nest(F43, F43, F43)


def layer(channels: int, outputs: int, *sizes: int, dtype: str = "float32", **arguments: Any) -> ConvShape:
    taps = (3,) * len(sizes)
    return ConvArguments(**{"padding": 1, **arguments}).shape(
        (1, channels, *sizes), (outputs, channels // arguments.get("groups", 1), *taps), dtype=dtype
    )


C3D = {
    "conv2": layer(64, 128, 16, 56, 56),
    "conv3a": layer(128, 256, 8, 28, 28),
    "conv3b": layer(256, 256, 8, 28, 28),
    "conv4a": layer(256, 512, 4, 14, 14),
    "conv4b": layer(512, 512, 4, 14, 14),
}


@pytest.mark.parametrize("name", C3D)
def test_wide_frozen_layers_take_a_tolerated_candidate_that_is_faster(name: str) -> None:
    shape = C3D[name]
    plan = make_plan(shape, filters=Filters.FROZEN)
    assert plan.backend is Backend.NATIVE
    assert plan.predicted_error is not None
    assert 0 < plan.predicted_error <= DEFAULT_TOLERANCE
    assert plan.predicted_ms == pytest.approx(roofline.winograd_ms(shape, plan.algorithm, plan.schedule))
    assert plan.predicted_ms < plan.direct_ms / REQUIRED_GAIN
    assert plan.filter_bytes == 4 * plan.algorithm.rank * shape.channels * shape.outputs
    assert plan.workspace_bytes <= memory_limits().workspace
    assert plan.multiplications < shape.macs / 3


def test_a_smaller_tolerance_takes_smaller_errors_until_none_is_small_enough() -> None:
    shape = C3D["conv2"]
    loose, tight = (make_plan(shape, tolerance=tolerance, filters=Filters.FROZEN) for tolerance in (1e-5, 1e-6))
    assert loose.predicted_error > 1e-6 >= tight.predicted_error
    strict = make_plan(shape, tolerance=1e-9, filters=Filters.FROZEN)
    assert strict.backend is Backend.DIRECT
    assert "least error" in strict.reason


def test_live_filters_cost_their_transform_in_every_call() -> None:
    shape = C3D["conv2"]
    frozen, live = (make_plan(shape, algorithm=F43_3D, filters=filters) for filters in (Filters.FROZEN, Filters.LIVE))
    assert live.predicted_ms == pytest.approx(frozen.predicted_ms + roofline.filter_ms(shape, F43_3D))
    assert make_plan(layer(512, 512, 2, 7, 7), filters=Filters.LIVE).backend is Backend.DIRECT


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (layer(64, 64, 8, 28, 28, stride=2), "not faster by a factor of 1.85"),
        (layer(64, 64, 8, 28, 28, stride=2), "stride (2, 2, 2) by 8 phases"),
        (layer(64, 64, 4, 4, 4, padding=4, dilation=4), "output (1, 1, 1) of dilation (4, 4, 4) by 64 phases"),
        (layer(64, 64, 8, 28, 28, groups=64), "1 channel per group, the native backend needs 8"),
        (layer(64, 32, 8, 28, 28, groups=8, stride=2), "4 outputs per group, the native backend needs 8"),
        (layer(64, 64, 8, 28, 28, padding=0, stride=3), "taps (1, 1, 1) of stride (3, 3, 3) by 27 phases"),
        (layer(64, 64, 8, 28, 28, dtype="complex64"), "dtype complex64"),
        (layer(64, 64, 1, 1), "one on every axis"),
        (ConvArguments().shape((1, 64, 8, 28, 28), (64, 64, 1, 1, 1), dtype="float32"), "taps (1, 1, 1)"),
        (ConvArguments().shape((1, 64, 18, 28, 28), (64, 64, 9, 3, 3), dtype="float32"), "taps (9, 3, 3)"),
        (layer(2, 2, 4, 4, 4), "not faster"),
        (replace(C3D["conv2"], batch=0), "nothing to compute"),
    ],
)
def test_direct_convolution_says_why(shape: ConvShape, reason: str) -> None:
    plan = make_plan(shape, filters=Filters.FROZEN)
    assert (plan.backend, plan.algorithm, plan.filter_bytes) == (Backend.DIRECT, None, 0)
    assert reason in plan.reason
    assert reason in repr(plan)


def test_an_obstacle_keeps_a_plan_direct_and_a_forced_one_composed() -> None:
    shape = C3D["conv2"]
    assert make_plan(shape, obstacle="a gradient is required").reason == "a gradient is required"
    forced = make_plan(shape, algorithm=F23_3D, obstacle="a gradient is required")
    assert (forced.backend, forced.algorithm) == (Backend.COMPOSED, F23_3D)
    assert "a gradient is required" in forced.reason
    native = make_plan(shape, algorithm=F23_3D)
    assert native.backend is Backend.NATIVE
    assert native.workspace_bytes <= memory_limits().workspace < forced.workspace_bytes
    assert forced.workspace_bytes == roofline.transformed_bytes(shape, F23_3D)


@pytest.mark.parametrize("taps", [(1, 3, 3), (3, 1, 1), (5, 5, 5), (3, 3), (1, 5), (3,)], ids=str)
def test_layers_of_few_taps_and_few_axes_are_planned(taps: tuple[int, ...]) -> None:
    sizes = (16, 28, 28)[: len(taps)] if len(taps) > 1 else (65536,)
    padding = tuple(count // 2 for count in taps)
    shape = ConvArguments(padding=padding).shape((8, 256, *sizes), (256, 256, *taps), dtype="float32")
    plan = make_plan(shape, filters=Filters.FROZEN)
    assert plan.backend is Backend.NATIVE, plan
    assert [m == 1 for m in plan.algorithm.m] == [count == 1 for count in taps]


def test_threads_decide_the_blocks_and_the_time() -> None:
    one, four = (make_plan(C3D["conv2"], algorithm=F43_3D, threads=threads) for threads in (1, 4))
    assert 3 < one.predicted_ms / four.predicted_ms < 4
    assert one.workspace_bytes < four.workspace_bytes
    with pytest.raises(ValueError, match="threads is 0"):
        make_plan(C3D["conv2"], threads=0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bits_are_native_and_no_tolerance_counts_the_rounding_of_their_outputs(dtype: str) -> None:
    shape = replace(C3D["conv2"], dtype=dtype)
    plan = make_plan(shape, filters=Filters.FROZEN)
    assert plan.backend is Backend.NATIVE
    assert plan.predicted_error > DEFAULT_TOLERANCE
    assert make_plan(shape, tolerance=DEFAULT_TOLERANCE, filters=Filters.FROZEN) is plan


def test_16_bits_include_the_rounding_of_the_output() -> None:
    half, brain, single = (
        make_plan(layer(64, 64, 8, 8, 8, dtype=dtype), algorithm=F23_3D).predicted_error
        for dtype in ("float16", "bfloat16", "float32")
    )
    assert single < 1e-6
    assert 2**-13 < half < 2**-11
    assert brain / half == pytest.approx(8, rel=1e-3)


def test_plans_are_answered_from_a_cache() -> None:
    shape = layer(33, 65, 9, 17, 19)
    first = make_plan(shape)
    assert all(make_plan(replace(shape)) is first for _ in range(3))


def test_plans_compare_by_value_and_have_a_stable_digest() -> None:
    plan = make_plan(C3D["conv2"], algorithm=F23_3D)
    make._make_plan.cache_clear()
    again = make_plan(C3D["conv2"], algorithm=nest(toom_cook(2, 3), F23, F23))
    assert (plan, plan.digest) == (again, again.digest)
    assert plan.digest != make_plan(C3D["conv2"], algorithm=F43_3D).digest
    assert "\n" not in repr(plan)


def test_a_plan_without_algorithm_is_direct() -> None:
    with pytest.raises(ValueError, match="only direct has none"):
        Plan(C3D["conv2"], Backend.NATIVE, None, "")
    with pytest.raises(ValueError, match="only native has one"):
        Plan(C3D["conv2"], Backend.COMPOSED, F23_3D, "", schedule=Schedule(ScheduleKind.FUSED, 1))
    with pytest.raises(ValueError, match="only direct has none"):
        Plan(C3D["conv2"], Backend.DIRECT, F23_3D, "")


def test_a_plan_names_products_beyond_the_least_and_its_schedule() -> None:
    plan = make_plan(C3D["conv2"], algorithm=nest(*[winograd.best(4, 3, products=7)] * 3))
    assert plan.algorithm_label == "native F(4x4x4,3x3x3) of 7x7x7 products"
    assert plan.schedule_label in repr(plan)
    assert plan.schedule_label.endswith(f" blocks of {plan.schedule.block} tiles")
    assert make_plan(C3D["conv2"], algorithm=F43_3D).algorithm_label == "native F(4x4x4,3x3x3)"


def test_arrays_take_the_fewest_multiplications_that_are_tolerated() -> None:
    plan = plan_reference(layer(8, 8, 12, 12, dtype="float64"))
    assert (plan.backend, plan.algorithm) == (Backend.REFERENCE, nest(F43, F43))
    assert plan_reference(layer(8, 8, 12, 12, dtype="object")).predicted_error == 0
    assert plan_reference(layer(8, 8, 12, 12, dtype="int64")).backend is Backend.DIRECT
    assert plan_reference(layer(8, 8, 12, 12), tolerance=1e-9).backend is Backend.DIRECT
    assert plan_reference(layer(8, 8, 12, 12, dtype="int64"), algorithm=nest(F23, F23)).predicted_error == 0
    assert plan_reference(layer(8, 8, 12, 12, dtype="complex128"), algorithm=nest(F23, F23)).predicted_error is None
