"""Plans: which backend and which algorithm a convolution takes, why, and what that is predicted to cost.

In: a `ConvShape`, the tolerated error, perhaps an algorithm, limits on memory. Out: a `Plan`. Refused: an algorithm
that cannot do it, or for which the workspace is too small. The plan takes the fastest candidate of the cost model whose
predicted error is tolerated, and direct convolution where there is none or where none is faster.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from winograd.algebra.bilinear import checked_size
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv import roofline
from winograd.conv.arguments import Algorithm
from winograd.conv.choosing.obstacles import (
    NATIVE_DTYPES,
    TRANSFORMED_DTYPES,
    checked_algorithm,
    shape_obstacle,
    stride_obstacle,
)
from winograd.conv.choosing.prediction import predicted_error, tolerance_or_default
from winograd.conv.choosing.selection import Filters, best_timing, select
from winograd.conv.choosing.task import Task, Terms, core_task
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.limits import limits_or_default
from winograd.conv.native.schedule import Schedule, ScheduleKind
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.plan.verdict import GIVEN, predicted_gain
from winograd.conv.planning.reasons import above, by_phases, capped, error_in_words, made_anew, nothing_tolerated
from winograd.conv.roofline import NOMINAL_THREADS
from winograd.conv.switch import switched_off


def make_plan(
    shape: ConvShape,
    *,
    tolerance: float | None = None,
    algorithm: Algorithm | None = None,
    filters: Filters = Filters.LIVE,
    obstacle: str | None = None,
    threads: int = NOMINAL_THREADS,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
) -> Plan:
    """Return the plan for a convolution of torch tensors. Equal questions are answered from a cache.

    Parameters
    ----------
    shape : ConvShape
    tolerance : float, optional
        Allowed relative L2 error, above 0 (default `default_tolerance`), the rounding of a 16-bit output left out; a
        forced algorithm ignores it.
    algorithm : BilinearAlgorithm, NestedAlgorithm or "direct", optional
        Forces this one, whatever its error and speed; it gives way where `winograd.conv.switch` has switched Winograd
        off.
    filters : Filters
        LIVE adds the transform of the filter to the time of every call.
    obstacle : str, optional
        Why the native backend cannot be used, for a reason that the shape does not show, such as "gradient required".
    threads : int
        Threads that will run it, at least 1.
    workspace_cap : int, optional
        Bytes of workspace at most; None takes `winograd.conv.limits.memory_limits`. Tiles are taken in smaller blocks;
        candidates of which not one tile fits are left out.
    filter_cap : int, optional
        Bytes of a transformed filter that is kept; None likewise. A larger one gives way to a smaller algorithm, or is
        made in every call, whichever is predicted to be faster.

    Raises
    ------
    TypeError
        If the algorithm is none, the tolerance is no number, or threads or a cap is no integer.
    ValueError
        If the tolerance is not above 0, or threads or a cap is below 1, if the axes or taps of a forced algorithm are
        not those of the shape, or not one of its tiles fits into the workspace.
    NotImplementedError
        If an algorithm is forced on a stride, dilation or groups other than 1 whose phases have other taps, or on
        tensors of integers.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(stride=2, padding=1).shape((1, 64, 8, 8), (64, 64, 3, 3), dtype="float32")
    >>> make_plan(shape)  # doctest: +ELLIPSIS
    <Plan direct: Winograd with stride (2, 2) by 4 phases would take ...: not faster by a factor of 1.85>
    """
    off = switched_off(algorithm)
    forced = None if algorithm is None or isinstance(algorithm, str) else checked_algorithm(shape, algorithm)
    if forced is not None and shape.dtype not in TRANSFORMED_DTYPES:
        raise NotImplementedError(
            f"dtype {shape.dtype}, {forced.label} needs one of {', '.join(TRANSFORMED_DTYPES)}; leave algorithm out"
        )
    limits = limits_or_default(workspace_cap, filter_cap)
    allowed = tolerance_or_default(tolerance, shape.dtype)
    terms = Terms(allowed, filters, limits, checked_size("threads", threads))
    return _make_plan(shape, forced if off is None else None, off or obstacle, terms)


@lru_cache(maxsize=4096)
def _make_plan(shape: ConvShape, forced: NestedAlgorithm | None, obstacle: str | None, terms: Terms) -> Plan:
    return replace(_planned(shape, forced, obstacle, terms), terms=terms)


def _planned(shape: ConvShape, forced: NestedAlgorithm | None, obstacle: str | None, terms: Terms) -> Plan:
    if shape.is_empty:
        return Plan(shape, Backend.DIRECT, None, "nothing to compute")
    if shape.card is not None:
        return _plan_on_card(shape, forced, obstacle, terms)
    if forced is not None:
        return _forced_plan(shape, forced, obstacle, terms)
    lack = obstacle or shape_obstacle(shape)
    if lack:
        return Plan(shape, Backend.DIRECT, None, lack, filters=terms.filters)
    return _fastest_plan(core_task(shape, terms))


def _plan_on_card(shape: ConvShape, forced: NestedAlgorithm | None, obstacle: str | None, terms: Terms) -> Plan:
    from winograd.conv.gpu.planning import card_obstacle, direct_plan, forcing_obstacle, plan_on_card

    lack = obstacle or (card_obstacle(shape) if forced is None else forcing_obstacle(shape))
    if lack is None:
        return plan_on_card(shape, forced, terms)
    if forced is not None and stride_obstacle(shape) is None:
        return composed_plan(shape, forced, f"{GIVEN}, composed since {lack}")
    return direct_plan(shape, terms, lack)


def _forced_plan(shape: ConvShape, algorithm: NestedAlgorithm, obstacle: str | None, terms: Terms) -> Plan:
    lack = obstacle or (None if shape.dtype in NATIVE_DTYPES else f"dtype {shape.dtype}")
    task = core_task(shape, terms)
    if lack and task.phases is not None:
        return Plan(shape, Backend.DIRECT, None, f"{task.phases.label} needs the native backend, {lack}")
    if lack:
        return composed_plan(shape, algorithm, f"{GIVEN}, composed since {lack}")
    plan = _native_plan(task, algorithm, GIVEN)
    compared = f"{GIVEN}: {plan.predicted_ms:.3g} ms predicted, direct {plan.direct_ms:.3g} ms"
    reason = f"{compared}, {error_in_words(task.core, algorithm)}{above(task, algorithm)}"
    return replace(plan, reason=reason + by_phases(task) + made_anew(task, algorithm, plan.filters))


def composed_plan(
    shape: ConvShape, algorithm: NestedAlgorithm, reason: str, backend: Backend = Backend.COMPOSED
) -> Plan:
    """Return the plan of a backend that transforms all tiles at once."""
    return Plan(
        shape,
        backend,
        algorithm,
        reason,
        predicted_error=predicted_error(shape, algorithm),
        filter_bytes=roofline.filter_bytes(shape, algorithm),
        workspace_bytes=roofline.transformed_bytes(shape, algorithm),
    )


def _fastest_plan(task: Task) -> Plan:
    terms = task.terms
    direct_ms = roofline.direct_ms(task.shape, terms.threads)
    selected = select(task.core, terms.tolerance, terms.filters, terms.limits, terms.threads)
    if selected is None:
        return _direct_plan(task, direct_ms, nothing_tolerated(task))
    milliseconds = task.milliseconds(selected.candidate, selected.timing)
    gain = predicted_gain(task.shape)
    if milliseconds * gain > direct_ms:
        way = "" if task.phases is None else f" with {task.phases.label}"
        times = (
            f"Winograd{way} would take {milliseconds:.3g} ms ({selected.candidate.label}), direct {direct_ms:.3g} ms"
        )
        slow = f"{times}: not faster by a factor of {gain}"
        return _direct_plan(task, direct_ms, slow + capped(task, selected))
    algorithm = selected.candidate.algorithm
    compared = f"{milliseconds:.3g} ms predicted, direct {direct_ms:.3g} ms, {error_in_words(task.core, algorithm)}"
    return _native_plan(task, algorithm, f"{compared}{by_phases(task)}{capped(task, selected)}")


def _native_plan(task: Task, algorithm: NestedAlgorithm, reason: str) -> Plan:
    terms, core = task.terms, task.core
    timing = best_timing(core, algorithm, terms.filters, terms.limits, terms.threads)
    footprint = roofline.footprint(core, algorithm)
    if timing is None:
        least = min(footprint.workspace_bytes(Schedule(kind, 1), terms.threads) for kind in ScheduleKind)
        needed = f"{algorithm.label} needs {least + task.held_bytes} for one tile"
        copies = "" if task.phases is None else " and the copies of one image"
        raise ValueError(f"workspace is capped at {task.workspace_cap} bytes, {needed}{copies}")
    return Plan(
        task.shape,
        Backend.NATIVE,
        algorithm,
        reason,
        predicted_error=predicted_error(core, algorithm),
        filter_bytes=footprint.filter_bytes * task.groups,
        workspace_bytes=footprint.workspace_bytes(timing.schedule, terms.threads) + task.held_bytes,
        predicted_ms=task.milliseconds(algorithm, timing),
        direct_ms=roofline.direct_ms(task.shape, terms.threads),
        schedule=timing.schedule,
        filters=timing.filters,
        phases=task.phases,
    )


def _direct_plan(task: Task, direct_ms: float, reason: str) -> Plan:
    filters = task.terms.filters
    return Plan(task.shape, Backend.DIRECT, None, reason, predicted_ms=direct_ms, direct_ms=direct_ms, filters=filters)
