"""The operators of torch: convolution and the gradients of its input and of its weight, for autograd and compilers.

In: tensors (N, C, sizes...) and (K, C / groups, taps...), the geometry as lists of integers, what is tolerated or
forced. Out: ``torch.ops.winograd``, to which torch hands calls that are differentiated, compiled or exported. The three
are closed under differentiation: each one's derivatives are calls of the other two. Plans are made when an operator
runs, never while one is recorded: recorded programs hold for all sizes. Refused: what torch refuses, in its words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd import forward_ad

from winograd.conv.library import execution, flops
from winograd.conv.library.batching import convolution_batched, input_gradient_batched, weight_gradient_batched
from winograd.conv.library.casting import register_casting
from winograd.conv.library.geometry import Geometry
from winograd.conv.tensors.layout import FORMATS, Layout, torchs_layout

_TERMS: Final = 4
"""Arguments after the geometry that say how a convolution is run, and not what it is."""


@torch.library.custom_op("winograd::convolution", mutates_args=())
def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    tolerance: float | None = None,
    algorithm: str | None = None,
    kept: bool = False,
    measured: bool = False,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
) -> Tensor:
    """Return the convolution by the plan for these sizes.

    Parameters
    ----------
    input : Tensor of shape (N, C, sizes...)
    weight : Tensor of shape (K, C / groups, taps...)
    bias : Tensor of shape (K,), optional
    stride, dilation : sequence of int
        One per axis.
    padding : sequence of int
        Two per axis: zeros before and after it.
    groups : int
    tolerance : float, optional
        As in `winograd.conv3d`; it holds for the gradients, too.
    algorithm : str, optional
        Forces the algorithm that `winograd.conv.library.written` reads from this, for the gradients, too.
    kept : bool
        Whether the transformed weight is kept until torch counts a write to the weight.
    measured : bool
        Whether candidates are timed at the first call of each shape.
    workspace_cap, filter_cap : int, optional
        Limits on memory in bytes; None takes those of the process.

    Returns
    -------
    Tensor of shape (N, K, sizes...)
        Channels last in memory where input or weight is, contiguous otherwise.

    Raises
    ------
    RuntimeError
        What torch's own convolution raises for tensors that do not fit.
    """
    asked = execution.Asked(tolerance, algorithm, kept, measured, workspace_cap, filter_cap)
    return execution.convolve(input, weight, bias, Geometry(stride, padding, dilation, groups), asked)


@torch.library.custom_op("winograd::input_gradient", mutates_args=())
def input_gradient(
    grad_output: Tensor,
    weight: Tensor,
    sizes: Sequence[int],
    channels_last: bool,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    tolerance: float | None = None,
    algorithm: str | None = None,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
) -> Tensor:
    """Return the gradient of the input of `convolution`, given that of its output.

    Parameters
    ----------
    grad_output : Tensor of shape (N, K, sizes...)
    weight : Tensor of shape (K, C / groups, taps...)
    sizes : sequence of int
        Of the input, (N, C, sizes...).
    channels_last : bool
        How the gradient lies in memory: torch makes both gradients channels last where input or weight is.
    stride, padding, dilation, groups, tolerance, algorithm, workspace_cap, filter_cap
        As in `convolution`.
    """
    execution.refuse_tangents(grad_output, weight)
    given = stride, padding, dilation, groups, tolerance, algorithm, workspace_cap, filter_cap
    return _called_alike(execution.input_gradient)(grad_output, weight, sizes, channels_last, *given)


@torch.library.custom_op("winograd::weight_gradient", mutates_args=())
def weight_gradient(
    input: Tensor,
    grad_output: Tensor,
    sizes: Sequence[int],
    channels_last: bool,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    tolerance: float | None = None,
    algorithm: str | None = None,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
) -> Tensor:
    """Return the gradient of the weight of `convolution`, given that of its output.

    Parameters
    ----------
    input : Tensor of shape (N, C, sizes...)
    grad_output : Tensor of shape (N, K, sizes...)
    sizes : sequence of int
        Of the weight, (K, C / groups, taps...).
    channels_last, stride, padding, dilation, groups, tolerance, algorithm, workspace_cap, filter_cap
        As in `input_gradient`.
    """
    execution.refuse_tangents(input, grad_output)
    given = stride, padding, dilation, groups, tolerance, algorithm, workspace_cap, filter_cap
    return _called_alike(execution.weight_gradient)(input, grad_output, sizes, channels_last, *given)


def _called_alike(run: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a gradient of `execution`, made to be called as its operator is."""

    def call(one: Tensor, other: Tensor, sizes: Sequence[int], channels_last: bool, *asked: Any) -> Tensor:
        tolerance, algorithm, *caps = asked[4:]
        terms = execution.Asked(tolerance, algorithm, False, False, *caps)
        return run(one, other, sizes, _layout(channels_last), Geometry(*asked[:4]), terms)

    return call


