"""Which axes of an algorithm a Triton convolution transforms, and which it leaves to the loop of the product.

In: a nested algorithm of one to three axes. Out: the same with three, divided in two. An axis of one output or one tap
has nothing to gain from a transform: it is *direct*, its taps are summed with the channels, its data stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.targets.axes import pad_axes


@dataclass(frozen=True, slots=True)
class DirectAxes:
    """An algorithm of three axes, some of which are direct.

    Parameters
    ----------
    nested : NestedAlgorithm
        Of one to three axes; missing ones are leading axes of size 1.

    Examples
    --------
    >>> mixed = DirectAxes(NestedAlgorithm((toom_cook(1, 3), toom_cook(2, 3), toom_cook(4, 3))))
    >>> mixed.direct, mixed.taps, mixed.transformed
    ((True, False, False), (3, 1, 1), <F(1x2x4,1x3x3), 24 multiplications>)
    """

    nested: NestedAlgorithm

    @property
    def direct(self) -> tuple[bool, ...]:
        """Whether an axis is direct."""
        return tuple(1 in (axis.m, axis.r) for axis in self._axes)

    @property
    def taps(self) -> tuple[int, ...]:
        """Taps along an axis that the product sums: those of direct axes, 1 of others."""
        return tuple(axis.r if direct else 1 for axis, direct in zip(self._axes, self.direct, strict=True))

    @property
    def m(self) -> tuple[int, ...]:
        """Outputs of a tile along an axis, 1 along a direct one."""
        return self.transformed.m

    @property
    def positions(self) -> int:
        """Products of a tile and a channel, at every tap of the direct axes."""
        return prod(self.transformed.ranks)

    @property
    def transformed(self) -> NestedAlgorithm:
        """The algorithm with F(1, 1) along direct axes."""
        return NestedAlgorithm(
            tuple(toom_cook(1, 1) if direct else axis for axis, direct in zip(self._axes, self.direct, strict=True))
        )

    @property
    def _axes(self) -> tuple[BilinearAlgorithm, ...]:
        return pad_axes(self.nested).axes
