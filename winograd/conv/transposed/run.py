"""Transposed convolutions of torch tensors: the taps in the order of phases, the run of a plan, outputs put in place.

In: torch tensors and the arguments of torch's transposed convolutions. Out: a `Plan`, packed filters, the output.
Refused: what makes no transposed convolution, which torch refuses in its own words; algorithms that cannot do it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from winograd.conv.arguments import Algorithm
from winograd.conv.choosing.selection import Filters
from winograd.conv.direct.convolve import is_slow_in_torch, is_unfolded
from winograd.conv.limits import limits_or_default
from winograd.conv.native.operands import fresh_tensor
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.running.packing import pack_for_plan
from winograd.conv.running.reading import check_alike
from winograd.conv.running.run import run_plan
from winograd.conv.running.runnable import runnable_plan
from winograd.conv.tensors.forked import on_usable_threads
from winograd.conv.tensors.layout import as_torch_would, torchs_layout
from winograd.conv.transposed.arguments import TransposedArguments
from winograd.conv.transposed.plan import images_at_once, plan_transposed
from winograd.conv.transposed.shape import TransposedShape
from winograd.conv.transposed.tensors import core_bias, core_weight, edged, join, joined

if TYPE_CHECKING:
    from winograd.conv.running.packing import Packed


Tensor = torch.Tensor


TRANSPOSED_FUNCTIONS: Mapping[int, Callable[..., Tensor]] = {
    1: torch.conv_transpose1d,
    2: torch.conv_transpose2d,
    3: torch.conv_transpose3d,
}
"""torch's own transposed convolution by number of axes."""


def read_transposed(
    input: Tensor, weight: Tensor, bias: Tensor | None, arguments: TransposedArguments, *, ndim: int
) -> TransposedShape:
    """Return the shape of a transposed convolution of tensors, which must be of one dtype and on one device.

    Parameters
    ----------
    input : Tensor of shape (N, C, sizes...) or (C, sizes...)
    weight : Tensor of shape (C, K / groups, taps...)
    bias : Tensor of shape (K,), optional
    arguments : TransposedArguments
    ndim : int
        Axes of the convolution, 1 to 3.

    Raises
    ------
    TypeError, ValueError, AttributeError
        If the arguments make no transposed convolution, or are no tensors: let torch's own raise its error.
    """
    check_alike(input, weight, bias, ndim=ndim)
    dtype = str(input.dtype).removeprefix("torch.")
    shape = arguments.shape(tuple(input.shape), tuple(weight.shape), dtype=dtype)
    if bias is not None and bias.shape != (shape.outputs,):
        raise ValueError(f"bias of shape {tuple(bias.shape)}, must be {(shape.outputs,)}")
    if any(axis.crops and min(axis.margins) + axis.size < 1 for axis in shape.axes):
        raise ValueError(f"padding {shape.along('padding')} leaves no sample of sizes {shape.along('size')}")
    return shape


def transposed_plan(
    shape: TransposedShape,
    *,
    tolerance: float | None,
    algorithm: Algorithm | None,
    filters: Filters,
    obstacle: str | None,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
) -> Plan:
    """Return the plan for tensors; see `winograd.conv.running.runnable` and `plan_transposed` for the rest."""
    plan = partial(
        runnable_plan,
        tolerance=tolerance,
        algorithm=algorithm,
        filters=filters,
        obstacle=obstacle,
        filter_cap=filter_cap,
    )
    limits = limits_or_default(workspace_cap, filter_cap)
    return plan_transposed(
        shape,
        lambda core, cap: plan(core, workspace_cap=cap),
        # torch does not multiply by zeros that fill up phases, unless it takes the slow path that nobody needs to take.
        direct_share=1.0 if _is_unfolded(shape) else min(shape.macs / max(shape.core.macs, 1), 1.0),
        algorithm=algorithm,
        workspace=limits.workspace,
    )


def is_torchs_own(plan: Plan, shape: TransposedShape, weight: Tensor, obstacle: str | None) -> bool:
    """Return whether torch's own transposed convolution is the way to run a plan.

    Another is where torch would unfold a small input, and a dense convolution by oneDNN is faster by far.
    """
    if plan.backend is not Backend.DIRECT:
        return False
    return obstacle is not None or not _is_unfolded(shape) or not is_slow_in_torch(weight, shape.core)


def _is_unfolded(shape: TransposedShape) -> bool:
    """Return whether torch computes this by a matrix product and unfolded outputs: as it decides for convolutions."""
    taps, ones = shape.along("taps"), (1,) * shape.ndim
    alike = replace(
        shape.core, sizes=shape.along("size"), taps=taps, dilation=ones, padding=tuple(zip(taps, taps, strict=True))
    )
    return is_unfolded(alike)


def pack_transposed(plan: Plan, shape: TransposedShape, weight: Tensor) -> Packed | None:
    """Return the weight as the plan's backend reads it fastest; see `winograd.conv.running.packing.pack_for_plan`."""
    if plan.backend is not Backend.NATIVE:
        return None
    return pack_for_plan(plan, core_weight(shape, weight.detach().resolve_neg()))


@on_usable_threads
def run_transposed(
    plan: Plan,
    shape: TransposedShape,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    packed: Packed | None = None,
    workspace_cap: int | None = None,
) -> Tensor:
    """Run a plan as a dense convolution: `is_torchs_own` says of which plans torch's own is faster.

    Parameters
    ----------
    plan : Plan
        From `transposed_plan` for this shape.
    shape : TransposedShape
        Of these tensors.
    input : Tensor of shape (N, C, sizes...) or (C, sizes...)
    weight : Tensor of shape (C, K / groups, taps...)
    bias : Tensor of shape (K,), optional
    packed : PackedFilter or PackedGroups, optional
        From `pack_transposed` with the same plan; without it the filter is transformed in this call.
    workspace_cap : int, optional
        What the plan was made with.

    Returns
    -------
    Tensor of shape (N, K, sizes...) or (K, sizes...)
        Channels last where input or weight are and there are several axes, contiguous otherwise.
    """
    if input.ndim == shape.ndim + 1:
        batched = input.unsqueeze(0)
        return run_transposed(plan, shape, batched, weight, bias, packed=packed, workspace_cap=workspace_cap).squeeze(0)
    layout = torchs_layout(input, weight)
    taps = weight if packed is not None else core_weight(shape, weight)
    samples, shift = edged(shape, input), core_bias(shape, bias)
    if not shape.joins:
        return as_torch_would(run_plan(plan, samples, taps, shift, packed=packed), layout)
    if plan.backend is Backend.COMPOSED:
        return as_torch_would(joined(shape, run_plan(plan, samples, taps, shift)), layout)
    output = fresh_tensor((shape.batch, shape.outputs, *shape.output), input.dtype, layout)
    images = images_at_once(shape, limits_or_default(workspace_cap, None).workspace)
    for first in range(0, shape.batch, images):
        part = slice(first, first + images)
        join(shape, run_plan(plan, samples[part], taps, shift, packed=packed), output[part])
    return as_torch_would(output, layout)