def _layout(channels_last: bool) -> Layout:
    return Layout.CHANNELS_LAST if channels_last else Layout.CHANNELS_FIRST


@convolution.register_fake
def _convolution_fake(input: Tensor, weight: Tensor, bias: Tensor | None, *asked: Any) -> Tensor:
    geometry = Geometry(*asked[:4])
    if not execution.fits(input, weight, bias, geometry):
        return execution.convolve_own(input, weight, bias, geometry)
    sizes = (input.shape[0], weight.shape[0], *geometry.output(input.shape[2:], weight.shape[2:]))
    if any(type(size) is int and size < 1 for size in sizes[2:]):
        return execution.convolve_own(input, weight, bias, geometry)
    return _empty(input, sizes, torchs_layout(input, weight) is Layout.CHANNELS_LAST)


@input_gradient.register_fake
def _input_gradient_fake(grad_output: Tensor, _weight: Tensor, sizes: Any, channels_last: bool, *_: Any) -> Tensor:
    return _empty(grad_output, sizes, channels_last)


@weight_gradient.register_fake
def _weight_gradient_fake(input: Tensor, _slope: Tensor, sizes: Any, channels_last: bool, *_: Any) -> Tensor:
    return _empty(input, sizes, channels_last)


def _empty(like: Tensor, sizes: Sequence[int], channels_last: bool) -> Tensor:
    last = FORMATS.get(len(sizes), torch.contiguous_format)
    return torch.empty(
        sizes,
        dtype=like.dtype,
        device=like.device,
        memory_format=last if channels_last else torch.contiguous_format,
    )


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    """Save for the gradients of a convolution what they need."""
    input, weight, _, *rest = inputs
    wants_input, wants_weight = ctx.needs_input_grad[:2]
    ctx.save_for_backward(input if wants_weight else None, weight if wants_input else None)
    ctx.sizes = input.shape, weight.shape
    ctx.asked = torchs_layout(input, weight) is Layout.CHANNELS_LAST, *rest[:6], *rest[8:]


def _differentiate(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
    input, weight = ctx.saved_tensors
    of_input: Callable[..., Tensor] = input_gradient
    of_weight: Callable[..., Tensor] = weight_gradient
    if forward_ad._current_level >= 0:  # a level that was entered after the forward: operators have no tangents
        of_input, of_weight = map(_called_alike, (execution.input_gradient, execution.weight_gradient))
    wants_input, wants_weight, wants_bias = ctx.needs_input_grad[:3]
    input_sizes, weight_sizes = ctx.sizes
    over = (0, *range(2, grad_output.ndim))
    return (
        of_input(grad_output, weight.conj(), input_sizes, *ctx.asked) if wants_input else None,
        of_weight(input.conj(), grad_output, weight_sizes, *ctx.asked) if wants_weight else None,
        grad_output.sum(over) if wants_bias else None,
        *(None,) * (4 + 2 + _TERMS),
    )


def _remember_gradient(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    """Save for the derivatives of a gradient both factors, one of them a gradient of outputs."""
    one, other, _, *asked = inputs
    wants_one, wants_other = ctx.needs_input_grad[:2]
    ctx.save_for_backward(one if wants_other else None, other if wants_one else None)
    ctx.sizes = one.shape, other.shape
    ctx.asked = tuple(asked)


def _of_convolution(asked: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what a gradient was asked for as a convolution is: nothing is kept or timed for it."""
    return *asked[1:7], False, False, *asked[7:]


def _differentiate_input_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    grad_output, weight = ctx.saved_tensors
    wants_output, wants_weight = ctx.needs_input_grad[:2]
    return (
        convolution(grad, weight.conj(), None, *_of_convolution(ctx.asked)) if wants_output else None,
        weight_gradient(grad, grad_output.conj(), ctx.sizes[1], *ctx.asked) if wants_weight else None,
        *(None,) * (2 + 4 + 4),
    )


def _differentiate_weight_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    input, grad_output = ctx.saved_tensors
    wants_input, wants_output = ctx.needs_input_grad[:2]
    return (
        input_gradient(grad_output.conj(), grad, ctx.sizes[0], *ctx.asked) if wants_input else None,
        convolution(input.conj(), grad, None, *_of_convolution(ctx.asked)) if wants_output else None,
        *(None,) * (2 + 4 + 4),
    )


convolution.register_autograd(_differentiate, setup_context=_remember)
input_gradient.register_autograd(_differentiate_input_gradient, setup_context=_remember_gradient)
weight_gradient.register_autograd(_differentiate_weight_gradient, setup_context=_remember_gradient)

convolution.register_vmap(convolution_batched)
input_gradient.register_vmap(input_gradient_batched)
weight_gradient.register_vmap(weight_gradient_batched)

register_casting(convolution._opoverload)
flops.register()
