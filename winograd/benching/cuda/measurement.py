"""Layers on a GPU verified, then timed: the plan's kernels, and the library's direct convolution.

In: a layer with its plan's terms, a device. Out: a `CudaLayer`. Every way of computing is verified against float64
before any is timed, the library's too: one whose output is no number is not timed, one that does not run says why.
Refused: nothing; errors above the tolerance are reported beside the times.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from math import isnan

import torch
from torch import Tensor

from winograd.benching.cuda.clock import Clock, take_turns
from winograd.benching.cuda.contenders import (
    NO_LIMIT,
    Contender,
    Operands,
    buffers_of,
    bytes_of_input,
    contenders_of,
    draw_operands,
    library_set,
)
from winograd.benching.cuda.result import CudaLayer, Timed, why
from winograd.benching.layers import BenchLayer
from winograd.conv.choosing.selection import Filters
from winograd.conv.direct.convolve import FUNCTIONS, pad_rest, torchs_arguments
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.card import Card
from winograd.conv.gpu.explained import stages_of
from winograd.conv.gpu.tuning import cudnn_version, triton_version
from winograd.conv.measuring.timing import measured_on
from winograd.conv.plan.record import Plan
from winograd.conv.planning.tuning_mode import TuningName
from winograd.nn.compare import relative_l2


def measure_on_card(
    layer: BenchLayer,
    *,
    card: Card,
    device: torch.device,
    clock: Clock,
    tolerance: float,
    rounds: int,
    seed: int = 0,
    tuning: TuningName = "measure",
    compiled: bool = True,
    round_ms: float = 10.0,
    progress: Callable[[str], None] = lambda _: None,
) -> CudaLayer:
    """Verify and time one layer.

    Parameters
    ----------
    layer : BenchLayer
    card : Card
        That the plan is made for.
    device : torch.device
        Where the tensors are.
    clock : Clock
    tolerance : float
        Relative L2 error that the plan may predict.
    rounds : int
        Of timing, at least 1.
    seed : int
        Of the tensors.
    tuning : "model" or "measure"
        How the plan is made, see `winograd.plan_conv`.
    compiled : bool
        Whether torch.compile takes part.
    round_ms : float
        Of a round of one way of computing.
    progress : callable
        Called with a word before each step.
    """
    shape = replace(layer.shape, card=card)
    with torch.inference_mode():
        progress("planning")
        plan = _planned(shape, tolerance, tuning)
        buffers = buffers_of(shape, card.l2_bytes)
        operands = draw_operands(shape, layer.has_bias, seed=seed, device=device, buffers=buffers)
        contenders = contenders_of(shape, plan, operands, compiled=compiled)
        progress("verifying")
        exact = _exact(shape, operands)
        found = {one.name: _verified(one, exact, device) for one in contenders}
        del exact
        progress("timing")
        finite = {one.name: one.run for one in contenders if not isnan(found[one.name].error)}
        times = take_turns(finite, rounds, buffers, clock, round_ms=round_ms)
    return CudaLayer(
        layer=layer.name,
        count=layer.count,
        input=layer.input,
        weight=shape.weight_sizes,
        plan=plan.label,
        reason=plan.reason,
        predicted_error=plan.predicted_error,
        predicted_ms=plan.predicted_ms,
        stages=tuple((stage.name, stage.milliseconds, stage.limit) for stage in stages_of(plan)),
        filter_bytes=plan.filter_bytes,
        workspace_bytes=plan.workspace_bytes,
        macs=layer.macs,
        rotated_bytes=buffers * bytes_of_input(shape),
        timed=tuple(replace(one, times_ms=tuple(times.get(name, ()))) for name, one in found.items()),
    )


def cuda_surroundings(device: torch.device) -> dict[str, str]:
    """Return what a figure of speed is worth nothing without: card, driver's and libraries' versions, the day."""
    known = {name: str(value) for name, value in measured_on().items()}
    if device.type != "cuda":
        return known
    properties = torch.cuda.get_device_properties(device)
    return {
        "card": properties.name,
        "multiprocessors": str(properties.multi_processor_count),
        "memory_bytes": str(properties.total_memory),
        "l2_bytes": str(getattr(properties, "L2_cache_size", 0)),
        "cuda": str(torch.version.cuda),
        "cudnn": cudnn_version(),
        "cudnn_benchmark_limit": str(NO_LIMIT),
        "triton": triton_version(),
        "NVIDIA_TF32_OVERRIDE": os.environ.get("NVIDIA_TF32_OVERRIDE", "unset"),
        "matmul_tf32": str(torch.backends.cuda.matmul.allow_tf32),
        **known,
    }


def _planned(shape: ConvShape, tolerance: float, tuning: TuningName) -> Plan:
    from winograd.conv.running.runnable import runnable_plan
    from winograd.conv.tuning import tuned_plan

    with library_set(tf32=False):  # else a plan leaves a layer to TF32, and float32 is timed as ours
        if tuning == "measure":
            return tuned_plan(shape, tolerance=tolerance, filters=Filters.FROZEN)
        return runnable_plan(shape, tolerance=tolerance, algorithm=None, filters=Filters.FROZEN, obstacle=None)


def _images(batch: int) -> list[int]:
    """Return the images that are verified: float64 convolution of all would take longer than all the rest."""
    return sorted({0, batch // 2, batch - 1})


def _exact(shape: ConvShape, operands: Operands) -> Tensor:
    """Return the convolution of the verified images in float64."""
    wide = pad_rest(operands.inputs[0][_images(shape.batch)].double(), shape)
    bias = None if operands.bias is None else operands.bias.double()
    return FUNCTIONS[shape.ndim](wide, operands.weight.double(), bias, *torchs_arguments(shape))


def _verified(contender: Contender, exact: Tensor, device: torch.device) -> Timed:
    """Return the error of a way of computing, and the bytes that it allocates at most; without times.

    What does not run has an error that is no number, and says why: a compiler may be missing, or memory.
    """
    try:
        contender.run(0)  # compiles and lets the library choose, which takes memory of its own
        on_card = device.type == "cuda"
        if on_card:
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device) if on_card else 0
        output = contender.run(0)
        assert output is not None
        peak = torch.cuda.max_memory_allocated(device) - before if on_card else 0
        error = relative_l2(output[_images(len(output))], exact)
    except Exception as failure:
        return Timed(contender.name, float("nan"), (), 0, failure=why(failure))
    return Timed(contender.name, error, (), peak, most_error=contender.most_error)
