"""Passes in groups: what one kernel runs in registers, and what it leaves to the next one.

In: the passes of a transform. Out: groups of passes whose values fit the registers of a thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Final

from winograd.codegen.nested import AxisPass
from winograd.codegen.targets.axes import without_identities

MAX_VALUES: Final = 64
"""Most values of a group: a thread of NVIDIA's GPUs has 255 registers, and a program needs some for its own."""

Index = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Consecutive passes that run in registers, once for every index of the axes that they leave alone.

    Parameters
    ----------
    passes : tuple of AxisPass
        At least one, along different axes.
    """

    passes: tuple[AxisPass, ...]

    @property
    def axes(self) -> frozenset[int]:
        """Axes that the passes run along."""
        return frozenset(step.axis for step in self.passes)

    @property
    def outer(self) -> tuple[tuple[int, int], ...]:
        """Axis and extent of the axes left alone, those of extent 1 left out."""
        extents = self.passes[0].extents
        return tuple((axis, extent) for axis, extent in enumerate(extents) if axis not in self.axes and extent > 1)

    @property
    def slices(self) -> int:
        """How often the group runs."""
        return prod(extent for _, extent in self.outer)

    @property
    def values(self) -> int:
        """Largest number of values between two passes."""
        return max(len(list(self.indices(number))) for number in range(len(self.passes) + 1))

    def indices(self, done: int) -> Iterator[Index]:
        """Yield the indices of one slice after so many passes; axes left alone have index 0."""
        extents = [extent if axis in self.axes else 1 for axis, extent in enumerate(self.passes[0].extents)]
        for step in self.passes[:done]:
            extents[step.axis] = len(step.program.outputs)
        yield from product(*map(range, extents))


def grouped(passes: Sequence[AxisPass], most: int = MAX_VALUES) -> tuple[Group, ...]:
    """Return the passes that do something in groups of at most so many values, or of a single pass.

    Examples
    --------
    >>> from winograd.algebra.nesting import nest
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> from winograd.codegen.nested import lower_nested
    >>> data = lower_nested(nest(*[toom_cook(4, 3)] * 3)).data
    >>> [len(group.passes) for group in grouped(data)]
    [2, 1]
    """
    groups: list[Group] = []
    for step in without_identities(passes):
        longer = Group((*groups[-1].passes, step)) if groups else None
        if longer and longer.values <= most:
            groups[-1] = longer
        else:
            groups.append(Group((step,)))
    return tuple(groups)
