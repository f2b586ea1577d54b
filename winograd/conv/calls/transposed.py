"""Calls of transposed convolutions: torch's own, or the run of a plan.

In: torch tensors and the arguments of torch's transposed convolutions. Out: the transposed convolution. Refused: what
torch refuses, in its own words; algorithms that cannot do it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import torch
from torch._compile import _disable_dynamo

from winograd.conv.arguments import Algorithm
from winograd.conv.calls.recorded import is_recorded
from winograd.conv.choosing.selection import Filters
from winograd.conv.running.decisions import OWN, Decisions, as_tuples
from winograd.conv.running.obstacles import tensor_obstacle
from winograd.conv.running.reading import UNREADABLE
from winograd.conv.switch import is_direct
from winograd.conv.tensors.facts import needs_gradient
from winograd.conv.tensors.forked import on_usable_threads
from winograd.conv.transposed.arguments import TransposedArguments

if TYPE_CHECKING:
    pass


from winograd.conv.transposed.run import (
    TRANSPOSED_FUNCTIONS,
    is_torchs_own,
    read_transposed,
    run_transposed,
    transposed_plan,
)

Tensor = torch.Tensor


_decisions: Final = Decisions()


def convolve_transposed_torch(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    arguments: TransposedArguments,
    *,
    ndim: int,
    tolerance: float | None,
    algorithm: Algorithm | None,
) -> Tensor:
    """Convolve torch tensors; see `winograd.conv.convolve_transposed.conv_transpose3d`.

    Compiled and traced code calls torch's own; a forced algorithm breaks a compiled graph.
    """
    own = partial(TRANSPOSED_FUNCTIONS[ndim], input, weight, bias, *arguments.given)
    rest = (arguments, ndim, tolerance, algorithm)
    if is_recorded():
        chosen = algorithm is None or is_direct(algorithm)
        return own() if chosen else _convolve_apart(own, input, weight, bias, *rest)
    if algorithm is None or isinstance(algorithm, str):
        more = (ndim, tolerance, tolerance is True, algorithm)  # True equals 1.0, and is refused
        if _decisions.find(input, weight, bias, as_tuples(arguments.given), *more) is OWN:
            return own()
    return _convolve_planned(own, input, weight, bias, *rest)


@on_usable_threads
def _convolve_planned(
    own: Callable[[], Tensor],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    arguments: TransposedArguments,
    ndim: int,
    tolerance: float | None,
    algorithm: Algorithm | None,
) -> Tensor:
    try:
        shape = read_transposed(input, weight, bias, arguments, ndim=ndim)
    except UNREADABLE:
        output = own()  # torch's own error, or what only torch can read, such as mixed dtypes under autocast
        if algorithm is not None and not is_direct(algorithm) and output.numel():
            raise
        return output
    obstacle = tensor_obstacle(input, weight, bias)
    plan = transposed_plan(shape, tolerance=tolerance, algorithm=algorithm, filters=Filters.LIVE, obstacle=obstacle)
    if is_torchs_own(plan, shape, weight, obstacle):
        if algorithm is None or isinstance(algorithm, str):
            more = (ndim, tolerance, tolerance is True, algorithm)
            if obstacle is None or needs_gradient(input, weight, bias):
                _decisions.keep(OWN, input, weight, bias, as_tuples(arguments.given), *more)
        return own()
    return run_transposed(plan, shape, input, weight, bias, workspace_cap=None)


# The lazy form of torch.compiler.disable, which would import the compiler here.
_convolve_apart = _disable_dynamo(_convolve_planned)
