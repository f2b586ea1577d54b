"""The run of a plan on torch tensors: the convolution, a residual, a ReLU.

In: a `Plan`, tensors of its shape, perhaps a packed weight. Out: the output tensor, in the memory format of torch's own
convolution. Refused: a residual of another shape or dtype than the output.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import torch

from winograd.conv.composed import convolve_composed
from winograd.conv.direct.convolve import (
    convolve_direct,
    convolve_onednn,
    is_slow_in_torch,
)
from winograd.conv.direct.packed import PackedDirect, TorchsOwn, convolve_packed
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.running.obstacles import tensor_obstacle
from winograd.conv.running.packing import native_for, pack_native
from winograd.conv.scratch import scratch
from winograd.conv.tensors.epilogue import finish
from winograd.conv.tensors.forked import FORKS, on_usable_threads
from winograd.conv.tensors.layout import as_torch_would, torchs_layout

if TYPE_CHECKING:
    from winograd.conv.native.kernel import NativeConvolution
    from winograd.conv.running.packing import Packed

Tensor = torch.Tensor


_DIRECT: Final = (PackedDirect, TorchsOwn)


def run_plan(
    plan: Plan,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    packed: Packed | None = None,
    residual: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """Run a plan made for these tensors: the convolution, plus the residual, then the ReLU if one is asked for.

    Generated code does all in one pass over the output, and rounds 16-bit outputs once, at its end; the others
    finish what they have rounded in place. So is a residual added that it cannot read, such as one that requires a
    gradient, and one to a dilated or grouped convolution, whose outputs are put where they belong after they are
    rounded. Without a residual the output is that of `torch.relu` of the convolution, bit for bit but for the sign of
    zeros in 16 bits.

    Parameters
    ----------
    plan : Plan
    input : Tensor of shape (N, C, sizes...) or (C, sizes...)
    weight : Tensor of shape (K, C / groups, taps...)
    bias : Tensor of shape (K,), optional
    packed : PackedFilter, PackedGroups, FilterOnCard, PackedDirect or TorchsOwn, optional
        From `pack_for_plan` with the same plan; without it the filter is transformed in this call.
    residual : Tensor of the shape and dtype of the result, optional
    relu : bool
        Whether negative outputs become zero; a NaN stays NaN.

    Returns
    -------
    Tensor of shape (N, K, sizes...) or (K, sizes...)
        In the memory format of torch's own convolution.

    Raises
    ------
    ValueError
        If the residual has another shape or dtype than the result.
    """
    if isinstance(packed, _DIRECT) and not FORKS:
        ready = packed.ready.get(input.stride())
        if ready is not None:
            output = ready(input, weight, bias)
            return output if residual is None and not relu else finish(output, residual, relu)
    return _run_plan(plan, input, weight, bias, packed, residual, relu)


@on_usable_threads
def _run_plan(
    plan: Plan,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    packed: Packed | None,
    residual: Tensor | None,
    relu: bool,
) -> Tensor:
    if input.ndim == plan.shape.ndim + 1:
        added = None if residual is None else residual.unsqueeze(0)
        return _run_plan(plan, input.unsqueeze(0), weight, bias, packed, added, relu).squeeze(0)
    if plan.backend is Backend.GPU:
        from winograd.conv.gpu.run import FilterOnCard, run_on_card

        kept = packed if isinstance(packed, FilterOnCard) else None
        return run_on_card(plan, input, weight, bias, packed=kept, residual=residual, relu=relu)
    native = native_for(plan)
    if native is None:
        return finish(_run_in_torch(plan, input, weight, bias, packed), residual, relu)
    if plan.phases is not None:
        return _run_phases(native, input, weight, bias, plan, packed, residual, relu)
    if residual is None or tensor_obstacle(residual) is None:
        return _run_native(native, input, weight, bias, plan, packed, residual, relu)
    return finish(_run_native(native, input, weight, bias, plan, packed, None, False), residual, relu)


def _run_in_torch(plan: Plan, input: Tensor, weight: Tensor, bias: Tensor | None, packed: Packed | None) -> Tensor:
    if isinstance(packed, TorchsOwn):
        return packed(input, weight, bias)
    layout = torchs_layout(input, weight)
    if isinstance(packed, PackedDirect) and layout in packed.layouts:
        output = convolve_packed(input, packed, bias)
    elif isinstance(packed, PackedDirect) and packed.own is not None:
        return packed.own(input, weight, bias)
    elif plan.backend is Backend.COMPOSED:
        assert plan.algorithm is not None
        output = convolve_composed(input, weight, bias, algorithm=plan.algorithm, padding=plan.shape.padding)
    elif is_slow_in_torch(weight, plan.shape) and tensor_obstacle(input, weight, bias) is None:
        output = convolve_onednn(input, weight, bias, plan.shape)
    else:
        return convolve_direct(input, weight, bias, plan.shape)
    return as_torch_would(output, layout)


def _run_native(
    native: NativeConvolution,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    plan: Plan,
    packed: Packed | None,
    residual: Tensor | None,
    relu: bool,
) -> Tensor:
    from winograd.conv.native.operands import PackedFilter

    filters = packed if isinstance(packed, PackedFilter) else pack_native(native, weight, plan)
    assert isinstance(filters, PackedFilter)
    return native.convolve(
        input.detach().resolve_neg(),
        filters,
        _shift(native, bias),
        plan.shape.padding,
        relu,
        None if residual is None else residual.detach().resolve_neg(),
        plan.schedule,
        torchs_layout(input, weight),
        memory=partial(scratch, cap=_cap(plan)),
    )


def _run_phases(
    native: NativeConvolution,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    plan: Plan,
    packed: Packed | None,
    residual: Tensor | None,
    relu: bool,
) -> Tensor:
    from winograd.conv.native.phased import PackedGroups, convolve_phases

    filters = packed if isinstance(packed, PackedGroups) else pack_native(native, weight, plan)
    assert isinstance(filters, PackedGroups)
    assert plan.phases is not None
    fused = residual is None or (not plan.phases.joins and tensor_obstacle(residual) is None)
    output = convolve_phases(
        native,
        plan.phases,
        input.detach().resolve_neg(),
        filters,
        _shift(native, bias),
        residual=residual.detach().resolve_neg() if fused and residual is not None else None,
        relu=relu and fused,
        schedule=plan.schedule,
        layout=torchs_layout(input, weight),
        cap=_cap(plan),
    )
    return output if fused else finish(output, residual, relu)


def _cap(plan: Plan) -> int | None:
    """Return the limit on the workspace that the plan was made with, or None where it was made without one."""
    return None if plan.terms is None else plan.terms.limits.workspace


def _shift(native: NativeConvolution, bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.detach().resolve_neg().to(native.working)
