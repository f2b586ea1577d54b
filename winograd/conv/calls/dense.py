"""Calls with tensors: who computes them, torch's own convolution, a plan at once, or an operator of torch.

In: torch tensors and the arguments of torch's convolutions. Out: the convolution. What is differentiated or recorded by
torch.compile and torch.export goes to `winograd.conv.library.operators`, where a plan is worth that; what neither
generated C nor the operators reach is computed by plain torch operations. Refused: what torch refuses, in its words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import torch
from torch._compile import _disable_dynamo

from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.obstacles import FEWEST_GROUP_CHANNELS
from winograd.conv.choosing.selection import Filters
from winograd.conv.direct.convolve import FUNCTIONS, is_slow_in_torch
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.device import may_run_on
from winograd.conv.gradient.record import Gradient, GradientPlan
from winograd.conv.gradient.run import runnable_gradient_plan
from winograd.conv.library import flops
from winograd.conv.library.execution import Asked
from winograd.conv.library.geometry import read_geometry
from winograd.conv.library.operators import convolution
from winograd.conv.library.written import Algorithm, algorithm_text
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.running.decisions import (
    BY_OPERATOR,
    OWN,
    Decision,
    Decisions,
    are_strided,
    are_tensors,
    as_tuples,
    autocasts,
    needs_gradient,
    wanted_gradients,
)
from winograd.conv.running.run import UNREADABLE, operator_obstacle, plan_obstacle, read_shape, run_plan, runnable_plan
from winograd.conv.switch import is_direct
from winograd.conv.tensors.forked import on_usable_threads

Tensor = torch.Tensor

_decisions: Final = Decisions()

_FLOATING: Final = (torch.float32, torch.float64, torch.float16, torch.bfloat16)

LEAST_SAVED_MS: Final = 0.5
"""Twice what automatic differentiation by three operators of Python takes longer than torch's own."""

LITTLE_SAVED: Final = "a gradient is required, and Winograd would save too little of a training step"
"""The reason of plans that leave such a layer to torch's own."""

_operator: Final[Callable[..., Tensor]] = convolution._opoverload
"""What compilers record."""


def convolve_torch(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    arguments: ConvArguments,
    *,
    ndim: int,
    tolerance: float | None,
    algorithm: Algorithm | None,
) -> Tensor:
    """Convolve torch tensors over ``ndim`` axes; see `winograd.conv.convolve.conv3d`.

    Code that is compiled or exported calls the operator, with a forced algorithm as text; torch.jit.trace records
    torch's own convolution, so that what it saves needs nothing of ours.
    """
    given = (arguments.stride, arguments.padding, arguments.dilation, arguments.groups)
    own = partial(FUNCTIONS[ndim], input, weight, bias, *given)
    if is_recorded():
        return _convolve_recorded(own, input, weight, bias, arguments, ndim, tolerance, algorithm)
    if algorithm is None or isinstance(algorithm, str):
        more = (ndim, tolerance, tolerance is True, algorithm)  # True equals 1.0, and is refused
        decision = _decisions.find(input, weight, bias, as_tuples(given), *more)
        if decision is OWN:
            return own()
        if decision is BY_OPERATOR:
            if operator_obstacle(input, weight, bias) is None:
                return call_operator(input, weight, bias, arguments, Asked(tolerance, algorithm))
        elif isinstance(decision, Plan) and plan_obstacle(input, weight, bias) is None:
            return run_plan(decision, input, weight, bias)
    return _convolve_planned(own, input, weight, bias, arguments, ndim, tolerance, algorithm)


def is_recorded() -> bool:
    """Return whether a compiler, an exporter, torch.jit.trace or a mode that sees every operation is at work."""
    if torch.compiler.is_compiling():
        return True
    return torch._C._len_torch_dispatch_stack() > 0 or torch._C._get_tracing_state() is not None


def is_symbolic(*tensors: Tensor) -> bool:
    """Return whether a size is a symbol, as it is in fake tensors: then there is nothing to plan for."""
    return any(type(size) is not int for tensor in tensors for size in tensor.shape)


def call_operator(input: Tensor, weight: Tensor, bias: Tensor | None, arguments: ConvArguments, asked: Asked) -> Tensor:
    """Return the convolution by the operator, of an input that is batched or not."""
    if not torch.compiler.is_compiling():
        flops.register()
    geometry = read_geometry(arguments, weight.shape[2:])
    if input.ndim == weight.ndim:
        return _operator(input, weight, bias, *geometry, *asked)
    return _operator(input.unsqueeze(0), weight, bias, *geometry, *asked).squeeze(0)


def is_recordable(
    input: Tensor, weight: Tensor, bias: Tensor | None, arguments: ConvArguments, ndim: int, *, forced: bool
) -> bool:
    """Return whether a recorded program gets the operator: where Winograd may be worth it for some sizes, or is forced.

    What torch refuses is left to torch's own, as are forward-mode differentiation and that of functions, for which
    operators of Python have no rules.
    """
    if not are_tensors(input, weight, bias) or weight.ndim != ndim + 2 or input.ndim not in (ndim + 1, ndim + 2):
        return False
    if input.dtype not in _FLOATING or not (input.layout is weight.layout is torch.strided):
        return False
    if input.dtype is not weight.dtype and not autocasts(input.device.type):
        return False
    if _is_differentiated_otherwise():
        return False
    return forced or (max(weight.shape[2:]) > 1 and _may_have_code(input, weight, arguments.groups))


