"""Nested transforms: one program per axis, run axis after axis over a tile.

The order of the axes is the one with the fewest instructions; where orders tie, the one that spills least, then the one
that stores least between two axes, then the last axis first, which is the contiguous one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import permutations
from math import prod

from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.cost import FEWEST_REGISTERS, Cost, Machine, cost_of, total_cost
from winograd.codegen.lower import DEFAULT_LOWERING, Lowering, lower_axis
from winograd.codegen.program import Counts, Program


@dataclass(frozen=True, slots=True)
class AxisPass:
    """One program run along one axis, once for every index of the other axes.

    Parameters
    ----------
    axis : int
    program : Program
    extents : tuple of int
        Sizes of the tile when the pass begins; along ``axis`` the size is ``program.inputs``.
    """

    axis: int
    program: Program
    extents: tuple[int, ...]

    @property
    def runs(self) -> int:
        """How often the program runs."""
        return prod(extent for axis, extent in enumerate(self.extents) if axis != self.axis)


@dataclass(frozen=True, slots=True)
class NestedPrograms:
    """The passes of the three transforms of a tile."""

    data: tuple[AxisPass, ...]
    filter: tuple[AxisPass, ...]
    inverse: tuple[AxisPass, ...]

    def of(self, stage: str) -> tuple[AxisPass, ...]:
        """Return the passes of "data", "filter" or "inverse"."""
        return {"data": self.data, "filter": self.filter, "inverse": self.inverse}[stage]


def lower_nested(
    algorithm: NestedAlgorithm, lowering: Lowering = DEFAULT_LOWERING, unfused: Sequence[str] = ()
) -> NestedPrograms:
    """Return the passes of the three transforms, each in the order of axes with the fewest instructions.

    Parameters
    ----------
    algorithm : NestedAlgorithm
    lowering : Lowering
        How the programs are made.
    unfused : sequence of str
        Transforms whose programs are made without fused multiply-add all the same: "data", "filter", "inverse".

    Examples
    --------
    >>> from winograd.algebra.nesting import nest
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> f2, f4 = toom_cook(2, 3, "0,1,-1,inf"), toom_cook(4, 3, "0,1,-1,2,-2,inf")
    >>> programs = lower_nested(nest(f2, f4, f4))
    >>> count_passes(programs.data).instructions, count_passes(programs.inverse).instructions
    (720, 344)
    >>> count_passes(lower_nested(nest(f2, f4, f4), unfused=["filter"]).filter).fused
    0
    """
    data, filter_, inverse = (
        _lower_nested(algorithm, lowering_of(stage, lowering, unfused)).of(stage)
        for stage in ("data", "filter", "inverse")
    )
    return NestedPrograms(data, filter_, inverse)


def lowering_of(stage: str, lowering: Lowering, unfused: Sequence[str]) -> Lowering:
    """Return how the programs of a transform are made where those named in ``unfused`` cannot fuse."""
    return replace(lowering, fma=False) if stage in unfused else lowering


@lru_cache(maxsize=256)
def _lower_nested(algorithm: NestedAlgorithm, lowering: Lowering) -> NestedPrograms:
    axes = [lower_axis(axis, lowering) for axis in algorithm.axes]
    return NestedPrograms(
        data=_cheapest([axis.data for axis in axes]),
        filter=_cheapest([axis.filter for axis in axes]),
        inverse=_cheapest([axis.inverse for axis in axes]),
    )


def count_passes(passes: Sequence[AxisPass]) -> Counts:
    """Return the instructions of all runs of all passes."""
    return Counts(
        additions=sum(step.runs * step.program.counts.additions for step in passes),
        multiplications=sum(step.runs * step.program.counts.multiplications for step in passes),
        fused=sum(step.runs * step.program.counts.fused for step in passes),
    )


def cost_of_passes(passes: Sequence[AxisPass], machine: Machine) -> Cost:
    """Return what all runs of all passes cost on a machine; inputs of a pass are loaded, and its outputs are stored.

    Examples
    --------
    >>> from winograd.algebra.nesting import nest
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> programs = lower_nested(nest(*[toom_cook(4, 3, "0,1,-1,2,-2,inf")] * 2))
    >>> cost_of_passes(programs.data, FEWEST_REGISTERS)
    Cost(instructions=144, loads=72, stores=72, live=5, spills=0)
    """
    return total_cost(cost_of(step.program, machine).times(step.runs) for step in passes)


def stored_between(passes: Sequence[AxisPass]) -> tuple[int, ...]:
    """Return how many values there are between two passes, one number less than passes.

    Examples
    --------
    >>> from winograd.algebra.nesting import nest
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> stored_between(lower_nested(nest(toom_cook(2, 3), toom_cook(4, 3), toom_cook(4, 3))).inverse)
    (72, 48)
    """
    return tuple(prod(step.extents) for step in passes[1:])


def _cheapest(programs: Sequence[Program]) -> tuple[AxisPass, ...]:
    orders = permutations(reversed(range(len(programs))))
    return min((tuple(_passes(programs, order)) for order in orders), key=_rank)


def _rank(passes: Sequence[AxisPass]) -> tuple[int, int, int]:
    spilled = cost_of_passes(passes, FEWEST_REGISTERS).spills
    return count_passes(passes).instructions, spilled, sum(stored_between(passes))


def _passes(programs: Sequence[Program], order: Sequence[int]) -> Iterator[AxisPass]:
    extents = [program.inputs for program in programs]
    for axis in order:
        yield AxisPass(axis, programs[axis], tuple(extents))
        extents[axis] = len(programs[axis].outputs)
