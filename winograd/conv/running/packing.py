"""Packing: the weight as the backend of a plan reads it fastest, made once and kept by the caller.

In: a `Plan`, the weight of its convolution. Out: `Packed`, or None where nothing can be made ready. Refused: weights
that are not those of the plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from winograd.conv.choosing.selection import Filters
from winograd.conv.direct.convolve import (
    is_faster_packed,
    is_slow_in_torch,
    is_worth_packing,
)
from winograd.conv.direct.packed import PackedDirect, TorchsOwn, pack_direct, torchs_own
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.tensors.forked import on_usable_threads
from winograd.conv.tensors.layout import Layout

if TYPE_CHECKING:
    from winograd.conv.gpu.run import FilterOnCard
    from winograd.conv.native.kernel import NativeConvolution
    from winograd.conv.native.operands import PackedFilter
    from winograd.conv.native.phased import PackedGroups

    Packed = PackedFilter | PackedGroups | FilterOnCard | PackedDirect | TorchsOwn

Tensor = torch.Tensor


def torchs_own_layouts(plan: Plan, weight: Tensor) -> tuple[Layout, ...]:
    """Return for which layouts of the output torch's own convolution is all that running the plan comes to."""
    if plan.backend is not Backend.DIRECT or is_slow_in_torch(weight, plan.shape):
        return ()
    if plan.shape.card is not None or plan.filters is Filters.LIVE or not is_worth_packing(plan.shape):
        return tuple(Layout)
    return tuple(layout for layout in Layout if not is_faster_packed(plan.shape, layout))


@on_usable_threads
def pack_for_plan(plan: Plan, weight: Tensor) -> Packed | None:
    """Return the weight as the plan's backend reads it fastest, or None where nothing can be made ready.

    The caller answers for the weight: a packed filter does not follow later changes. ``.nbytes`` is its size, 0 where
    the weight itself is read.
    """
    native = native_for(plan)
    if native is not None:
        return pack_native(native, weight, plan)
    if plan.backend is Backend.GPU:
        from winograd.conv.gpu.run import pack_on_card

        return pack_on_card(plan, weight)
    if plan.backend is not Backend.DIRECT:
        return None
    packed = pack_direct(weight, plan.shape) if is_worth_packing(plan.shape) else None
    return packed if packed is not None and packed.layouts else torchs_own(weight, plan.shape)


def is_settled(plan: Plan, packed: object) -> bool:
    """Return whether what `pack_for_plan` returned is its answer for good: a card may have more memory another time."""
    return packed is not None or plan.backend is not Backend.GPU


def pack_native(native: NativeConvolution, weight: Tensor, plan: Plan) -> PackedFilter | PackedGroups:
    """Return the transformed weight of a native plan, of each group its own."""
    plain = weight.detach().resolve_neg()
    if plan.phases is None:
        return native.pack(plain)
    from winograd.conv.native.phased import pack_groups

    return pack_groups(native, plan.phases, plain)


def native_for(plan: Plan) -> NativeConvolution | None:
    """Return the compiled convolution of a native plan, or None for other plans."""
    if plan.backend is not Backend.NATIVE:
        return None
    assert plan.algorithm is not None
    from winograd.conv.native import kernel as native  # kernels are loaded after torch, and only where a plan wants one

    return native.native_convolution(plan.algorithm, plan.shape.dtype)
