"""The report on an algorithm's programs: what every pass gained on every axis, and what a whole tile costs.

In: an algorithm. Out: figures, for a command to print as a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.lower import row_by_row
from winograd.codegen.nested import AxisPass, count_passes, lower_nested
from winograd.codegen.pipeline import Gain, run_passes
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
        One per pass, in the order in which they ran; the first begins with the matrix row by row.
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
        Instructions of all runs on all axes.
    order : tuple of int
        The axes in the order in which they are transformed.
    stored : tuple of int
        Values that there are between two axes, one number less than axes.
    """

    stage: str
    counts: Counts
    order: tuple[int, ...]
    stored: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Reports on every program of an algorithm, and on every transform of a tile."""

    axes: tuple[AxisReport, ...]
    tile: tuple[TileReport, ...]


def report_on(nested: NestedAlgorithm) -> Report:
    """Return the report on an algorithm's programs.

    Raises
    ------
    NotImplementedError
        If an entry of a matrix is not rational.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> f2, f4 = toom_cook(2, 3, "0,1,-1,inf"), toom_cook(4, 3, "0,1,-1,2,-2,inf")
    >>> report = report_on(NestedAlgorithm((f2, f4, f4)))
    >>> [(total.stage, total.counts.instructions, total.order) for total in report.tile][:2]
    [('data', 720, (2, 1, 0)), ('inverse', 344, (0, 2, 1))]
    >>> [(gain.name, gain.before.unfused, gain.after.unfused) for gain in report.axes[0].gains][:2]
    [('pairing', 4, 4), ('factoring', 4, 4)]
    """
    programs = lower_nested(nested)
    steps = {"data": programs.data, "inverse": programs.inverse, "filter": programs.filter}
    return Report(
        axes=tuple(report for axis in dict.fromkeys(nested.axes) for report in _of_axis(nested, axis)),
        tile=tuple(_of_tile(stage, steps[stage]) for stage in STAGES),
    )


def _of_axis(nested: NestedAlgorithm, axis: BilinearAlgorithm) -> Iterator[AxisReport]:
    matrices: dict[str, sympy.ImmutableMatrix] = {"data": axis.bt, "inverse": axis.at, "filter": axis.g}
    places = tuple(place for place, other in enumerate(nested.axes) if other == axis)
    for stage in STAGES:
        _, gains = run_passes(row_by_row(fraction_rows(matrices[stage])))
        yield AxisReport(stage, places, gains)


def _of_tile(stage: str, steps: Sequence[AxisPass]) -> TileReport:
    return TileReport(
        stage=stage,
        counts=count_passes(steps),
        order=tuple(step.axis for step in steps),
        stored=tuple(prod(step.extents) for step in steps[1:]),
    )
