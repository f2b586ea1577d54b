"""Execution: what torch's operators do when they run. Here, and not when a program is recorded, plans are made.

In: tensors of a batch, the geometry, what was asked for. Out: the convolution, or one of its gradients, in the memory
format of torch's own. Refused: what torch refuses, in its own words. Plans are kept by all facts that they were made
from, so that a call of a small convolution is not held up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch.autograd import forward_ad

from winograd.conv.choosing.selection import Filters
from winograd.conv.direct.convolve import FUNCTIONS
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.device import card_of_tensor
from winograd.conv.gradient import run as gradients
from winograd.conv.gradient.record import Gradient, GradientPlan
from winograd.conv.library.geometry import Geometry
from winograd.conv.library.kept import KeptFilters
from winograd.conv.library.written import read_algorithm
from winograd.conv.plan.record import Plan
from winograd.conv.running.decisions import Decisions
from winograd.conv.running.obstacles import plan_obstacle
from winograd.conv.running.packing import pack_for_plan, torchs_own_layouts
from winograd.conv.running.reading import UNREADABLE
from winograd.conv.running.run import run_plan
from winograd.conv.running.runnable import runnable_plan
from winograd.conv.tensors.forked import on_usable_threads
from winograd.conv.tensors.layout import Layout, as_torch_would, torchs_layout
from winograd.conv.tuning import tuned_plan

if TYPE_CHECKING:
    from winograd.conv.running.packing import Packed

Tensor = torch.Tensor


class Asked(NamedTuple):
    """What a call asks for, beside the convolution; see `winograd.conv.library.operators.convolution`."""

    tolerance: float | None
    algorithm: str | None
    kept: bool = False
    measured: bool = False
    workspace_cap: int | None = None
    filter_cap: int | None = None


kept_filters: Final[KeptFilters[Packed | None]] = KeptFilters()
"""Transformed weights of frozen layers in compiled and differentiated code."""

_plans: Final = Decisions()


@on_usable_threads
def convolve(input: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, asked: Asked) -> Tensor:
    """Return the convolution of a batch by the plan for its sizes."""
    refuse_tangents(input, weight, bias)
    obstacle = plan_obstacle(input, weight, bias)
    written = tuple(geometry.stride), tuple(geometry.padding), tuple(geometry.dilation), geometry.groups
    plan = _plans.find(input, weight, bias, written, asked, obstacle)
    if not isinstance(plan, Plan):
        if not fits(input, weight, bias, geometry):
            return convolve_own(input, weight, bias, geometry)
        try:
            shape = _on_its_card(geometry.shape(input.shape, weight.shape, _dtype(input)), input)
        except UNREADABLE:
            return convolve_own(input, weight, bias, geometry)
        plan = _planned(shape, asked, obstacle)
        _plans.keep(plan, input, weight, bias, written, asked, obstacle)
    layout = torchs_layout(input, weight)
    packed = _packed(plan, weight, asked, layout) if obstacle is None else None
    return as_torch_would(run_plan(plan, input, weight, bias, packed=packed), layout)


def _planned(shape: ConvShape, asked: Asked, obstacle: str | None) -> Plan:
    algorithm, filters = read_algorithm(asked.algorithm), Filters.FROZEN if asked.kept else Filters.LIVE
    caps = {"workspace_cap": asked.workspace_cap, "filter_cap": asked.filter_cap}
    if asked.measured and algorithm is None and obstacle is None:
        return tuned_plan(shape, tolerance=asked.tolerance, filters=filters, **caps)
    return runnable_plan(
        shape, tolerance=asked.tolerance, algorithm=algorithm, filters=filters, obstacle=obstacle, **caps
    )


def fits(input: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> bool:
    """Return whether tensors have the axes, channels and dtypes of one convolution of a batch."""
    if not input.ndim == weight.ndim == len(geometry.stride) + 2:
        return False
    if input.shape[1] != weight.shape[1] * geometry.groups or weight.shape[0] % geometry.groups:
        return False
    if (weight.dtype, weight.device) != (input.dtype, input.device):
        return False
    return bias is None or (bias.shape == weight.shape[:1] and bias.dtype == input.dtype)


def convolve_own(input: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Return torch's own convolution, or raise its error."""
    even = [min(pair) for pair in geometry.pairs]
    rest = [side - min(pair) for pair in reversed(geometry.pairs) for side in pair]
    padded = torch.constant_pad_nd(input, rest) if any(rest) else input
    own = FUNCTIONS[len(geometry.stride)]
    return own(padded, weight, bias, geometry.stride, even, geometry.dilation, geometry.groups)


