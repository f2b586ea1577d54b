"""Plans of the gradient of the input: that of a convolution of stride 1 is a convolution, and planned as one.

In: `Asked`. Out: a `GradientPlan`, torch's own with other strides.
"""

from __future__ import annotations

from functools import lru_cache

from winograd.conv.gradient.asked import Asked
from winograd.conv.gradient.record import GradientPlan
from winograd.conv.gradient.shapes import input_gradient_shape
from winograd.conv.plan import make_plan
from winograd.conv.plan_record import Backend
from winograd.conv.selection import Filters


@lru_cache(maxsize=4096)
def input_plan(asked: Asked) -> GradientPlan:
    """Return the plan; equal questions are answered from a cache."""
    shape, terms = asked.shape, asked.terms
    if shape.is_empty:
        return asked.torchs_own("nothing to compute")
    if set(shape.stride) != {1}:
        lack = asked.obstacle or f"stride {shape.stride}: the gradient of the input is no convolution"
        return asked.torchs_own(lack)
    plan = make_plan(
        input_gradient_shape(shape),
        tolerance=terms.tolerance,
        algorithm=asked.forced,
        filters=Filters.LIVE,
        obstacle=asked.obstacle,
        threads=terms.threads,
        workspace_cap=terms.limits.workspace,
        filter_cap=terms.limits.filters,
    )
    return GradientPlan(
        shape,
        asked.wanted,
        plan.backend,
        plan.algorithm,
        plan.reason,
        predicted_error=plan.predicted_error,
        filter_bytes=plan.filter_bytes,
        workspace_bytes=plan.workspace_bytes,
        predicted_ms=plan.predicted_ms,
        direct_ms=plan.direct_ms,
        convolution=None if plan.backend is Backend.DIRECT else plan,
        terms=terms,
    )
