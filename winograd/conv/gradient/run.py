"""Gradients: the run of their plans on torch tensors, torch's own gradient among them.

In: a `GradientPlan`, the tensors that the gradient is made of. Out: the gradient, in the memory format that torch gives
it. Refused: tensors that do not match the plan, and what torch refuses.
"""

from __future__ import annotations

from functools import partial

import torch

from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.arguments import Algorithm
from winograd.conv.choosing.prediction import WORKING
from winograd.conv.composed import widened
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gradient.composed import cropped, input_gradient_composed, turned, weight_gradient_composed
from winograd.conv.gradient.direct import input_gradient_direct, weight_gradient_direct
from winograd.conv.gradient.plan import plan_gradient
from winograd.conv.gradient.record import Gradient, GradientPlan
from winograd.conv.gradient.shapes import input_gradient_crops, transposed_shape
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.running.run import run_plan
from winograd.conv.running.runnable import lack_of_code, try_compiling
from winograd.conv.tensors.forked import on_usable_threads
from winograd.conv.tensors.layout import Layout, as_torch_would, torchs_layout

Tensor = torch.Tensor


def input_gradient(plan: GradientPlan, grad_output: Tensor, weight: Tensor, layout: Layout | None = None) -> Tensor:
    """Return the gradient of the input of a convolution.

    Parameters
    ----------
    plan : GradientPlan
        From `plan_gradient`, for these sizes.
    grad_output : Tensor of shape (N, K, sizes...) or (K, sizes...)
    weight : Tensor of shape (K, C / groups, taps...)
        Of the same dtype and device.
    layout : Layout, optional
        Of the result; None takes the one that torch gives to outputs of these two.

    Returns
    -------
    Tensor of shape (N, C, sizes...) or (C, sizes...)

    Raises
    ------
    ValueError
        If the plan is one for another gradient or for other sizes.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments().shape((1, 1, 5), (1, 1, 3), dtype="float32")
    >>> slope, taps = torch.tensor([[[1.0, 2.0, 0.0]]]), torch.tensor([[[1.0, 10.0, 100.0]]])
    >>> input_gradient(plan_gradient(Gradient.INPUT, shape), slope, taps)
    tensor([[[  1.,  12., 120., 200.,   0.]]])
    """
    shape = plan.shape
    if grad_output.ndim == shape.ndim + 1:
        return input_gradient(plan, grad_output.unsqueeze(0), weight, layout).squeeze(0)
    _check(plan, Gradient.INPUT, grad_output=(grad_output, _output_sizes(shape)), weight=(weight, shape.weight_sizes))
    wanted = layout or torchs_layout(grad_output, weight)
    if plan.backend is Backend.DIRECT:
        return as_torch_would(input_gradient_direct(grad_output, weight, shape, wanted), wanted)
    assert plan.convolution is not None
    if set(shape.stride) != {1}:
        return as_torch_would(_strided_input_gradient(plan.convolution, shape, grad_output, weight), wanted)
    if plan.backend is Backend.COMPOSED:
        assert plan.algorithm is not None
        found = input_gradient_composed(grad_output, weight, algorithm=plan.algorithm, padding=shape.padding)
        return as_torch_would(found, wanted)
    source = cropped(grad_output, input_gradient_crops(shape))
    return as_torch_would(run_plan(plan.convolution, source, turned(weight, shape.groups)), wanted)


def _strided_input_gradient(plan: Plan, shape: ConvShape, grad_output: Tensor, weight: Tensor) -> Tensor:
    from winograd.conv.transposed.run import run_transposed  # which calls this module, through the operators

    transposed = transposed_shape(shape)
    assert transposed is not None
    return run_transposed(plan, transposed, grad_output, weight)


