"""The front of a layer: how fast it can be, at which predicted error, at which tolerance.

In: the plans that a layer made for an example, and between which errors to look. Out: options, the fastest first, each
faster than all that are more exact; direct convolution is the last. Nothing is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from winograd.conv.choosing.prediction import float32_tolerance, scaled_to, unrounded_error
from winograd.conv.plan.record import Plan
from winograd.conv.planning.make import make_plan

_APART: Final = 1 + 1e-9
"""By how much a tolerance is above the least one at which a plan is taken, so that rounding does not decide."""


_MOST_MARGIN: Final = 1.2
"""The most that `winograd.conv.choosing.prediction` allows for what its model is off by."""

_STEP: Final = 1.1
"""Errors that are closer are not told apart: the prediction is not much better, and plans take time."""

LOOSEST: Final = 1.0
"""A tolerance that all algorithms meet."""

_NONE: Final = 1e-300
"""A tolerance that no algorithm meets."""

Planner = Callable[[float], Plan]
"""The plan of one shape at a tolerance."""


@dataclass(frozen=True, slots=True)
class Option:
    """What a layer computes at one tolerance.

    Parameters
    ----------
    tolerance : float or None
        At which the plans are these; None for direct convolution, whatever the tolerance.
    error : float
        Largest predicted relative L2 error of the plans; 0 for direct convolution.
    milliseconds : float
        Predicted, of all calls in a forward of the example.
    label : str
        Backend and algorithm of each plan.
    """

    tolerance: float | None
    error: float
    milliseconds: float
    label: str


@dataclass(frozen=True, slots=True)
class Calls:
    """What a layer computes in a forward of the example.

    Parameters
    ----------
    planners : tuple of callable
        One for each shape: the plan at a tolerance.
    count : int
        How often the layer is called; each shape is taken to come equally often.
    """

    planners: tuple[Planner, ...]
    count: int = 1

    @property
    def direct(self) -> Option:
        """Direct convolution of all calls."""
        return self._option(None, self._plans(_NONE))

    def at(self, tolerance: float) -> Option:
        """Return what is computed at a tolerance, with the least tolerance at which that is so."""
        plans = self._plans(tolerance)
        least = max(map(least_tolerance, plans))
        return self._option(least or None, plans)

    def _plans(self, tolerance: float) -> list[Plan]:
        return [planner(tolerance) for planner in self.planners]

    def _option(self, tolerance: float | None, plans: Sequence[Plan]) -> Option:
        milliseconds = sum(plan.predicted_ms or 0.0 for plan in plans) * self.count / len(plans)
        label = " | ".join(dict.fromkeys(plan.algorithm_label for plan in plans))
        return Option(tolerance, max(map(error_of, plans)), milliseconds, label)


def front(calls: Calls, low: float, high: float) -> tuple[Option, ...]:
    """Return the options with errors of at most ``high``, down to the first of at most ``low``, and direct convolution.

    Parameters
    ----------
    calls : Calls
    low, high : float
        Relative L2 errors, the lower one above 0.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((1, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32")
    >>> options = front(Calls((planner_of(make_plan(shape, threads=2)),)), low=1e-6, high=2e-5)
    >>> options[0].error < 2e-5, options[-1].label
    (True, 'direct')
    """
    options = [*_descending(calls, low, high), calls.direct]
    kept: list[Option] = []
    for option in sorted(options, key=lambda one: (one.error, one.milliseconds)):
        if not kept or option.milliseconds < kept[-1].milliseconds:
            kept.append(option)
    return tuple(reversed(kept))


def _descending(calls: Calls, low: float, high: float) -> Iterator[Option]:
    """Yield what is computed at ever smaller tolerances."""
    option = calls.at(high * _MOST_MARGIN)
    while option.tolerance is not None:
        if option.error <= high:
            yield option
        if option.error <= low:
            return
        option = calls.at(option.tolerance / _STEP)


def planner_of(plan: Plan) -> Planner:
    """Return the function from a tolerance to what this plan would have been: always itself if nothing was compared."""
    return (lambda _: plan) if plan.terms is None or plan.predicted_ms is None else partial(_replanned, plan)


def _replanned(plan: Plan, tolerance: float) -> Plan:
    terms = plan.terms
    assert terms is not None
    return make_plan(
        plan.shape,
        tolerance=tolerance,
        filters=terms.filters,
        threads=terms.threads,
        workspace_cap=terms.limits.workspace,
        filter_cap=terms.limits.filters,
    )


def error_of(plan: Plan) -> float:
    """Return the predicted error that a tolerance is compared with; 0 for direct convolution."""
    return 0.0 if plan.algorithm is None else unrounded_error(plan.core, plan.algorithm)


def least_tolerance(plan: Plan) -> float:
    """Return the least tolerance at which the algorithm of a plan is tolerated; 0 for direct convolution."""
    margin = 1.0 / scaled_to(plan.core.dtype, float32_tolerance(plan.core, 1.0))
    return error_of(plan) * margin * _APART


def direct_tolerance(calls: Calls) -> float:
    """Return a tolerance at which all calls are computed directly, the largest up to a factor of two."""
    tolerance = calls.at(LOOSEST).tolerance
    while tolerance is not None:
        below = tolerance / 2
        tolerance = calls.at(below).tolerance
    return below
