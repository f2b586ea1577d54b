from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import FunctionType
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.benching.made_up import layer
from winograd.benching import measurement
from winograd.benching.layers import BenchLayer
from winograd.benching.measurement import draw_tensors, measure_layer, more_rounds, multiplications, planned_runs
from winograd.benching.result import LayerMeasurement
from winograd.benching.verification import AboveToleranceError
from winograd.conv import roofline
from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.selection import Filters
from winograd.conv.plan.record import Plan
from winograd.conv.planning.make import make_plan
from winograd.conv.running.packing import pack_for_plan

WIDE = layer("wide", 64, 64, 8, 32, 32)
"""Large enough that plans take a generated kernel."""

TINY = layer("tiny", 3, 4, 4, 5, 5, has_bias=False)

RunOfPlan = Callable[..., Tensor]


@pytest.fixture(scope="module")
def measured() -> LayerMeasurement:
    return measure_layer(WIDE, tolerance=2e-6, repeats=2, seed=1)


def test_the_figures_are_those_of_the_plan(measured: LayerMeasurement) -> None:
    plan = make_plan(WIDE.shape, tolerance=2e-6, filters=Filters.FROZEN, threads=torch.get_num_threads())
    assert plan.algorithm is not None
    assert measured.algorithm == f"native {plan.algorithm.label}"
    assert (measured.predicted_error, measured.reason) == (plan.predicted_error, plan.reason)
    assert (measured.filter_bytes, measured.workspace_bytes) == (plan.filter_bytes, plan.workspace_bytes)
    assert measured.macs == WIDE.macs
    assert measured.multiplications == multiplications(plan) == roofline.multiplications(WIDE.shape, plan.algorithm)
    assert measured.multiplications < measured.macs


def test_plans_are_for_the_threads_that_run_them() -> None:
    before, stated = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            stated.append(measure_layer(WIDE, tolerance=2e-6, repeats=1).workspace_bytes)
    finally:
        torch.set_num_threads(before)
    plans = [make_plan(WIDE.shape, tolerance=2e-6, filters=Filters.FROZEN, threads=threads) for threads in (1, 2)]
    assert stated == [plan.workspace_bytes for plan in plans]
    assert stated[0] < stated[1]


def test_errors_are_measured_and_rounds_counted(measured: LayerMeasurement) -> None:
    assert 0 < measured.measured_error <= 2e-6
    assert 0 < measured.direct_error < 1e-6
    again = measured.first_rounds  # where the machine is busy, it is measured again
    counted = 2 if again is None else more_rounds(2, again)
    assert (len(measured.rounds.direct_ms), len(measured.rounds.ours_ms)) == (counted, counted)
    assert min(*measured.rounds.direct_ms, *measured.rounds.ours_ms) > 0
    assert measured.layout in ("contiguous", "channels_last")


def test_a_layer_that_the_plan_leaves_to_torch_is_not_held_to_the_tolerance() -> None:
    found = measure_layer(TINY, tolerance=1e-12, repeats=1)
    assert (found.algorithm, found.predicted_error) == ("direct", None)
    assert found.multiplications == found.macs
    assert found.effective_gflops == found.executed_gflops
    assert found.measured_error > 1e-12


def scaled(run: RunOfPlan, factor: float) -> RunOfPlan:
    return lambda *arguments, **named: run(*arguments, **named) * factor


def test_a_wrong_kernel_is_refused_before_anything_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "run_plan", scaled(measurement.run_plan, 1 + 1e-3))
    monkeypatch.setattr(measurement, "race", lambda *_: pytest.fail("it was timed"))
    with pytest.raises(AboveToleranceError, match=r"wide by native .*: measured error 1.00e-03 is above the tolerance"):
        measure_layer(WIDE, tolerance=2e-6, repeats=1)


def test_all_variants_take_part_and_ours_in_both_memory_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[str]] = {}

    def pretended(rivals: Mapping[str, Mapping[str, object]], repeats: int) -> dict[str, dict[str, list[float]]]:
        seen.update({rival: list(variants) for rival, variants in rivals.items()})
        return {"direct": {"default": [3.0], "onednn": [2.0]}, "ours": {"contiguous": [0.5], "channels_last": [1.0]}}

    monkeypatch.setattr(measurement, "race", pretended)
    found = measure_layer(TINY, tolerance=1e-5, repeats=1)
    assert len(seen["direct"]) == 6
    assert seen["ours"] == ["contiguous", "channels_last"]
    assert (found.direct_variant, found.layout) == ("onednn", "contiguous")
    assert (found.rounds.direct_ms, found.rounds.ours_ms) == ((2.0,), (0.5,))


def test_where_the_plan_is_direct_both_sides_read_one_copy_of_the_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Mapping[str, Any]] = {}
    packed: list[Any] = []

    def pretended(rivals: Mapping[str, Mapping[str, Any]], repeats: int) -> dict[str, dict[str, list[float]]]:
        seen.update(rivals)
        return {"direct": {"default": [3.0]}, "ours": {"contiguous": [2.0]}}

    def noted(plan: Plan, weight: Tensor) -> Any:
        packed.append(pack_for_plan(plan, weight))
        return packed[-1]

    monkeypatch.setattr(measurement, "race", pretended)
    monkeypatch.setattr(measurement, "pack_for_plan", noted)
    measure_layer(STRIDED, tolerance=1e-12, repeats=1)
    assert seen["direct"]["onednn_prepacked_channels_last"].func is packed[0].run
    measure_layer(WIDE, tolerance=2e-6, repeats=1)  # generated code reads another
    assert isinstance(seen["direct"]["onednn_prepacked_channels_last"].func, FunctionType)


