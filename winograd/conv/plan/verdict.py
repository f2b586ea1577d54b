"""Verdicts: in one line, why a candidate was not chosen.

In: the plan, and what is known of the candidate. Out: text, which compares figures of one kind: measured with measured
where both were timed, predicted with predicted else.
"""

from __future__ import annotations

from math import floor
from typing import Final

from winograd.conv.geometry.phases import phases_of
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.plan.record import Backend, Plan

CHOSEN: Final = "chosen"

REQUIRED_GAIN: Final = 1.2
"""Direct convolution is kept unless Winograd is predicted to be faster by this factor: what the model may be off by."""

PHASED_GAIN: Final = 1.85
"""The same with a stride, dilation or groups: the model was not fitted to copies and to many small runs, and takes
them for faster than they are."""

MEASURED_GAIN: Final = 1.03
"""The same where both were timed: nothing is left to allow for but the noise of the clock; this much is a guess."""


GIVEN: Final = "algorithm given"
"""How the reason of a plan begins for which an algorithm was forced."""

ANOTHER_GIVEN: Final = "another algorithm was given"


def was_given(plan: Plan) -> bool:
    """Return whether the algorithm was forced: then nothing was compared."""
    return plan.reason.startswith(GIVEN)


def predicted_gain(shape: ConvShape) -> float:
    """Return by which factor direct convolution of a shape has to be beaten as predicted."""
    return REQUIRED_GAIN if phases_of(shape) is None else PHASED_GAIN


def required_gain(plan: Plan) -> float:
    """Return by which factor direct convolution had to be beaten."""
    return MEASURED_GAIN if plan.measured else predicted_gain(plan.shape)


def direct_verdict(plan: Plan, label: str) -> str:
    """Return what became of direct convolution, or of a variant of it that was timed."""
    if label != Backend.DIRECT.value:
        return "a variant, for comparison"
    if plan.backend is Backend.DIRECT:
        return CHOSEN
    if was_given(plan) or plan.direct_ms is None or plan.predicted_ms is None:
        return ANOTHER_GIVEN
    timed = dict(plan.measured).get(label)
    if timed is not None and plan.measured_ms is not None:
        return _slower(timed, plan.measured_ms)
    return _slower(plan.direct_ms, plan.predicted_ms)


def verdict(plan: Plan, predicted: float | None, measured: float | None, obstacle: str, preference: str) -> str:
    """Return why a candidate was not chosen.

    Parameters
    ----------
    plan : Plan
    predicted, measured : float or None
        Milliseconds of the candidate.
    obstacle : str
        Why it may not be taken; empty where it may.
    preference : str
        What speaks for the chosen one where both are about as fast.
    """
    if obstacle:
        return obstacle
    if measured is not None and plan.measured_ms is not None:
        return _against(plan, measured, plan.measured_ms, preference)
    if plan.predicted_ms is None or predicted is None:
        return ANOTHER_GIVEN if plan.algorithm is not None else plan.reason
    if plan.measured:
        return "not timed: others seemed faster"
    return _against(plan, predicted, plan.predicted_ms, preference)


def _against(plan: Plan, milliseconds: float, chosen: float, preference: str) -> str:
    if plan.backend is Backend.DIRECT:
        gain = floor(100 * chosen / milliseconds) / 100
        return f"not faster than direct by {required_gain(plan)}: {gain:.2f} times"
    if milliseconds > chosen:
        return _slower(milliseconds, chosen)
    return f"within {_percent(chosen, milliseconds)}: {preference}"


def _slower(milliseconds: float, chosen: float) -> str:
    if milliseconds <= chosen:
        return "as fast"
    if milliseconds < 2 * chosen:
        return f"slower by {_percent(milliseconds, chosen)}"
    ratio = milliseconds / chosen
    return f"slower: {ratio:.1f} times the time" if ratio < 10 else f"slower: {ratio:.0f} times the time"


def _percent(longer: float, shorter: float) -> str:
    """Return by how much one time is longer than another, at least a tenth of a per cent."""
    return f"{max(100 * (longer / shorter - 1), 0.1):.2g} %"
