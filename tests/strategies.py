"""Hypothesis strategies of this project's own tests: those of `winograd.testing`, and reductions.

Sizes are capped, and every strategy is ordered so that failures shrink to the simple case: few outputs and taps, small
integers as points, one axis, no padding, one channel.
"""

from __future__ import annotations

from hypothesis import strategies as st

from winograd.algebra.reduction import AxisReduction, Large, Reduction, reduce_axis
from winograd.testing.geometry import Shape, shapes
from winograd.testing.strategies import MAX_TILE, algorithms, nested_algorithms, point_sets, sizes
from winograd.testing.strategies import points as finite_points

__all__ = [
    "MAX_TILE",
    "Shape",
    "algorithms",
    "axis_reductions",
    "finite_points",
    "nested_algorithms",
    "point_sets",
    "reduced_shapes",
    "reduced_sizes",
    "shapes",
    "sizes",
]

MAX_REDUCED = {1: (14, 4, 5), 2: (7, 3, 3), 3: (4, 3, 2)}
"""Largest number of taps, largest stride and dilation, and largest m of a reduction, per number of axes."""


@st.composite
def axis_reductions(draw: st.DrawFn, ndim: int = 1) -> AxisReduction:
    """Reductions of one of ``ndim`` axes: any stride and dilation, split and iterated; shrinks to one tap."""
    taps, step, m = MAX_REDUCED[ndim]
    return reduce_axis(
        draw(st.integers(1, taps)),
        draw(st.integers(1, step)),
        draw(st.integers(1, step)),
        m=draw(st.integers(1, m)),
        limit=draw(st.integers(2, 5)),
        large=draw(st.sampled_from(Large)),
    )


@st.composite
def reduced_sizes(draw: st.DrawFn, axis: AxisReduction, longest: int) -> tuple[int, tuple[int, int]]:
    """A size from the smallest on that has up to ``longest`` outputs, and asymmetric padding, beyond the filter too."""
    low, high = draw(st.tuples(st.integers(0, axis.span + 1), st.integers(0, axis.span + 1)))
    padded = axis.span + draw(st.integers(0, longest * axis.stride - 1))
    return max(padded - low - high, 1), (low, high)


@st.composite
def reduced_shapes(
    draw: st.DrawFn, max_axes: int = 3
) -> tuple[Reduction, tuple[int, ...], tuple[tuple[int, int], ...]]:
    """A reduction of one to ``max_axes`` axes with sizes and padding that it can convolve; shrinks to one axis."""
    ndim = draw(st.integers(1, max_axes))
    axes = tuple(draw(axis_reductions(ndim)) for _ in range(ndim))
    drawn = [draw(reduced_sizes(axis, {1: 12, 2: 6, 3: 3}[ndim])) for axis in axes]
    sizes, padding = zip(*drawn, strict=True)
    return Reduction(axes), sizes, padding
