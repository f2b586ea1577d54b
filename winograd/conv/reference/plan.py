"""Plans for NumPy arrays: the fewest multiplications whose predicted error is tolerated.

In: a `ConvShape`, the tolerated error, perhaps an algorithm. Out: a `Plan`. Time plays no part: the reference backend
is for studies.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import product

from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.conv import roofline
from winograd.conv.arguments import Algorithm
from winograd.conv.choosing.obstacles import checked_algorithm, stride_obstacle
from winograd.conv.choosing.prediction import WORKING, predicted_error, rounded_to, tolerance_or_default
from winograd.conv.geometry.phases import phases_of
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.planning.make import composed_plan
from winograd.conv.switch import switched_off


def plan_reference(
    shape: ConvShape,
    *,
    tolerance: float | None = None,
    algorithm: Algorithm | None = None,
) -> Plan:
    """Return the plan for a convolution of NumPy arrays; what is raised `winograd.conv.planning.make` says."""
    allowed = tolerance_or_default(tolerance, "float32")
    off = switched_off(algorithm)
    forced = None if algorithm is None or isinstance(algorithm, str) else checked_algorithm(shape, algorithm)
    if off is not None:
        return Plan(shape, Backend.DIRECT, None, off)
    if forced is not None:
        return _forced_plan(shape, forced)
    return _plan_reference(shape, allowed)


def _forced_plan(shape: ConvShape, algorithm: NestedAlgorithm) -> Plan:
    if shape.is_empty:
        return Plan(shape, Backend.DIRECT, None, "nothing to compute")
    phases = phases_of(shape)
    if phases is None:
        return composed_plan(shape, algorithm, "algorithm given", Backend.REFERENCE)
    plan = composed_plan(phases.core, algorithm, f"algorithm given, {phases.label}", Backend.REFERENCE)
    return replace(plan, shape=shape, phases=phases)


@lru_cache(maxsize=4096)
def _plan_reference(shape: ConvShape, tolerance: float) -> Plan:
    lack = "nothing to compute" if shape.is_empty else stride_obstacle(shape)
    if lack:
        return Plan(shape, Backend.DIRECT, None, lack)
    planned = default_algorithms(shape.taps) if shape.dtype in ("object", *WORKING) and max(shape.taps) > 1 else ()
    allowed = rounded_to(shape.dtype, tolerance)
    errors = {algorithm: predicted_error(shape, algorithm) for algorithm in planned}
    tolerated = [algorithm for algorithm, error in errors.items() if error is not None and error <= allowed]
    if not tolerated:
        reason = f"dtype {shape.dtype} and taps {shape.taps} have no candidate within the tolerance {tolerance:.1e}"
        return Plan(shape, Backend.DIRECT, None, reason)
    best = min(tolerated, key=lambda algorithm: roofline.multiplications(shape, algorithm))
    reason = f"fewest multiplications, error {errors[best]:.1e} predicted"
    return composed_plan(shape, best, reason, Backend.REFERENCE)


@lru_cache(maxsize=256)
def default_algorithms(taps: tuple[int, ...]) -> tuple[NestedAlgorithm, ...]:
    """Return algorithms of default points: 2 to 4 outputs on an axis, 1 where there is 1 tap.

    Examples
    --------
    >>> [algorithm.label for algorithm in default_algorithms((1, 3))]
    ['F(1x2,1x3)', 'F(1x3,1x3)', 'F(1x4,1x3)']
    """
    outputs = [range(2, 5) if count > 1 else (1,) for count in taps]
    return tuple(nest(*map(toom_cook, sizes, taps)) for sizes in product(*outputs))
