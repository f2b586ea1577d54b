"""Plans of gradients: which backend and algorithm each gradient of a convolution takes, apart from the convolution's.

In: the `ConvShape` of a convolution, the tolerated error, perhaps an algorithm, limits on memory. Out: a
`GradientPlan`. Refused: what `winograd.conv.planning.make.make_plan` refuses. Torch's own is taken wherever
Winograd is not predicted to be faster.
"""

from __future__ import annotations

from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gradient.asked import Forced, checked_asked
from winograd.conv.gradient.input_plan import input_plan
from winograd.conv.gradient.record import Gradient, GradientPlan
from winograd.conv.gradient.weight_plan import weight_plan
from winograd.conv.roofline import NOMINAL_THREADS

__all__ = ["Gradient", "GradientPlan", "plan_gradient"]


def plan_gradient(
    wanted: Gradient,
    shape: ConvShape,
    *,
    tolerance: float | None = None,
    algorithm: Forced = None,
    obstacle: str | None = None,
    threads: int = NOMINAL_THREADS,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
) -> GradientPlan:
    """Return the plan for one gradient of a convolution. Equal questions are answered from a cache.

    That of the input is a convolution itself, whose filter is transformed in every call; with a stride, it is a
    transposed one. That of the weight runs the transposed transforms of an algorithm.

    Parameters
    ----------
    wanted : Gradient
    shape : ConvShape
        Of the convolution whose gradient it is.
    tolerance, algorithm, obstacle, threads, workspace_cap, filter_cap
        As in `winograd.conv.planning.make.make_plan`. An algorithm is forced by that of the convolution.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `winograd.conv.planning.make.make_plan`.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((4, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32")
    >>> plan = plan_gradient(Gradient.INPUT, shape)
    >>> plan.backend.value, plan.convolution.shape.channels, plan.predicted_ms < plan.direct_ms
    ('native', 128, True)
    >>> shape = ConvArguments(padding=1).shape((4, 8, 16), (8, 8, 3), dtype="complex64")
    >>> plan_gradient(Gradient.WEIGHT, shape, algorithm=toom_cook(4, 3)).label
    'composed F(4,3)'
    """
    asked = checked_asked(wanted, shape, tolerance, algorithm, obstacle, threads, workspace_cap, filter_cap)
    return input_plan(asked) if wanted is Gradient.INPUT else weight_plan(asked)
