"""Layers verified, then timed: ours by plan, filters transformed beforehand, and all variants of direct convolution.

In: a layer, a tolerance, a seed, rounds. Out: a `LayerMeasurement`. Refused: errors above the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Final

import torch
from torch import Tensor

from winograd.benching.layers import BenchLayer
from winograd.benching.result import LayerMeasurement
from winograd.benching.statistics import Rounds
from winograd.benching.verification import check_tolerance, float64_reference, measured_errors
from winograd.conv.direct import direct_variants
from winograd.conv.layout import as_channels_last
from winograd.conv.operator import pack_for_plan, run_plan
from winograd.conv.plan import Filters, Plan, make_plan
from winograd.conv.timing import fastest, race
from winograd.nn.report import spell_plan

_BIAS_SCALE: Final = 0.1
"""Small beside the outputs, whose norm a large bias would raise and whose relative error it would lower."""


def measure_layer(
    layer: BenchLayer,
    *,
    tolerance: float,
    repeats: int,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> LayerMeasurement:
    """Verify one layer in both memory formats against float64, then time it against direct convolution, interleaved.

    Parameters
    ----------
    layer : BenchLayer
    tolerance : float
        Relative L2 error that the plan may predict, and that the measured one may not exceed; torch's own convolution,
        where the plan has nothing else, is not held to it.
    repeats : int
        Rounds of timing, at least 1.
    seed : int
        Of input, weight and bias.
    progress : callable
        Called with a word before each step.

    Raises
    ------
    AboveToleranceError
        If a measured error is above the tolerance; nothing was timed then.
    """
    with torch.inference_mode():
        input, weight, bias = draw_tensors(layer, seed)
        plan = make_plan(layer.shape, tolerance=tolerance, filters=Filters.FROZEN, threads=torch.get_num_threads())
        progress("packing")
        ours = planned_runs(plan, input, weight, bias)
        direct = direct_variants(input, weight, bias, layer.shape)
        progress("verifying")
        exact = float64_reference(input, weight, bias, layer.shape)
        errors = measured_errors(ours, exact)
        if plan.algorithm is not None:
            check_tolerance(layer.name, spell_plan(plan), errors, tolerance)
        direct_errors = measured_errors(direct, exact)
        del exact
        progress("timing")
        times = race({"direct": direct, "ours": ours}, repeats)
    variant, layout = fastest(times["direct"]), fastest(times["ours"])
    return LayerMeasurement(
        layer=layer.name,
        count=layer.count,
        input=layer.input,
        weight=layer.shape.weight_sizes,
        algorithm=spell_plan(plan),
        reason=plan.reason,
        layout=layout,
        direct_variant=variant,
        predicted_error=plan.predicted_error,
        measured_error=max(errors.values()),
        direct_error=direct_errors[variant],
        macs=layer.macs,
        multiplications=multiplications(plan),
        filter_bytes=plan.filter_bytes,
        workspace_bytes=plan.workspace_bytes,
        rounds=Rounds(tuple(times["direct"][variant]), tuple(times["ours"][layout])),
    )


def draw_tensors(layer: BenchLayer, seed: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return input, weight and bias: independent, normal, zero-mean, which is what predicted errors are for.

    Weights have the variance of He's initialisation, so that outputs are neither large nor small.
    """
    generator = torch.Generator().manual_seed(seed)
    sizes = layer.shape.weight_sizes
    input = torch.randn(layer.input, generator=generator)
    weight = torch.randn(sizes, generator=generator) * (2 / prod(sizes[1:])) ** 0.5
    bias = torch.randn(sizes[0], generator=generator) * _BIAS_SCALE if layer.has_bias else None
    return input, weight, bias


def planned_runs(plan: Plan, input: Tensor, weight: Tensor, bias: Tensor | None) -> dict[str, Callable[[], Tensor]]:
    """Return what runs the plan on each memory format of the input, the filter packed already."""
    packed = pack_for_plan(plan, weight)
    formats = {"contiguous": input.contiguous(), "channels_last": as_channels_last(input)}
    return {
        layout: lambda tensor=tensor: run_plan(plan, tensor, weight, bias, packed=packed)  # type: ignore[misc]
        for layout, tensor in formats.items()
    }


def multiplications(plan: Plan) -> int:
    """Return the multiplications that the plan executes in its products, transforms left out."""
    return plan.multiplications