def weight_gradient(plan: GradientPlan, input: Tensor, grad_output: Tensor, layout: Layout | None = None) -> Tensor:
    """Return the gradient of the weight of a convolution.

    Parameters
    ----------
    plan : GradientPlan
        From `plan_gradient`, for these sizes.
    input : Tensor of shape (N, C, sizes...) or (C, sizes...)
    grad_output : Tensor of shape (N, K, sizes...) or (K, sizes...)
        Of the same dtype and device.
    layout : Layout, optional
        Of the result; None takes the one that torch gives to outputs of these two.

    Returns
    -------
    Tensor of shape (K, C / groups, taps...)

    Raises
    ------
    ValueError
        If the plan is one for another gradient or for other sizes.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments().shape((1, 1, 5), (1, 1, 3), dtype="float32")
    >>> line, slope = torch.arange(5.0).reshape(1, 1, 5), torch.tensor([[[1.0, 0.0, 10.0]]])
    >>> weight_gradient(plan_gradient(Gradient.WEIGHT, shape), line, slope)
    tensor([[[20., 31., 42.]]])
    """
    shape = plan.shape
    if input.ndim == shape.ndim + 1:
        return weight_gradient(plan, input.unsqueeze(0), grad_output.unsqueeze(0), layout)
    sizes = (shape.batch, shape.channels, *shape.sizes)
    _check(plan, Gradient.WEIGHT, input=(input, sizes), grad_output=(grad_output, _output_sizes(shape)))
    wanted = layout or torchs_layout(input, grad_output)
    if plan.backend is Backend.DIRECT:
        return as_torch_would(weight_gradient_direct(input, grad_output, shape, wanted), wanted)
    assert plan.algorithm is not None
    if plan.backend is Backend.COMPOSED:
        found = weight_gradient_composed(input, grad_output, algorithm=plan.algorithm, padding=shape.padding)
    else:
        found = _native_weight_gradient(plan, plan.algorithm, input, grad_output)
    return as_torch_would(found, wanted)


@on_usable_threads
def _native_weight_gradient(
    plan: GradientPlan, algorithm: NestedAlgorithm, input: Tensor, grad_output: Tensor
) -> Tensor:
    """Return what native code computes, 16 bits in float32 and rounded once."""
    # kernels are loaded only where a plan wants one
    from winograd.conv.gradient.native import filter_gradient
    from winograd.conv.gradient.phased import phased_weight_gradient

    x, slope = (widened(tensor.detach().resolve_neg()) for tensor in (input, grad_output))
    native = filter_gradient(algorithm, WORKING[plan.shape.dtype])
    if plan.phases is None:
        return native.gradient(x, slope, plan.shape.padding, plan.block).to(input.dtype)
    return phased_weight_gradient(native, plan.phases, x, slope, plan.block).to(input.dtype)


def runnable_gradient_plan(
    wanted: Gradient,
    shape: ConvShape,
    *,
    tolerance: float | None = None,
    algorithm: Algorithm | None = None,
    obstacle: str | None = None,
    threads: int | None = None,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
) -> GradientPlan:
    """Return the plan of a gradient, or, where its code cannot be compiled, the plan that runs without it.

    Parameters
    ----------
    wanted : Gradient
    shape, tolerance, algorithm, obstacle, workspace_cap, filter_cap
        As in `winograd.conv.gradient.plan.plan_gradient`.
    threads : int, optional
        None takes what torch uses now.
    """
    used = torch.get_num_threads() if threads is None else threads
    plan = partial(
        plan_gradient,
        wanted,
        shape,
        tolerance=tolerance,
        algorithm=algorithm,
        threads=used,
        workspace_cap=workspace_cap,
        filter_cap=filter_cap,
    )
    made = plan(obstacle=obstacle)
    lack = _lack_of_code(made)
    return made if lack is None else plan(obstacle=lack)


def _lack_of_code(plan: GradientPlan) -> str | None:
    if plan.convolution is not None:
        return lack_of_code(plan.convolution)
    if plan.backend is not Backend.NATIVE:
        return None
    from winograd.conv.gradient.native import filter_gradient

    return try_compiling(filter_gradient, plan.algorithm, WORKING[plan.shape.dtype])


def _output_sizes(shape: ConvShape) -> tuple[int, ...]:
    return (shape.batch, shape.outputs, *shape.output)


def _check(plan: GradientPlan, wanted: Gradient, **given: tuple[Tensor, tuple[int, ...]]) -> None:
    if plan.wanted is not wanted:
        raise ValueError(f"plan is for the gradient of the {plan.wanted.value}, must be for that of the {wanted.value}")
    for name, (tensor, sizes) in given.items():
        if tensor.shape != sizes:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, the plan is for {sizes}")
