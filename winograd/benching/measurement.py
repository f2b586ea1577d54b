"""Layers verified, then timed: ours by plan, and all variants of direct convolution.

In: a layer, a tolerance, a seed, rounds. Out: a `LayerMeasurement`. Refused: errors above the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from winograd.benching.layers import BenchLayer, part_of
from winograd.benching.result import LayerMeasurement
from winograd.benching.rooflines import plan_bound_ms
from winograd.benching.statistics import Rounds
from winograd.benching.verification import (
    check_tolerance,
    check_torchs_own,
    float64_reference,
    measured_errors,
    verified_outputs,
)
from winograd.conv.choosing.selection import Filters
from winograd.conv.direct.packed import PackedDirect, TorchsOwn
from winograd.conv.direct.variants import direct_variants
from winograd.conv.measuring.timing import fastest, race
from winograd.conv.plan.record import Plan
from winograd.conv.planning.make import make_plan
from winograd.conv.running.packing import pack_for_plan
from winograd.conv.running.run import run_plan
from winograd.conv.tensors.layout import as_channels_last

if TYPE_CHECKING:
    from winograd.conv.running.packing import Packed

Runs = Mapping[str, Callable[[], Tensor]]

_BIAS_SCALE: Final = 0.1
"""Small beside the outputs, whose norm a large bias would raise and whose relative error it would lower."""

_MORE, _MOST = 3, 15
"""How many times as many rounds the second measurement of a layer has, at least and at most."""

_MORE_MS: Final = 200.0
"""Of direct convolution, which the second measurement has room for between the two: of a layer of a millisecond, the
median of 21 rounds is off by more than what is asked for here."""


@dataclass(frozen=True, slots=True)
class _Timed:
    """The better memory format of ours, the best variant of direct convolution, and the times of both."""

    layout: str
    variant: str
    rounds: Rounds


def measure_layer(
    layer: BenchLayer,
    *,
    tolerance: float,
    repeats: int,
    seed: int = 0,
    filters: Filters = Filters.FROZEN,
    progress: Callable[[str], None] = lambda _: None,
) -> LayerMeasurement:
    """Verify one layer in both memory formats against float64, then time it against direct convolution, interleaved.

    A layer that falls short of direct convolution is measured again, all formats and variants anew, then the better
    memory format against the best variant alone, with at least three times as many rounds, and that counts.

    Parameters
    ----------
    layer : BenchLayer
    tolerance : float
        Relative L2 error that the plan may predict, and that the measured one may not exceed, apart from the rounding
        of outputs to 16 bits; torch's own convolution, where the plan has nothing else, is held to the errors of its
        variants.
    repeats : int
        Rounds of timing, at least 1.
    seed : int
        Of input, weight and bias.
    filters : Filters
        FROZEN transforms and packs beforehand; LIVE does so in every call, and direct convolution is not prepacked.
    progress : callable
        Called with a word before each step.

    Raises
    ------
    AboveToleranceError
        If a measured error is above the tolerance; nothing was timed then.
    """
    threads = torch.get_num_threads()
    with torch.inference_mode():
        input, weight, bias = draw_tensors(layer, seed)
        plan = make_plan(layer.shape, tolerance=tolerance, filters=filters, threads=threads)
        progress("packing")
        packed = pack_for_plan(plan, weight) if plan.filters is Filters.FROZEN else None
        last = as_channels_last(input)  # the same memory for both: whoever reads it second finds it in the cache
        ours = planned_runs(plan, input, weight, bias, packed, last)
        direct = _direct_runs(layer, filters, input, weight, bias, last, packed)
        progress("verifying")
        outputs = verified_outputs(layer.shape)
        exact = float64_reference(input, weight, bias, layer.shape, outputs)
        errors, direct_errors = measured_errors(ours, exact, outputs), measured_errors(direct, exact, outputs)
        checked = exact.shape[1]
        del exact
        if plan.algorithm is None:
            check_torchs_own(layer.name, errors, direct_errors, layer.shape.dtype)
        else:
            check_tolerance(layer.name, plan.algorithm_label, errors, tolerance, layer.shape.dtype)
        progress("timing")
        first = timed = _timed(direct, ours, repeats)
        if first.rounds.falls_short:
            progress("timing again")
            timed = _timed_again(direct, ours, repeats, first.rounds)
    return LayerMeasurement(
        layer=layer.name,
        part=part_of(layer.shape).value,
        count=layer.count,
        input=layer.input,
        weight=layer.shape.weight_sizes,
        stride=layer.shape.stride,
        dilation=layer.shape.dilation,
        padding=layer.shape.padding,
        groups=layer.shape.groups,
        algorithm=plan.algorithm_label,
        phases="" if plan.phases is None else plan.phases.label,
        reason=plan.reason,
        layout=timed.layout,
        direct_variant=timed.variant,
        predicted_error=plan.predicted_error,
        measured_error=max(errors.values()),
        direct_error=direct_errors[timed.variant],
        verified_outputs=checked,
        macs=layer.macs,
        multiplications=plan.multiplications,
        filter_bytes=plan.filter_bytes,
        workspace_bytes=plan.workspace_bytes,
        packed_bytes=0 if packed is None else packed.nbytes,
        predicted_ms=plan.predicted_ms,
        bound_ms=plan_bound_ms(plan, threads),
        rounds=timed.rounds,
        first_rounds=None if timed is first else first.rounds,
    )


def _timed_again(direct: Runs, ours: Runs, repeats: int, first: Rounds) -> _Timed:
    """Time the best of both sides alone, chosen anew: the first choice may have been disturbed."""
    chosen = _timed(direct, ours, repeats)
    pair = {chosen.variant: direct[chosen.variant]}, {chosen.layout: ours[chosen.layout]}
    return _timed(*pair, more_rounds(repeats, first))


def draw_tensors(layer: BenchLayer, seed: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return input, weight and bias: independent, normal, zero-mean, which is what predicted errors are for.

    Weights have the variance of He's initialisation, so that outputs are neither large nor small.
    """
    generator = torch.Generator().manual_seed(seed)
    sizes, dtype = layer.shape.weight_sizes, getattr(torch, layer.shape.dtype)
    drawn = torch.float64 if dtype is torch.float64 else torch.float32
    input = torch.randn(layer.input, generator=generator, dtype=drawn)
    weight = torch.randn(sizes, generator=generator, dtype=drawn) * (2 / prod(sizes[1:])) ** 0.5
    bias = torch.randn(sizes[0], generator=generator, dtype=drawn) * _BIAS_SCALE if layer.has_bias else None
    return input.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)


