"""Hypothesis strategies for the whole project: points, algorithms, nests, shapes.

Sizes are capped, and every strategy is ordered so that failures shrink to the simple case: few outputs and taps, small
integers as points, one axis, no padding, one channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from hypothesis import strategies as st

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.points import INFINITY, Infinity
from winograd.algebra.reduction import AxisReduction, Large, Reduction, reduce_axis
from winograd.algebra.toom_cook import toom_cook

MAX_TILE = {1: 9, 2: 6, 3: 4}
"""Largest tile per number of axes: a nest of three F(2,3) has 64 products already."""


def finite_points() -> st.SearchStrategy[Fraction]:
    """Rationals with numerator and denominator of at most 6; shrinks to 0."""
    return st.builds(Fraction, st.integers(-6, 6), st.integers(1, 6))


def point_sets(count: int) -> st.SearchStrategy[list[Fraction | Infinity]]:
    """``count`` distinct points in any order, with and without INFINITY; shrinks to small integers without it."""
    any_point = st.one_of(finite_points(), st.just(INFINITY))
    return st.lists(any_point, min_size=count, max_size=count, unique=True)


@st.composite
def sizes(draw: st.DrawFn, max_tile: int = MAX_TILE[1]) -> tuple[int, int]:
    """(m, r) with a tile of at most ``max_tile``; shrinks to (1, 1)."""
    m = draw(st.integers(1, max_tile))
    return m, draw(st.integers(1, max_tile + 1 - m))


@st.composite
def algorithms(draw: st.DrawFn, max_tile: int = MAX_TILE[1]) -> BilinearAlgorithm:
    """Toom-Cook algorithms at default or drawn points, the direct ones of m = 1 and r = 1 included."""
    m, r = draw(sizes(max_tile))
    return toom_cook(m, r, draw(st.one_of(st.none(), point_sets(m + r - 1))))


@st.composite
def nested_algorithms(draw: st.DrawFn, max_axes: int = 3) -> NestedAlgorithm:
    """One to ``max_axes`` axes that may differ; shrinks to one."""
    ndim = draw(st.integers(1, max_axes))
    return NestedAlgorithm(tuple(draw(algorithms(MAX_TILE[ndim])) for _ in range(ndim)))


@dataclass(frozen=True, slots=True)
class Shape:
    """A convolution of stride 1: input (batch, channels, *sizes), weight (outputs, channels, *taps)."""

    batch: int
    channels: int
    outputs: int
    sizes: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]

    @property
    def symmetric_padding(self) -> tuple[int, ...]:
        """The padding before the first input of every axis."""
        return tuple(low for low, _ in self.padding)


@st.composite
def shapes(draw: st.DrawFn, nested: NestedAlgorithm, *, max_channels: int = 3) -> Shape:
    """Shapes that an algorithm can convolve: sizes from the taps to beyond two tiles, any padding up to 3 on a side."""
    padding = tuple(draw(st.tuples(st.integers(0, 3), st.integers(0, 3))) for _ in nested.axes)
    lengths = tuple(
        draw(st.integers(max(axis.r - min(low, high) * 2, 1), 2 * axis.m + axis.r))
        for axis, (low, high) in zip(nested.axes, padding, strict=True)
    )
    return Shape(
        batch=draw(st.integers(1, 2)),
        channels=draw(st.integers(1, max_channels)),
        outputs=draw(st.integers(1, max_channels)),
        sizes=lengths,
        padding=padding,
    )


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