@on_usable_threads
def input_gradient(
    grad_output: Tensor, weight: Tensor, sizes: Sequence[int], layout: Layout, geometry: Geometry, asked: Asked
) -> Tensor:
    """Return the gradient of the input, of these sizes and in this layout.

    With forward-mode differentiation, plain torch operations compute it.
    """
    if 0 in sizes:
        return as_torch_would(grad_output.new_zeros(sizes), layout)
    shape = _on_its_card(geometry.shape(sizes, weight.shape, _dtype(grad_output)), grad_output)
    plan = _gradient_plan(Gradient.INPUT, shape, asked, plan_obstacle(grad_output, weight))
    return as_torch_would(gradients.input_gradient(plan, grad_output, weight, layout), layout)


@on_usable_threads
def weight_gradient(
    input: Tensor, grad_output: Tensor, sizes: Sequence[int], layout: Layout, geometry: Geometry, asked: Asked
) -> Tensor:
    """Return the gradient of the weight, of these sizes and in this layout.

    With forward-mode differentiation, plain torch operations compute it.
    """
    if 0 in (*input.shape, *sizes):
        return as_torch_would(input.new_zeros(sizes), layout)
    shape = _on_its_card(geometry.shape(input.shape, sizes, _dtype(input)), input)
    plan = _gradient_plan(Gradient.WEIGHT, shape, asked, plan_obstacle(input, grad_output))
    return as_torch_would(gradients.weight_gradient(plan, input, grad_output, layout), layout)


def _gradient_plan(wanted: Gradient, shape: ConvShape, asked: Asked, obstacle: str | None) -> GradientPlan:
    algorithm = read_algorithm(asked.algorithm)
    return gradients.runnable_gradient_plan(
        wanted,
        shape,
        tolerance=asked.tolerance,
        algorithm=algorithm,
        obstacle=obstacle,
        workspace_cap=asked.workspace_cap,
        filter_cap=asked.filter_cap,
    )


def _packed(plan: Plan, weight: Tensor, asked: Asked, layout: Layout) -> Packed | None:
    """Return the transformed weight of a frozen layer; without one, the plan transforms it itself."""
    if not asked.kept:
        kept_filters.drop(weight)
        return None
    if plan.filters is not Filters.FROZEN or layout in torchs_own_layouts(plan, weight):
        return None
    return kept_filters.find(plan, weight, partial(pack_for_plan, plan, weight))


def refuse_tangents(*tensors: Tensor | None) -> None:
    """Refuse forward-mode differentiation, for which torch has no rules of operators written in Python.

    Raises
    ------
    NotImplementedError
        If a tensor has a tangent: it would be dropped in silence.
    """
    if forward_ad._current_level < 0:
        return
    unpack: Callable[..., forward_ad.UnpackedDualTensor] = forward_ad.unpack_dual
    if any(tensor is not None and unpack(tensor).tangent is not None for tensor in tensors):
        raise NotImplementedError("torch.ops.winograd has no forward-mode differentiation; call winograd.conv3d")


def _on_its_card(shape: ConvShape, tensor: Tensor) -> ConvShape:
    """Return the shape with the GPU that the tensor is on, if it is on one."""
    card = card_of_tensor(tensor)
    return shape if card is None else replace(shape, card=card)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
