"""Plans of gradients: which backend and algorithm each gradient of a convolution takes, apart from the convolution's.

In: the `ConvShape` of a convolution, the tolerated error, perhaps an algorithm, limits on memory. Out: a
`GradientPlan`. Refused: what `winograd.conv.plan.make_plan` refuses. The gradient of the input of a convolution of
stride 1 is a convolution, and planned as one; torch's own is taken wherever Winograd is not predicted to be faster.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

from winograd.algebra.bilinear import BilinearAlgorithm, checked_size
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv import roofline
from winograd.conv.gradient.record import Gradient, GradientPlan
from winograd.conv.gradient.selection import GradientSelection, select_gradient, selection_of
from winograd.conv.gradient.shapes import input_gradient_shape
from winograd.conv.limits import limits_or_default
from winograd.conv.obstacles import (
    NATIVE_DTYPES,
    TRANSFORMED_DTYPES,
    checked_algorithm,
    shape_obstacle,
    stride_obstacle,
)
from winograd.conv.plan import make_plan
from winograd.conv.plan_record import Backend
from winograd.conv.prediction import WORKING, rounded_to, scaled_to, tolerance_or_default
from winograd.conv.roofline import NOMINAL_THREADS
from winograd.conv.selection import Filters
from winograd.conv.shape import ConvShape
from winograd.conv.switch import Direct, switched_off
from winograd.conv.task import Terms
from winograd.conv.verdict import GIVEN, REQUIRED_GAIN
from winograd.conv.wording import size_of

__all__ = ["Gradient", "GradientPlan", "plan_input_gradient", "plan_weight_gradient"]

Forced = BilinearAlgorithm | NestedAlgorithm | Direct | None


def plan_input_gradient(
    shape: ConvShape,
    *,
    tolerance: float | None = None,
    algorithm: Forced = None,
    obstacle: str | None = None,
    threads: int = NOMINAL_THREADS,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
) -> GradientPlan:
    """Return the plan for the gradient of the input of a convolution; its filter is transformed in every call.

    Parameters
    ----------
    shape : ConvShape
        Of the convolution whose gradient it is.
    tolerance, algorithm, obstacle, threads, workspace_cap, filter_cap
        As in `winograd.conv.plan.make_plan`. An algorithm is forced by that of the convolution.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `winograd.conv.plan.make_plan`.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((4, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32")
    >>> plan = plan_input_gradient(shape)
    >>> plan.backend.value, plan.convolution.shape.channels, plan.predicted_ms < plan.direct_ms
    ('native', 128, True)
    """
    asked = _asked(shape, tolerance, algorithm, obstacle, threads, workspace_cap, filter_cap)
    return _input_plan(asked)


def plan_weight_gradient(
    shape: ConvShape,
    *,
    tolerance: float | None = None,
    algorithm: Forced = None,
    obstacle: str | None = None,
    threads: int = NOMINAL_THREADS,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
) -> GradientPlan:
    """Return the plan for the gradient of the weight of a convolution, by the transposed transforms of an algorithm.

    Parameters
    ----------
    shape : ConvShape
        Of the convolution whose gradient it is.
    tolerance, algorithm, obstacle, threads, workspace_cap, filter_cap
        As in `winograd.conv.plan.make_plan`. An algorithm is forced by that of the convolution.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `winograd.conv.plan.make_plan`.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((4, 8, 16), (8, 8, 3), dtype="complex64")
    >>> plan_weight_gradient(shape, algorithm=toom_cook(4, 3)).label
    'composed F(4,3)'
    """
    asked = _asked(shape, tolerance, algorithm, obstacle, threads, workspace_cap, filter_cap)
    return _weight_plan(asked)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a plan of a gradient is asked for, checked; an algorithm that is switched off is the obstacle."""

    shape: ConvShape
    forced: NestedAlgorithm | None
    obstacle: str | None
    terms: Terms


def _asked(
    shape: ConvShape,
    tolerance: float | None,
    algorithm: Forced,
    obstacle: str | None,
    threads: int,
    workspace_cap: int | None,
    filter_cap: int | None,
) -> _Asked:
    off = switched_off(algorithm)
    forced = None if algorithm is None or isinstance(algorithm, str) else checked_algorithm(shape, algorithm)
    if forced is not None and shape.dtype not in TRANSFORMED_DTYPES:
        raise NotImplementedError(
            f"dtype {shape.dtype}, {forced.label} needs one of {', '.join(TRANSFORMED_DTYPES)}; leave algorithm out"
        )
    limits = limits_or_default(workspace_cap, filter_cap)
    terms = Terms(tolerance_or_default(tolerance, shape.dtype), Filters.LIVE, limits, checked_size("threads", threads))
    return _Asked(shape, forced if off is None else None, off or obstacle, terms)


@lru_cache(maxsize=4096)
def _input_plan(asked: _Asked) -> GradientPlan:
    shape, terms = asked.shape, asked.terms
    if shape.is_empty:
        return _torchs_own(asked, Gradient.INPUT, "nothing to compute")
    if set(shape.stride) != {1}:
        lack = asked.obstacle or f"stride {shape.stride}: the gradient of the input is no convolution"
        return _torchs_own(asked, Gradient.INPUT, lack)
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
        Gradient.INPUT,
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


@lru_cache(maxsize=4096)
def _weight_plan(asked: _Asked) -> GradientPlan:
    shape = asked.shape
    if shape.is_empty:
        return _torchs_own(asked, Gradient.WEIGHT, "nothing to compute")
    if asked.forced is not None:
        return _forced_weight_plan(asked, asked.forced)
    lack = asked.obstacle or stride_obstacle(shape) or shape_obstacle(shape)
    return _torchs_own(asked, Gradient.WEIGHT, lack) if lack else _fastest_weight_plan(asked)


def _forced_weight_plan(asked: _Asked, algorithm: NestedAlgorithm) -> GradientPlan:
    shape, terms = asked.shape, asked.terms
    lack = stride_obstacle(shape)
    if lack is not None:
        return _torchs_own(asked, Gradient.WEIGHT, f"{lack}, {algorithm.label} is for 1")
    lack = asked.obstacle or (None if shape.dtype in NATIVE_DTYPES else f"dtype {shape.dtype}")
    if lack is not None:
        reason = f"{GIVEN}, composed since {lack}"
        return GradientPlan(shape, Gradient.WEIGHT, Backend.COMPOSED, algorithm, reason, terms=terms)
    found = selection_of(shape, algorithm, terms.limits, terms.threads)
    if found is None:
        raise ValueError(f"{algorithm.label} has no tile whose gradient fits into the limits on memory, {terms.limits}")
    return _native_weight_plan(asked, found, f"{GIVEN}: ")


def _fastest_weight_plan(asked: _Asked) -> GradientPlan:
    shape, terms = asked.shape, asked.terms
    direct_ms = roofline.direct_ms(shape, terms.threads)
    found = select_gradient(shape, terms.tolerance, terms.limits, terms.threads)
    if found is None:
        reason = f"no candidate within the tolerance {terms.tolerance:.2g} and the limits on memory"
        return replace(_torchs_own(asked, Gradient.WEIGHT, reason), predicted_ms=direct_ms, direct_ms=direct_ms)
    milliseconds = found.milliseconds + _widening_ms(shape, terms.threads)
    if milliseconds * REQUIRED_GAIN > direct_ms:
        times = f"{milliseconds:.3g} ms ({found.algorithm.label}), direct {direct_ms:.3g} ms"
        reason = f"Winograd would take {times}: not faster by a factor of {REQUIRED_GAIN}"
        return replace(_torchs_own(asked, Gradient.WEIGHT, reason), predicted_ms=direct_ms, direct_ms=direct_ms)
    plan = _native_weight_plan(asked, found, "")
    limit = terms.limits.workspace
    if _widened_bytes(shape) and limit is not None and plan.workspace_bytes > limit:
        reason = f"with float32 copies of {shape.dtype} it would hold {size_of(plan.workspace_bytes)}, above the limit"
        return replace(_torchs_own(asked, Gradient.WEIGHT, reason), predicted_ms=direct_ms, direct_ms=direct_ms)
    return plan


def _native_weight_plan(asked: _Asked, found: GradientSelection, given: str) -> GradientPlan:
    shape, terms = asked.shape, asked.terms
    milliseconds = found.milliseconds + _widening_ms(shape, terms.threads)
    direct_ms, error = roofline.direct_ms(shape, terms.threads), scaled_to(shape.dtype, found.error)
    times = f"{milliseconds:.3g} ms predicted, direct {direct_ms:.3g} ms"
    return GradientPlan(
        shape,
        Gradient.WEIGHT,
        Backend.NATIVE,
        found.algorithm,
        f"{given}{times}, error {error:.1e} predicted",
        predicted_error=rounded_to(shape.dtype, error),
        filter_bytes=roofline.gradient.sums_bytes(shape, found.algorithm.rank),
        workspace_bytes=roofline.gradient.held_bytes(shape, found.algorithm.rank, found.block) + _widened_bytes(shape),
        predicted_ms=milliseconds,
        direct_ms=direct_ms,
        block=found.block,
        terms=terms,
    )


def _widening_ms(shape: ConvShape, threads: int) -> float:
    """Return the time of the copies in float32 that 16-bit inputs and gradients are computed from."""
    return roofline.copies_ms(_widened_bytes(shape) * 3 // 2, threads)


def _widened_bytes(shape: ConvShape) -> int:
    """Return the bytes of these copies, 0 where numbers are computed with as they are."""
    if WORKING[shape.dtype] == shape.dtype:
        return 0
    return 4 * shape.batch * (shape.channels * prod(shape.sizes) + shape.outputs * prod(shape.output))


def _torchs_own(asked: _Asked, wanted: Gradient, reason: str) -> GradientPlan:
    return GradientPlan(asked.shape, wanted, Backend.DIRECT, None, reason, terms=asked.terms)