def planned_runs(
    plan: Plan,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    packed: Packed | None = None,
    last: Tensor | None = None,
) -> dict[str, Callable[[], Tensor]]:
    """Return what runs the plan on each memory format of the input, with the filter as it was packed, if it was.

    ``last`` is the input in channels last, where there is such a copy already.
    """
    formats = {"contiguous": input.contiguous(), "channels_last": as_channels_last(input) if last is None else last}
    return {
        layout: lambda tensor=tensor: run_plan(plan, tensor, weight, bias, packed=packed)  # type: ignore[misc]
        for layout, tensor in formats.items()
    }


def more_rounds(repeats: int, first: Rounds) -> int:
    """Return the rounds of the second measurement: three to fifteen times as many, the most for short layers.

    Examples
    --------
    >>> [more_rounds(7, Rounds((milliseconds,), (milliseconds,))) for milliseconds in (0.5, 4.0, 50.0)]
    [105, 50, 21]
    """
    return max(_MORE * repeats, min(_MOST * repeats, round(_MORE_MS / first.direct_median_ms)))


def multiplications(plan: Plan) -> int:
    """Return the multiplications that the plan executes in its products, transforms left out."""
    return plan.multiplications


def _direct_runs(
    layer: BenchLayer,
    filters: Filters,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    last: Tensor,
    packed: Packed | None,
) -> Runs:
    """Return the variants of direct convolution; where the plan is one, they read the same copy of the weight.

    Two copies of megabytes are read at speeds that differ by some per cent, by where the system has put them.
    """
    ready = packed if isinstance(packed, PackedDirect | TorchsOwn) else None
    variants = direct_variants(input, weight, bias, layer.shape, last, ready)
    if filters is Filters.FROZEN:
        return variants
    return {name: run for name, run in variants.items() if "prepacked" not in name}


def _timed(direct: Runs, ours: Runs, repeats: int) -> _Timed:
    times = race({"direct": direct, "ours": ours}, repeats)
    variant, layout = fastest(times["direct"]), fastest(times["ours"])
    return _Timed(layout, variant, Rounds(tuple(times["direct"][variant]), tuple(times["ours"][layout])))