def test_steps_are_told() -> None:
    steps: list[str] = []
    measure_layer(TINY, tolerance=1e-5, repeats=1, progress=steps.append)
    assert steps[:3] == ["packing", "verifying", "timing"]
    assert steps[3:] in ([], ["timing again"])


@pytest.mark.parametrize(("milliseconds", "again"), [(2.0, 30), (10.0, 20), (100.0, 6)])
def test_a_layer_that_falls_short_is_measured_again_with_more_rounds(
    monkeypatch: pytest.MonkeyPatch, milliseconds: float, again: int
) -> None:
    asked: list[int] = []

    def pretended(rivals: Mapping[str, Mapping[str, Any]], repeats: int) -> dict[str, dict[str, list[float]]]:
        asked.append(repeats)
        ours = 1.1 if len(asked) == 1 else 1.0  # the better format was disturbed at first
        layout = "contiguous" if len(asked) == 1 else "channels_last"
        assert layout in rivals["ours"]
        return {
            "direct": {"default": [milliseconds] * repeats},
            "ours": {layout: [ours * milliseconds] * repeats},
        }

    monkeypatch.setattr(measurement, "race", pretended)
    found = measure_layer(TINY, tolerance=1e-5, repeats=2)
    assert asked == [2, 2, again]
    assert found.layout == "channels_last"
    assert found.rounds.ours_ms == (milliseconds,) * again
    assert found.first_rounds is not None
    assert found.first_rounds.ours_ms == (1.1 * milliseconds,) * 2
    asked.clear()
    asked.append(0)
    assert measure_layer(TINY, tolerance=1e-5, repeats=2).first_rounds is None
    assert asked == [0, 2]


def test_wrong_results_of_torch_s_own_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "run_plan", scaled(measurement.run_plan, 1 + 1e-5))
    with pytest.raises(AboveToleranceError, match=r"tiny by direct .*, contiguous: measured error 1\.00e-05 is"):
        measure_layer(TINY, tolerance=1.0, repeats=1)


def test_live_filters_are_made_in_every_call_and_met_by_variants_that_do_not_prepack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []

    def pretended(rivals: Mapping[str, Mapping[str, object]], repeats: int) -> dict[str, dict[str, list[float]]]:
        seen.extend(rivals["direct"])
        return {"direct": {"default": [3.0]}, "ours": {"contiguous": [2.0]}}

    monkeypatch.setattr(measurement, "race", pretended)
    found = measure_layer(WIDE, tolerance=2e-6, repeats=1, filters=Filters.LIVE)
    assert seen == ["default", "channels_last", "onednn", "onednn_channels_last"]
    assert found.packed_bytes == 0
    frozen = measure_layer(WIDE, tolerance=2e-6, repeats=1)
    assert frozen.packed_bytes > 0
    assert frozen.bound_ms < found.bound_ms


STRIDED = BenchLayer(
    "strided", ConvArguments(stride=2, padding=3).shape((1, 3, 9, 30, 30), (16, 3, 7, 7, 7), dtype="float32"), True
)
GROUPED = BenchLayer(
    "grouped", ConvArguments(groups=4, dilation=2).shape((2, 8, 19), (4, 2, 3), dtype="float32"), False
)


@pytest.mark.parametrize("made", [STRIDED, GROUPED], ids=["strided", "grouped"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_strides_dilation_and_groups_are_verified_and_timed(made: BenchLayer, dtype: str) -> None:
    shape = replace(made.shape, dtype=dtype)
    found = measure_layer(replace(made, shape=shape), tolerance=1e-5, repeats=1)
    assert found.part == made.name
    assert (found.stride, found.groups) == (shape.stride, shape.groups)
    assert 0 < found.measured_error < (1e-5 if dtype == "float32" else 1e-2)
    assert found.verified_outputs == shape.outputs
    assert found.bound_ms > 0


def test_tensors_are_seeded_and_zero_mean() -> None:
    input, weight, bias = draw_tensors(WIDE, seed=5)
    again = draw_tensors(replace(WIDE, name="other"), seed=5)
    assert torch.equal(input, again[0])
    assert torch.equal(weight, again[1])
    assert not torch.equal(input, draw_tensors(WIDE, seed=6)[0])
    assert (tuple(input.shape), tuple(weight.shape)) == (WIDE.input, WIDE.shape.weight_sizes)
    assert bias is not None
    assert tuple(bias.shape) == (64,)
    assert draw_tensors(TINY, seed=5)[2] is None
    for values in (input, weight):  # six standard deviations of a mean
        assert abs(float(values.mean())) < 6 * float(values.std()) / values.numel() ** 0.5


def test_both_memory_formats_compute_the_same_convolution() -> None:
    input, weight, bias = draw_tensors(WIDE, seed=0)
    with torch.inference_mode():
        plan = make_plan(WIDE.shape, filters=Filters.FROZEN)
        runs = planned_runs(plan, input, weight, bias, pack_for_plan(plan, weight))
        contiguous, last = (run() for run in runs.values())
    assert contiguous.is_contiguous()
    assert last.is_contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(contiguous, last)
