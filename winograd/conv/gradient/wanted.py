"""Wanted gradients: which of them a call will ask for, their plans, and whether these are worth operators of torch.

In: tensors, a `ConvShape`, the plan of its convolution. Out: `GradientPlan` records, yes or no. Refused: what
`winograd.conv.gradient.plan.plan_gradient` refuses.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

import torch

from winograd.conv.arguments import Algorithm
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gradient.record import Gradient, GradientPlan
from winograd.conv.gradient.run import runnable_gradient_plan
from winograd.conv.plan.record import Backend, Plan

Tensor = torch.Tensor


LEAST_SAVED_MS: Final = 0.5
"""Twice what automatic differentiation by three operators of Python takes longer than torch's own."""


LITTLE_SAVED: Final = "a gradient is required, and Winograd would save too little of a training step"
"""The reason of plans that leave such a layer to torch's own."""


def wanted_gradients(input: Tensor, weight: Tensor) -> tuple[Gradient, ...]:
    """Return which of the two gradients that have plans will be asked for, if the result is differentiated.

    Examples
    --------
    >>> wanted_gradients(torch.zeros(1, 2, 5), torch.zeros(4, 2, 3, requires_grad=True))
    (<Gradient.WEIGHT: 'weight'>,)
    """
    return _WANTED[input.requires_grad, weight.requires_grad]


_WANTED: Final = {
    (of_input, of_weight): (Gradient.INPUT,) * of_input + (Gradient.WEIGHT,) * of_weight
    for of_input in (False, True)
    for of_weight in (False, True)
}


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
