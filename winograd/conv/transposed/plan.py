"""Plans for transposed convolutions: that of the dense convolution of stride 1, with the copies around it counted.

In: a `TransposedShape`, tolerance, limits, and how a dense convolution is planned. Out: a `Plan` whose shape is that of
the dense convolution; direct where Winograd is not faster than torch's own. Refused: algorithms for other taps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Final

from winograd.algebra.nesting import as_nested
from winograd.conv.arguments import Algorithm
from winograd.conv.choosing.selection import Filters
from winograd.conv.geometry.phases import ELEMENT_BYTES, phases_of
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.plan.verdict import GIVEN, PHASED_GAIN, REQUIRED_GAIN
from winograd.conv.roofline import copies_ms
from winograd.conv.transposed.shape import TransposedShape
from winograd.conv.wording import size_of

TAPS_BYTES_PER_MS: Final = 1.1e6
"""Bytes of a weight whose taps are put in the order of phases in a millisecond: measured with 2 million numbers."""

Planner = Callable[[ConvShape, int | None], Plan]
"""Plans a dense convolution within so many bytes of workspace, None for no limit."""


def plan_transposed(
    shape: TransposedShape,
    planner: Planner,
    *,
    direct_share: float,
    algorithm: Algorithm | None = None,
    workspace: int | None = None,
) -> Plan:
    """Return the plan of a transposed convolution.

    Parameters
    ----------
    shape : TransposedShape
    planner : callable
        Plans the dense convolution, by the algorithm if one is forced.
    direct_share : float
        Time of direct computation, as a share of that of the dense convolution.
    algorithm : BilinearAlgorithm, NestedAlgorithm or "direct", optional
        Forces this one.
    workspace : int, optional
        Bytes at most, outputs that wait to be put where they belong among them; None for no limit.

    Raises
    ------
    NotImplementedError
        If the algorithm is for other taps than the dense convolution has.
    """
    core = shape.core
    forced = None if algorithm is None or isinstance(algorithm, str) else as_nested(algorithm)
    if forced is not None and forced.ndim == shape.ndim and forced.r != core.taps:
        raise NotImplementedError(
            f"{shape.label}: algorithm {forced.label} is for taps {forced.r}, must be for {core.taps}"
        )
    if not shape.joins:
        return _labelled(planner(core, workspace), shape)
    images = images_at_once(shape, workspace)
    held = shape.joined_bytes * images
    if workspace is not None and held >= workspace:
        needed = f"outputs of {shape.label} take {size_of(held)} before they are where they belong"
        return _direct(core, f"{needed}, the workspace is capped at {size_of(workspace)}")
    plan = planner(replace(core, batch=images), None if workspace is None else workspace - held)
    if plan.backend is not Backend.NATIVE:
        return _labelled(replace(plan, shape=core), shape)
    whole = _with_copies(plan, shape, images, direct_share)
    if forced is not None:
        return replace(whole, reason=f"{GIVEN}: {whole.reason}")
    return _unless_slow(whole, shape)


def images_at_once(shape: TransposedShape, workspace: int | None) -> int:
    """Return how many images are computed at a time: as many as wait in half the workspace, and divide the batch.

    Examples
    --------
    >>> from winograd.conv.transposed.arguments import TransposedArguments
    >>> shape = TransposedArguments(stride=2).shape((6, 8, 10, 10), (8, 8, 2, 2), dtype="float32")
    >>> shape.joined_bytes, images_at_once(shape, 100_000), images_at_once(shape, None)
    (12800, 3, 6)
    """
    if workspace is None or not shape.joins or shape.batch == 0 or phases_of(shape.core) is not None:
        return shape.batch
    most = max(workspace // (2 * shape.joined_bytes), 1)
    return next(count for count in range(min(most, shape.batch), 0, -1) if shape.batch % count == 0)


def _with_copies(plan: Plan, shape: TransposedShape, images: int, direct_share: float) -> Plan:
    """Return the plan of a part of the batch as one of the whole, copies counted."""
    core, parts = shape.core, shape.batch // images
    assert plan.predicted_ms is not None
    assert plan.direct_ms is not None
    threads = plan.terms.threads if plan.terms is not None else 1
    milliseconds = parts * (plan.predicted_ms + copies_ms(2 * images * shape.joined_bytes, threads))
    if plan.filters is Filters.LIVE:
        numbers = prod(core.weight_sizes)
        milliseconds += ELEMENT_BYTES.get(shape.dtype, 4) * numbers / TAPS_BYTES_PER_MS
    direct_ms = parts * plan.direct_ms * direct_share
    error = "" if plan.predicted_error is None else f", error {plan.predicted_error:.1e} predicted"
    return replace(
        plan,
        shape=core,
        reason=f"{milliseconds:.3g} ms predicted, direct {direct_ms:.3g} ms{error}; {shape.label}",
        predicted_ms=milliseconds,
        direct_ms=direct_ms,
        workspace_bytes=plan.workspace_bytes + images * shape.joined_bytes,
    )


def _unless_slow(plan: Plan, shape: TransposedShape) -> Plan:
    """Return the plan, or direct if that is not slower by enough."""
    assert plan.predicted_ms is not None
    assert plan.direct_ms is not None
    gain = REQUIRED_GAIN if plan.phases is None else PHASED_GAIN
    if plan.predicted_ms * gain <= plan.direct_ms:
        return plan
    times = f"would take {plan.predicted_ms:.3g} ms ({plan.algorithm_label}), direct {plan.direct_ms:.3g} ms"
    slow = _direct(plan.shape, f"Winograd {shape.label} {times}: not faster by a factor of {gain}")
    return replace(slow, predicted_ms=plan.direct_ms, direct_ms=plan.direct_ms, filters=plan.filters, terms=plan.terms)


def _labelled(plan: Plan, shape: TransposedShape) -> Plan:
    return replace(plan, reason=f"{plan.reason}; {shape.label}")


def _direct(core: ConvShape, reason: str) -> Plan:
    return Plan(core, Backend.DIRECT, None, reason)
