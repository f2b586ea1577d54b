"""The report on an algorithm's programs: what every pass gained on every axis, and what a whole tile costs.

In: an algorithm, and how its programs are made. Out: figures, for a command to print as a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.cost import MACHINES, Cost
from winograd.codegen.lower import DEFAULT_LOWERING, Lowering, lower_with_gains
from winograd.codegen.nested import (
    NestedPrograms,
    cost_of_passes,
    count_passes,
    lower_nested,
    lowering_of,
    stored_between,
)
from winograd.codegen.passes.scheduling import live_values
from winograd.codegen.pipeline import Gain
from winograd.codegen.program import Counts

STAGES: Final = ("data", "inverse", "filter")
"""The three transforms, in the order in which the field lists their counts."""


@dataclass(frozen=True, slots=True)
class AxisReport:
    """What the passes made of one transform of one axis.

    Parameters
    ----------
    stage : str
        One of `STAGES`.
    axes : tuple of int
        The axes that have this program.
    gains : tuple of Gain
        One per pass, in the order in which they ran; the first begins with the matrix row by row. Before them comes
        "transposition" where turning the program of the transposed matrix round was cheaper.
    """

    stage: str
    axes: tuple[int, ...]
    gains: tuple[Gain, ...]


@dataclass(frozen=True, slots=True)
class TileReport:
    """What one transform of a whole tile costs.

    Parameters
    ----------
    stage : str
        One of `STAGES`.
    counts : Counts
        Instructions of all runs on all axes, as the code executes them.
    fused, separate : int
        Instructions of the programs that are made for machines with and without fused multiply-add, on all axes.
    order : tuple of int
        The axes in the order in which they are transformed.
    stored : tuple of int
        Values that there are between two axes, one number less than axes.
    live : int
        Values that a program has alive at once at most.
    costs : tuple of (str, Cost)
        What it costs on the machines asked for, by name: as the programs are, fused instructions being two where
        there are none.
    """

    stage: str
    counts: Counts
    fused: int
    separate: int
    order: tuple[int, ...]
    stored: tuple[int, ...]
    live: int
    costs: tuple[tuple[str, Cost], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Reports on every program of an algorithm, and on every transform of a tile."""

    axes: tuple[AxisReport, ...]
    tile: tuple[TileReport, ...]


def report_on(
    nested: NestedAlgorithm,
    lowering: Lowering = DEFAULT_LOWERING,
    unfused: Sequence[str] = (),
    machines: Sequence[str] = tuple(MACHINES),
) -> Report:
    """Return the report on an algorithm's programs.

    Parameters
    ----------
    nested : NestedAlgorithm
    lowering : Lowering
        How the programs are made.
    unfused : sequence of str
        Transforms whose programs are made without fused multiply-add all the same.
    machines : sequence of str
        Names of `winograd.codegen.cost.MACHINES`.

    Raises
    ------
    NotImplementedError
        If an entry of a matrix is not rational.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> f2, f4 = toom_cook(2, 3, "0,1,-1,inf"), toom_cook(4, 3, "0,1,-1,2,-2,inf")
    >>> report = report_on(NestedAlgorithm((f2, f4, f4)))
    >>> [(total.stage, total.counts.instructions, total.separate, total.order) for total in report.tile][:2]
    [('data', 720, 960, (2, 1, 0)), ('inverse', 344, 404, (0, 2, 1))]
    >>> [(gain.name, gain.before.unfused, gain.after.unfused) for gain in report.axes[0].gains][:2]
    [('pairing', 4, 4), ('factoring', 4, 4)]
    """
    made = lower_nested(nested, lowering, unfused)
    fused, separate = (lower_nested(nested, replace(lowering, fma=fma)) for fma in (True, False))
    return Report(
        axes=tuple(
            report for axis in dict.fromkeys(nested.axes) for report in _of_axis(nested, axis, lowering, unfused)
        ),
        tile=tuple(_of_tile(stage, (made, fused, separate), machines) for stage in STAGES),
    )


def _of_axis(
    nested: NestedAlgorithm, axis: BilinearAlgorithm, lowering: Lowering, unfused: Sequence[str]
) -> Iterator[AxisReport]:
    matrices: dict[str, sympy.ImmutableMatrix] = {"data": axis.bt, "inverse": axis.at, "filter": axis.g}
    places = tuple(place for place, other in enumerate(nested.axes) if other == axis)
    for stage in STAGES:
        _, gains = lower_with_gains(matrices[stage], lowering_of(stage, lowering, unfused))
        yield AxisReport(stage, places, gains)


def _of_tile(
    stage: str, programs: tuple[NestedPrograms, NestedPrograms, NestedPrograms], machines: Sequence[str]
) -> TileReport:
    """Return the report on the first programs; the others are those made for and without fused multiply-add."""
    counts, fused, separate = (count_passes(made.of(stage)) for made in programs)
    steps = programs[0].of(stage)
    return TileReport(
        stage=stage,
        counts=counts,
        fused=fused.instructions,
        separate=separate.instructions,
        order=tuple(step.axis for step in steps),
        stored=stored_between(steps),
        live=max(live_values(step.program) for step in steps),
        costs=tuple((name, cost_of_passes(steps, MACHINES[name])) for name in machines),
    )
