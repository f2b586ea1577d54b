"""The transforms of an algorithm as Python functions: what is called what, and the text of each.

In: a request. Out: `Transform` records, and for each the function over whole tiles, the functions of its axes, its
matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod

from winograd.algebra.bilinear import FractionRows, fraction_rows
from winograd.codegen.interpret import interpret
from winograd.codegen.nested import AxisPass
from winograd.codegen.program import Program
from winograd.codegen.targets.axes import matrix_of
from winograd.codegen.targets.contract import Request, Stage
from winograd.codegen.targets.straight_line import Dialect, function
from winograd.codegen.tolerance import transform_growth, transform_tolerance, without_signs

TRANSFORMS = (Stage.FILTER, Stage.DATA, Stage.INVERSE)
"""The stages that are one transform."""

_ARGUMENTS = {
    (Stage.FILTER, False): ("w", "R", "Map filters (..., *R) to (..., *RANKS)."),
    (Stage.DATA, False): ("d", "TILE", "Map tiles of data (..., *TILE) to (..., *RANKS)."),
    (Stage.INVERSE, False): (
        "p",
        "RANKS",
        "Map products, summed over channels, (..., *RANKS) to outputs (..., *M).",
    ),
    (Stage.FILTER, True): (
        "u",
        "RANKS",
        "Map gradients of transformed filters (..., *RANKS) to gradients of filters (..., *R).",
    ),
    (Stage.DATA, True): (
        "v",
        "RANKS",
        "Map gradients of transformed data (..., *RANKS) to gradients of tiles (..., *TILE).",
    ),
    (Stage.INVERSE, True): (
        "y",
        "M",
        "Map gradients of outputs (..., *M) to gradients of products (..., *RANKS).",
    ),
}


@dataclass(frozen=True, slots=True)
class Transform:
    """One transform: its stage, its direction, its passes in the order in which they run, its matrix for each axis."""

    stage: Stage
    transposed: bool
    passes: tuple[AxisPass, ...]
    matrices: tuple[FractionRows, ...]

    @property
    def name(self) -> str:
        """Name of the function over whole tiles."""
        return f"{self.stage}_transform" + ("_transposed" if self.transposed else "")

    @property
    def sizes(self) -> str:
        """Name of the constant that holds the sizes of the function's argument."""
        return _ARGUMENTS[self.stage, self.transposed][1]

    @property
    def smallest(self) -> Fraction:
        """Least share of a row's sum, signs aside, that an entry which is not 0 has: what a wrong term is off by."""
        shares = (
            min(min(filter(None, map(abs, row))) / _size(row) for row in rows if any(row)) for rows in self.matrices
        )
        return prod(shares, start=Fraction(1))

    def tolerance(self, magnitude: int) -> float:
        """Return a bound on the error in float64 of an output, divided by the sum, signs aside, of its matrix row.

        Inputs are at most ``magnitude``. A value on the way is at most that sum times what the program makes of ones
        without signs, divided by the sum of its row.
        """
        ratios = (_largest_ratio(step.program, self.matrices[step.axis]) for step in self.passes)
        share = prod(ratios, start=Fraction(1)) / transform_growth(self.passes)
        return transform_tolerance(self.passes, magnitude * share)

    def definition(self) -> str:
        """Return the text of the function over whole tiles, which runs the axes one after another."""
        argument, sizes, law = _ARGUMENTS[self.stage, self.transposed]
        ndim = len(self.passes)
        calls = ", ".join(f"({step.axis - ndim}, {self._function(step)})" for step in self.passes)
        return (
            f"def {self.name}({argument}):\n"
            f'    """{law}"""\n'
            f'    return _transform("{argument}", {argument}, {sizes}, [{calls}])\n'
        )

    def functions(self, dialect: Dialect) -> list[str]:
        """Return the text of every function that the passes call; axes with equal programs share one."""
        programs: dict[str, Program] = {self._function(step): step.program for step in self.passes}
        return ["\n".join(function(name, program, dialect)) + "\n" for name, program in programs.items()]

    def matrices_definition(self) -> str:
        """Return the text of the constant that holds the exact matrices: for each axis its rows, in words."""
        axes = "".join(f"    (\n{_rows(rows)}    ),\n" for rows in self.matrices)
        return f"{self.matrices_name} = (\n{axes})\n"

    @property
    def matrices_name(self) -> str:
        """Name of that constant."""
        return f"_{self.stage.upper()}_MATRICES"

    def _function(self, step: AxisPass) -> str:
        first = min(other.axis for other in self.passes if other.program == step.program)
        return f"_{self.stage}_{first}"


def transforms(request: Request) -> list[Transform]:
    """Return the transforms that the requested stage needs, filter, data, inverse.

    Examples
    --------
    >>> from winograd.algebra.nesting import nest
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> from winograd.codegen.lower import Lowering
    >>> request = Request(nest(toom_cook(2, 3)), "f23", (), Stage.DATA, "", Lowering(transposed=True))
    >>> [transform.name for transform in transforms(request)]
    ['data_transform_transposed']
    """
    programs = request.programs
    passes = {Stage.FILTER: programs.filter, Stage.DATA: programs.data, Stage.INVERSE: programs.inverse}
    chosen: Sequence[Stage] = [request.stage] if request.stage in TRANSFORMS else TRANSFORMS
    transposed = request.lowering.transposed
    return [Transform(stage, transposed, passes[stage], _matrices(request, stage)) for stage in chosen]


def _size(row: Sequence[Fraction]) -> Fraction:
    return sum(map(abs, row), Fraction(0))


def _largest_ratio(program: Program, rows: FractionRows) -> Fraction:
    values: list[Fraction] = interpret(without_signs(program), [Fraction(1)] * program.inputs)
    return max(value / _size(row) for value, row in zip(values, rows, strict=True) if any(row))


def _rows(rows: FractionRows) -> str:
    return "".join(f'        "{" ".join(map(str, row))}",\n' for row in rows)


def _matrices(request: Request, stage: Stage) -> tuple[FractionRows, ...]:
    axes = request.algorithm.axes
    return tuple(fraction_rows(matrix_of(axis, stage, request.lowering.transposed)) for axis in axes)
