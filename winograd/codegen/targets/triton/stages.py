"""Transforms by themselves: tensors with the positions of a tile first, and everything else, the lanes, behind them.

In: a request for other stages than a convolution. Out: kernels, the functions that launch them, and what the self-test
compares them with, as text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import sympy

from winograd.algebra.bilinear import fraction_rows
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.literals import float64_literal
from winograd.codegen.nested import AxisPass
from winograd.codegen.targets.axes import matrix_of
from winograd.codegen.targets.contract import Request, Stage
from winograd.codegen.targets.triton.printing import (
    FUSED,
    SEPARATE,
    Place,
    Transform,
    position,
    print_transform,
    row_major,
    wrapped,
)
from winograd.codegen.tolerance import transform_growth, transform_tolerance

MAGNITUDE: Final = 4
"""Largest input of the self-test."""

_LARGEST: Final = 2**14
"""Largest value of the self-test where outputs are of 16 bits; float16 ends at 2^16."""

_SIZES: Final = {Stage.DATA: ("TILE", "RANKS"), Stage.FILTER: ("R", "RANKS"), Stage.INVERSE: ("RANKS", "M")}

_WHAT: Final = {
    Stage.DATA: ("tiles of data", "their transforms"),
    Stage.FILTER: ("filters", "their transforms"),
    Stage.INVERSE: ("products, summed over channels,", "outputs"),
}

_WHAT_TRANSPOSED: Final = {
    Stage.DATA: ("gradients of transformed data", "gradients of the tiles"),
    Stage.FILTER: ("gradients of transformed filters", "gradients of the filters"),
    Stage.INVERSE: ("gradients of outputs", "gradients of the products"),
}


@dataclass(frozen=True, slots=True)
class StageCode:
    """One transform of a file of transforms.

    Parameters
    ----------
    request : Request
    stage : Stage
        DATA, FILTER or INVERSE.
    """

    request: Request
    stage: Stage

    @property
    def name(self) -> str:
        """The function that launches the kernels."""
        return f"{self.stage}_transform{'_transposed' if self.transposed else ''}"

    @property
    def transposed(self) -> bool:
        """Whether the matrices are."""
        return self.request.lowering.transposed

    @property
    def passes(self) -> tuple[AxisPass, ...]:
        """The passes of the transform."""
        return self.request.programs.of(self.stage)

    @property
    def wide(self) -> bool:
        """Whether arithmetic is in float64, as it is for filters, which are transformed beforehand."""
        return self.stage is Stage.FILTER

    @property
    def ends(self) -> tuple[str, str]:
        """Names of the sizes of inputs and outputs."""
        first, last = _SIZES[self.stage]
        return (last, first) if self.transposed else (first, last)

    @property
    def matrices(self) -> list[sympy.ImmutableMatrix]:
        """What the transform multiplies by along each axis."""
        return [matrix_of(axis, self.stage, self.transposed) for axis in self.request.algorithm.axes]


def print_stages(request: Request) -> Iterator[str]:
    """Yield kernels and functions of every transform of the request, and the table of the self-test."""
    stages = [StageCode(request, stage) for stage in request.stage.transforms]
    for code in stages:
        yield from print_transform(_transform(code))
        yield _function(code)
    yield "\n".join(["CHECKS = (", *(line for code in stages for line in _check(code)), ")", ""])


def _transform(code: StageCode) -> Transform:
    nested = code.request.algorithm
    sources, targets = (row_major(_sizes(nested, name)) for name in code.ends)
    wide = "tl.float64" if code.wide else "tl.float32"

    def read(place: Place) -> str:
        return f"tl.load({position('source', place, sources)}, mask=inside, other=0.0).to({wide})"

    def write(place: Place, value: str) -> str:
        narrow = f"{value}.to(tl.float32)" if code.wide else value
        return f"tl.store({position('target', place, targets)}, {narrow}, mask=inside)"

    templates = SEPARATE if code.wide else FUSED
    return Transform(code.stage, code.passes, templates, row_major(nested.ranks), read, write)


def _function(code: StageCode) -> str:
    what, becomes = (_WHAT_TRANSPOSED if code.transposed else _WHAT)[code.stage]
    (sizes, results), (dtype, result) = code.ends, _dtypes(code)
    spoken, spoken_result = (name.removeprefix("torch.") for name in (dtype, result))
    return (
        f"def {code.name}(x):\n"
        f'    """Map {what} (*{sizes}, ...) of {spoken} to {becomes} (*{results}, ...) of {spoken_result}."""\n'
        f"    wide = torch.float{64 if code.wide else 32}\n"
        f"    return _transformed(x, {dtype}, {sizes}, {result}, {results}, wide, {code.stage.upper()}_KERNELS)\n"
    )


def _check(code: StageCode) -> Iterator[str]:
    """Yield an entry of the table: function, dtype, largest input, bound, and the matrix of every axis."""
    dtype, result = _dtypes(code)
    largest, scale = float(transform_growth(code.passes)) * MAGNITUDE, 1.0
    if result == "DTYPE" and largest > _LARGEST:
        scale = 2.0 ** -math.ceil(math.log2(largest / _LARGEST))
    yield f"    ({code.name}, {dtype}, {scale!r}, {scale * _bound(code)!r}, ("
    for matrix in code.matrices:
        rows = fraction_rows(matrix)
        yield "        ("
        for row in rows:
            yield from wrapped("            (", [float64_literal(entry) for entry in row], ",),")
        yield "        ),"
    yield "    )),"


def _bound(code: StageCode) -> float:
    """Return what the arithmetic may make of rounding, and the float64 reference: n numbers are summed in 2 n steps."""
    unit = Fraction(1, 2**53 if code.wide else 2**24)
    steps = sum(2 * step.program.inputs for step in code.passes)
    reference = 2.0**-53 * steps * MAGNITUDE * float(transform_growth(code.passes))
    return transform_tolerance(code.passes, MAGNITUDE, unit) + reference


def _dtypes(code: StageCode) -> tuple[str, str]:
    """Return the dtypes of inputs and outputs: transformed values are not rounded to 16 bits."""
    first, last = ("torch.float32" if name == "RANKS" else "DTYPE" for name in code.ends)
    return first, last


def _sizes(nested: NestedAlgorithm, name: str) -> Sequence[int]:
    return {"TILE": nested.tile, "R": nested.r, "RANKS": nested.ranks, "M": nested.m}[name]