def _may_have_code(input: Tensor, weight: Tensor, groups: int) -> bool:
    """Return whether there is generated code for such tensors that may be worth it for some sizes."""
    if input.device.type == "cuda":
        return input.dtype is torch.float32 and groups == 1 and may_run_on(input.device.index or 0)
    narrow = groups != 1 and min(weight.shape[1], weight.shape[0] // groups) < FEWEST_GROUP_CHANNELS
    return input.device.type == "cpu" and not narrow


def _is_differentiated_otherwise() -> bool:
    """Return whether forward-mode differentiation, or a transform of torch.func but vmap is at work."""
    levels = torch._C._functorch.get_interpreter_stack() or ()
    others = [level for level in levels if level.key() != torch._C._functorch.TransformType.Vmap]
    return bool(others) or torch.autograd.forward_ad._current_level >= 0


# What torch.compiler.assume_constant_result sets, which would import the compiler.
_is_differentiated_otherwise._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _convolve_recorded(
    own: Callable[[], Tensor],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    arguments: ConvArguments,
    ndim: int,
    tolerance: float | None,
    algorithm: Algorithm | None,
) -> Tensor:
    if is_direct(algorithm):
        return own()
    forced = algorithm is not None
    traced = not torch.compiler.is_compiling() and torch._C._get_tracing_state() is not None
    if not traced and is_recordable(input, weight, bias, arguments, ndim, forced=forced):
        return call_operator(input, weight, bias, arguments, Asked(tolerance, algorithm_text(algorithm)))
    if not forced or (torch.compiler.is_compiling() and _is_differentiated_otherwise()):
        return own()
    return _convolve_apart(own, input, weight, bias, arguments, ndim, tolerance, algorithm)


@on_usable_threads
def _convolve_planned(
    own: Callable[[], Tensor],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    arguments: ConvArguments,
    ndim: int,
    tolerance: float | None,
    algorithm: Algorithm | None,
) -> Tensor:
    if are_tensors(input, weight, bias) and not are_strided(input, weight, bias):
        return own()
    try:
        shape = read_shape(input, weight, bias, arguments, ndim=ndim)
        if is_symbolic(input, weight):
            return _convolve_recorded(own, input, weight, bias, arguments, ndim, tolerance, algorithm)
    except UNREADABLE:
        output = own()  # torch's own error, or what only torch can read, such as mixed dtypes under autocast
        if algorithm is not None and not is_direct(algorithm) and output.numel():
            raise
        return output
    obstacle = operator_obstacle(input, weight, bias)
    plan = runnable_plan(shape, tolerance=tolerance, algorithm=algorithm, filters=Filters.LIVE, obstacle=obstacle)
    decision: Decision = plan
    differentiated = needs_gradient(input, weight, bias)
    if differentiated and obstacle is None and plan.backend is not Backend.COMPOSED:
        wanted = wanted_gradients(input, weight)
        gradients = gradient_plans(wanted, shape, tolerance=tolerance, algorithm=algorithm)
        forced = algorithm is not None and not is_direct(algorithm)
        decision = BY_OPERATOR if is_worth_an_operator(plan, gradients, forced=forced) else OWN
    elif plan.backend is Backend.DIRECT and (obstacle is not None or not is_slow_in_torch(weight, shape)):
        decision = OWN
    if (algorithm is None or isinstance(algorithm, str)) and obstacle is None:
        given = as_tuples((arguments.stride, arguments.padding, arguments.dilation, arguments.groups))
        _decisions.keep(decision, input, weight, bias, given, ndim, tolerance, tolerance is True, algorithm)
    if decision is BY_OPERATOR:
        return call_operator(input, weight, bias, arguments, Asked(tolerance, algorithm_text(algorithm)))
    return own() if decision is OWN else run_plan(plan, input, weight, bias)


# The lazy form of torch.compiler.disable, which would import the compiler here.
_convolve_apart = _disable_dynamo(_convolve_planned)


def gradient_plans(
    wanted: Iterable[Gradient],
    shape: ConvShape,
    *,
    tolerance: float | None,
    algorithm: Algorithm | None,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
) -> tuple[GradientPlan, ...]:
    """Return the plans of these gradients."""
    plan = partial(
        runnable_gradient_plan,
        shape=shape,
        tolerance=tolerance,
        algorithm=algorithm,
        workspace_cap=workspace_cap,
        filter_cap=filter_cap,
    )
    return tuple(map(plan, wanted))


def is_worth_an_operator(plan: Plan, gradients: tuple[GradientPlan, ...], *, forced: bool) -> bool:
    """Return whether Winograd is predicted to save more of a training step than the operators take, or has to run.

    That is where an algorithm is forced, or where torch's own gradient is predicted to be too far from exact.
    """
    plans: tuple[Plan | GradientPlan, ...] = (plan, *gradients)
    winograd = [one for one in plans if one.backend is not Backend.DIRECT]
    forced = forced or any(one.is_needed for one in gradients)
    saved_ms = sum((one.direct_ms or 0.0) - (one.predicted_ms or 0.0) for one in winograd)
    return bool(winograd) and (forced or saved_ms > LEAST_SAVED_MS)
