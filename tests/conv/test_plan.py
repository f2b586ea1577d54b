"""Plans: the fastest tolerated candidate of the cost model, or direct convolution with the reason."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Any

import pytest

from winograd import nest, toom_cook
from winograd.conv import plan as planning
from winograd.conv import roofline
from winograd.conv.arguments import ConvArguments
from winograd.conv.plan import DEFAULT_TOLERANCE, Backend, Filters, Plan, candidates, make_plan, plan_reference
from winograd.conv.schedule import SHARED_BYTES
from winograd.conv.shape import ConvShape

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
def test_wide_frozen_layers_take_the_fastest_tolerated_candidate(name: str) -> None:
    shape = C3D[name]
    plan = make_plan(shape, filters=Filters.FROZEN)
    assert plan.backend is Backend.NATIVE
    assert plan.predicted_error is not None
    assert 0 < plan.predicted_error <= DEFAULT_TOLERANCE
    times = {algorithm: roofline.winograd_ms(shape, algorithm) for algorithm in candidates(shape.taps)}
    assert plan.predicted_ms == times[plan.algorithm] == min(times.values()) < plan.direct_ms
    assert plan.filter_bytes == 4 * plan.algorithm.rank * shape.channels * shape.outputs


def test_a_smaller_tolerance_takes_smaller_errors_until_none_is_small_enough() -> None:
    shape = C3D["conv2"]
    loose, tight = (make_plan(shape, tolerance=tolerance, filters=Filters.FROZEN) for tolerance in (1e-5, 1e-6))
    assert loose.predicted_error > 1e-6 >= tight.predicted_error
    strict = make_plan(shape, tolerance=1e-9, filters=Filters.FROZEN)
    assert strict.backend is Backend.DIRECT
    assert "least predicted error" in strict.reason


def test_live_filters_cost_their_transform_in_every_call() -> None:
    shape = C3D["conv2"]
    frozen, live = (make_plan(shape, algorithm=F43_3D, filters=filters) for filters in (Filters.FROZEN, Filters.LIVE))
    assert live.predicted_ms == pytest.approx(frozen.predicted_ms + roofline.filter_ms(shape, F43_3D))
    assert make_plan(layer(512, 512, 2, 7, 7), filters=Filters.LIVE).backend is Backend.DIRECT


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (layer(64, 64, 8, 28, 28, stride=2), r"stride (2, 2, 2)"),
        (layer(64, 64, 8, 28, 28, dilation=2), "dilation (2, 2, 2)"),
        (layer(64, 64, 8, 28, 28, groups=64), "groups 64"),
        (layer(64, 64, 8, 28, 28, dtype="float64"), "dtype float64"),
        (ConvArguments().shape((1, 64, 8, 28, 28), (64, 64, 1, 1, 1), dtype="float32"), "taps (1, 1, 1)"),
        (ConvArguments().shape((1, 64, 8, 28, 28), (64, 64, 5, 3, 3), dtype="float32"), "taps (5, 3, 3)"),
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
    assert native.workspace_bytes <= SHARED_BYTES < forced.workspace_bytes
    assert forced.workspace_bytes == roofline.transformed_bytes(shape, F23_3D)


def test_a_layer_with_one_tap_on_an_axis_is_planned() -> None:
    shape = ConvArguments(padding=(0, 1, 1)).shape((1, 256, 8, 28, 28), (256, 256, 1, 3, 3), dtype="float32")
    plan = make_plan(shape, filters=Filters.FROZEN)
    assert plan.backend is Backend.NATIVE
    assert plan.algorithm.m[0] == 1


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
    start = perf_counter()
    assert all(make_plan(replace(shape)) is first for _ in range(100))
    assert perf_counter() - start < 0.1  # 1 ms each; a plan that is made takes ten


def test_plans_compare_by_value_and_have_a_stable_digest() -> None:
    plan = make_plan(C3D["conv2"], algorithm=F23_3D)
    planning._make_plan.cache_clear()
    again = make_plan(C3D["conv2"], algorithm=nest(toom_cook(2, 3), F23, F23))
    assert (plan, plan.digest) == (again, again.digest)
    assert plan.digest != make_plan(C3D["conv2"], algorithm=F43_3D).digest
    assert "\n" not in repr(plan)


def test_a_plan_without_algorithm_is_direct() -> None:
    with pytest.raises(ValueError, match="only direct has none"):
        Plan(C3D["conv2"], Backend.NATIVE, None, "")
    with pytest.raises(ValueError, match="only direct has none"):
        Plan(C3D["conv2"], Backend.DIRECT, F23_3D, "")


def test_arrays_take_the_fewest_multiplications_that_are_tolerated() -> None:
    plan = plan_reference(layer(8, 8, 12, 12, dtype="float64"))
    assert (plan.backend, plan.algorithm) == (Backend.REFERENCE, nest(F43, F43))
    assert plan_reference(layer(8, 8, 12, 12, dtype="object")).predicted_error == 0
    assert plan_reference(layer(8, 8, 12, 12, dtype="int64")).backend is Backend.DIRECT
    assert plan_reference(layer(8, 8, 12, 12), tolerance=1e-9).backend is Backend.DIRECT
    assert plan_reference(layer(8, 8, 12, 12, dtype="int64"), algorithm=nest(F23, F23)).predicted_error == 0
    assert plan_reference(layer(8, 8, 12, 12, dtype="complex128"), algorithm=nest(F23, F23)).predicted_error is None
