"""Calls of convolutions: who computes them, torch's own convolution, a plan at once, or an operator of torch.

In: torch tensors and the arguments of torch's convolutions. Out: the convolution. What is differentiated or recorded by
torch.compile and torch.export goes to `winograd.conv.library.operators`, where a plan is worth that; what neither
generated C nor the operators reach is computed by plain torch operations. Refused: what torch refuses, in its words.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import torch
from torch._compile import _disable_dynamo

from winograd.conv.arguments import Algorithm, ConvArguments
from winograd.conv.calls.recorded import (
    call_operator,
    is_differentiated_otherwise,
    is_jit_traced,
    is_recordable,
    is_recorded,
    is_symbolic,
)
from winograd.conv.choosing.selection import Filters
from winograd.conv.direct.convolve import FUNCTIONS, is_slow_in_torch
from winograd.conv.gradient.wanted import gradient_plans, is_worth_an_operator, wanted_gradients
from winograd.conv.library.execution import Asked
from winograd.conv.library.written import algorithm_text
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.running.decisions import BY_OPERATOR, OWN, Decision, Decisions, as_tuples
from winograd.conv.running.obstacles import operator_obstacle, plan_obstacle
from winograd.conv.running.reading import UNREADABLE, read_shape
from winograd.conv.running.run import run_plan
from winograd.conv.running.runnable import runnable_plan
from winograd.conv.switch import is_direct
from winograd.conv.tensors.facts import are_strided, are_tensors, needs_gradient
from winograd.conv.tensors.forked import on_usable_threads

Tensor = torch.Tensor


_decisions: Final = Decisions()


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
    if not is_jit_traced() and is_recordable(input, weight, bias, arguments, ndim, forced=forced):
        return call_operator(input, weight, bias, arguments, Asked(tolerance, algorithm_text(algorithm)))
    if not forced or (torch.compiler.is_compiling() and is_differentiated_otherwise()):
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
