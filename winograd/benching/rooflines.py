"""The roofline under a measured time: what the peaks of the nominal machine allow a plan at least.

In: a plan and threads. Out: milliseconds. They say little of a machine that is not the one the peaks were measured on.
"""

from __future__ import annotations

from winograd.conv import roofline
from winograd.conv.choosing.selection import Filters
from winograd.conv.plan.record import Plan


def plan_bound_ms(plan: Plan, threads: int) -> float:
    """Return the least time of the stages of a plan one after the other, or of direct convolution.

    For each stage the largest of operations / peak and bytes / bandwidth, at each level of memory.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> from winograd.conv.planning.make import make_plan
    >>> shape = ConvArguments(padding=1).shape((1, 64, 8, 32, 32), (64, 64, 3, 3, 3), dtype="float32")
    >>> plan = make_plan(shape, filters=Filters.FROZEN)
    >>> 0 < plan_bound_ms(plan, 2) < plan.predicted_ms
    True
    """
    if plan.algorithm is None:
        return roofline.direct_cost(plan.shape, threads).bound_ms
    stages = roofline.stage_costs(plan.core, plan.algorithm, plan.schedule, threads)
    bound = plan.runs * roofline.bound_ms(stages)
    groups = 1
    if plan.phases is not None:
        groups = plan.phases.groups
        bound += roofline.copies_cost(2 * plan.phases.copied_bytes, threads).bound_ms  # read and written
    if plan.filters is Filters.LIVE:
        bound += groups * roofline.filter_cost(plan.core, plan.algorithm, threads).bound_ms
    return bound
