"""Hypothesis strategy of convolution shapes that an algorithm can compute; see `winograd.testing.strategies`."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from winograd.algebra.nesting import NestedAlgorithm


@dataclass(frozen=True, slots=True)
class Shape:
    """A convolution of stride 1: input (batch, channels, *sizes), weight (outputs, channels, *taps).

    Parameters
    ----------
    batch, channels, outputs : int
        At least 1.
    sizes : tuple of int
        Inputs per axis, without padding.
    padding : tuple of (low, high)
        Zeros before and after each axis.
    """

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
    """Shapes that an algorithm can convolve: sizes from the taps to beyond two tiles, any padding up to 3 on a side.

    Shrinks to one image, one channel, no padding and the smallest sizes.

    Examples
    --------
    >>> from hypothesis import find
    >>> from winograd import nest, toom_cook
    >>> find(shapes(nest(toom_cook(2, 3))), lambda shape: shape.channels > 1)
    Shape(batch=1, channels=2, outputs=1, sizes=(3,), padding=((0, 0),))
    """
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
