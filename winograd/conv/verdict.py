"""Verdicts: in one line, why a candidate was not chosen.

In: the plan, and what is known of the candidate. Out: text, which compares figures of one kind: measured with measured
where both were timed, predicted with predicted else.
"""

from __future__ import annotations

from typing import Final

from winograd.conv.plan_record import Backend, Plan

CHOSEN: Final = "chosen"

REQUIRED_GAIN: Final = 1.2
"""Direct convolution is kept unless Winograd is predicted to be faster by this factor: what the model may be off by."""

MEASURED_GAIN: Final = 1.03
"""The same where both were timed: medians of rounds that took turns repeat within some 3 %, so nothing else is left to
allow for."""


def required_gain(plan: Plan) -> float:
    """Return by which factor direct convolution had to be beaten."""
    return MEASURED_GAIN if plan.measured else REQUIRED_GAIN


def direct_verdict(plan: Plan, label: str) -> str:
    """Return what became of direct convolution, or of a variant of it that was timed."""
    if label != Backend.DIRECT.value:
        return "a variant, for comparison"
    if plan.backend is Backend.DIRECT:
        return CHOSEN
    if plan.direct_ms is None or plan.predicted_ms is None:
        return f"{plan.algorithm_label} was given"
    timed, chosen = dict(plan.measured).get(label), plan.measured_ms
    if timed is not None and chosen is not None:
        return _slower(timed, chosen)
    return _slower(plan.direct_ms, plan.predicted_ms)


def verdict(plan: Plan, predicted: float | None, measured: float | None, obstacle: str, made_anew: bool) -> str:
    """Return why a candidate was not chosen.

    Parameters
    ----------
    plan : Plan
    predicted, measured : float or None
        Milliseconds of the candidate.
    obstacle : str
        Why it may not be taken; empty where it may.
    made_anew : bool
        Whether its transformed filter is above the cap on those that are kept.
    """
    if obstacle:
        return obstacle
    return _outrun(plan, predicted, measured) + ("; U above the cap, made anew in every call" if made_anew else "")


def _outrun(plan: Plan, predicted: float | None, measured: float | None) -> str:
    if measured is not None and plan.measured_ms is not None:
        return _against(plan, measured, plan.measured_ms)
    if plan.predicted_ms is None or predicted is None:
        return f"{plan.label} was given" if plan.algorithm is not None else plan.reason
    if plan.measured:
        return "not among the fastest by the model, not timed"
    return _against(plan, predicted, plan.predicted_ms)


def _against(plan: Plan, milliseconds: float, chosen: float) -> str:
    if plan.backend is Backend.DIRECT:
        return f"not faster than direct by {required_gain(plan)}: {milliseconds:.3g} ms against {chosen:.3g} ms"
    if milliseconds > chosen:
        return _slower(milliseconds, chosen)
    return "faster by less than more memory or unlike axes are worth"


def _slower(milliseconds: float, chosen: float) -> str:
    return f"slower: {milliseconds:.3g} ms against {chosen:.3g} ms"
