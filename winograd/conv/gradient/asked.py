"""What a plan of a gradient is asked for, checked once for both gradients.

In: the `ConvShape` of a convolution and what `winograd.conv.gradient.plan.plan_gradient` is given. Out: `Asked`, which
plans are kept by. Refused: what `winograd.conv.planning.make.make_plan` refuses.
"""

from __future__ import annotations

from dataclasses import dataclass

from winograd.algebra.bilinear import checked_size
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.arguments import Algorithm
from winograd.conv.choosing.obstacles import TRANSFORMED_DTYPES, checked_algorithm
from winograd.conv.choosing.prediction import tolerance_or_default
from winograd.conv.choosing.selection import Filters
from winograd.conv.choosing.task import Terms
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gradient.record import Gradient, GradientPlan
from winograd.conv.limits import limits_or_default
from winograd.conv.plan.record import Backend
from winograd.conv.switch import switched_off

Forced = Algorithm | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a plan of a gradient is asked for; an algorithm that is switched off is the obstacle."""

    wanted: Gradient
    shape: ConvShape
    forced: NestedAlgorithm | None
    obstacle: str | None
    terms: Terms

    def torchs_own(self, reason: str, milliseconds: float | None = None) -> GradientPlan:
        """Return the plan of torch's own gradient, with its predicted time where one is known."""
        return GradientPlan(
            self.shape,
            self.wanted,
            Backend.DIRECT,
            None,
            reason,
            predicted_ms=milliseconds,
            direct_ms=milliseconds,
            terms=self.terms,
        )


def checked_asked(
    wanted: Gradient,
    shape: ConvShape,
    tolerance: float | None,
    algorithm: Forced,
    obstacle: str | None,
    threads: int,
    workspace_cap: int | None,
    filter_cap: int | None,
) -> Asked:
    """Return what is asked for; see `winograd.conv.planning.make.make_plan` for what is raised."""
    off = switched_off(algorithm)
    forced = None if algorithm is None or isinstance(algorithm, str) else checked_algorithm(shape, algorithm)
    if forced is not None and shape.dtype not in TRANSFORMED_DTYPES:
        raise NotImplementedError(
            f"dtype {shape.dtype}, {forced.label} needs one of {', '.join(TRANSFORMED_DTYPES)}; leave algorithm out"
        )
    limits = limits_or_default(workspace_cap, filter_cap)
    terms = Terms(tolerance_or_default(tolerance, shape.dtype), Filters.LIVE, limits, checked_size("threads", threads))
    return Asked(wanted, shape, forced if off is None else None, off or obstacle, terms)
