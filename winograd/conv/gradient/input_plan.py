"""Plans of the gradient of the input: that of a convolution of stride 1 is a convolution, else a transposed one.

In: `Asked`. Out: a `GradientPlan` with the plan of that convolution, or torch's own.
"""

from __future__ import annotations

from functools import lru_cache

from winograd.conv import roofline
from winograd.conv.choosing.obstacles import NATIVE_DTYPES
from winograd.conv.choosing.selection import Filters
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gradient.asked import Asked
from winograd.conv.gradient.record import GradientPlan
from winograd.conv.gradient.shapes import input_gradient_shape, transposed_shape
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.planning.make import make_plan
from winograd.conv.roofline.gradient import direct_input_gradient_ms
from winograd.conv.transposed.plan import plan_transposed
from winograd.conv.transposed.shape import TransposedShape


@lru_cache(maxsize=4096)
def input_plan(asked: Asked) -> GradientPlan:
    """Return the plan; equal questions are answered from a cache."""
    shape = asked.shape
    if shape.is_empty:
        return asked.torchs_own("nothing to compute")
    if set(shape.stride) == {1}:
        return _with(asked, _dense_plan(asked, input_gradient_shape(shape), asked.terms.limits.workspace))
    transposed, stride = transposed_shape(shape), f"stride {shape.stride}"
    if asked.obstacle is not None or transposed is None:
        return asked.torchs_own(asked.obstacle or f"{stride}, padding {shape.padding}: no transposed convolution")
    if shape.dtype not in NATIVE_DTYPES or shape.card is not None:
        device = f"dtype {shape.dtype}" if shape.card is None else f"device {shape.card.name}"
        return asked.torchs_own(f"{stride} needs the native backend, {device}")
    if asked.forced is not None and asked.forced.r != transposed.core.taps:
        return asked.torchs_own(
            f"{stride}, {asked.forced.label} is for taps {asked.forced.r}, not {transposed.core.taps}"
        )
    return _with(asked, _strided_plan(asked, transposed))


def _dense_plan(asked: Asked, shape: ConvShape, workspace: int | None) -> Plan:
    terms = asked.terms
    return make_plan(
        shape,
        tolerance=terms.tolerance,
        algorithm=asked.forced,
        filters=Filters.LIVE,
        obstacle=asked.obstacle,
        threads=terms.threads,
        workspace_cap=workspace,
        filter_cap=terms.limits.filters,
    )


def _strided_plan(asked: Asked, transposed: TransposedShape) -> Plan:
    threads = asked.terms.threads
    own_ms = direct_input_gradient_ms(asked.shape, threads)
    return plan_transposed(
        transposed,
        lambda core, workspace: _dense_plan(asked, core, workspace),
        direct_share=own_ms / roofline.direct_ms(transposed.core, threads),
        algorithm=asked.forced,
        workspace=asked.terms.limits.workspace,
    )


def _with(asked: Asked, plan: Plan) -> GradientPlan:
    """Return the plan of the gradient that this convolution computes."""
    return GradientPlan(
        asked.shape,
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
        terms=asked.terms,
    )
