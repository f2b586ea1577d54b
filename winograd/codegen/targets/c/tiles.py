"""Transforms of a tile as C functions with guards, and their self-test against the matrices.

In: a request for the stage data, filter, inverse or all. Out: the parts of the file.
"""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Final

from winograd.algebra.bilinear import FractionRows, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.literals import float64_literal
from winograd.codegen.nested import AxisPass
from winograd.codegen.targets.c.parts import DTYPES, Dtype, contraction_of, foundation, part
from winograd.codegen.targets.c.transforms import DOUBLES, WRITTEN_OUT, Outside, print_transform
from winograd.codegen.targets.contract import Request, Stage
from winograd.codegen.tolerance import output_sizes, transform_growth, transform_tolerance

_MAGNITUDE: Final = 4
"""Of the self-test's random integers."""

_USAGE: Final = """\
/* Transforms of tiles in C11 with the vector extensions of GCC and Clang; the width of the vectors and fused
   multiply-add follow from the compiler's target:
     cc -std=c11 -O3 -march=native -c FILE.c -o FILE.o
   and to check the file:
     cc -std=c11 -O3 -march=native -DWINOGRAD_SELFTEST FILE.c -o selftest -lm && ./selftest */
"""

_WHAT: Final = {
    Stage.DATA: ("tiles of data", "transformed data"),
    Stage.FILTER: ("filters", "transformed filters"),
    Stage.INVERSE: ("products, summed over channels,", "tiles of outputs"),
}


@dataclass(frozen=True, slots=True)
class Transform:
    """One function of the file.

    Parameters
    ----------
    stage : Stage
    passes : tuple of AxisPass
    matrices : tuple of FractionRows
        What the passes compute, one per axis in the order of axes.
    transposed : bool
    dtype : Dtype
    """

    stage: Stage
    passes: tuple[AxisPass, ...]
    matrices: tuple[FractionRows, ...]
    transposed: bool
    dtype: Dtype

    @property
    def name(self) -> str:
        """Name of the function after the prefix."""
        return f"{self.stage}_transposed" if self.transposed else str(self.stage)

    @property
    def stores(self) -> bool:
        """Whether outputs, not inputs, are of the stored type; what is transformed is of the arithmetic's."""
        return (self.stage is Stage.INVERSE) is not self.transposed

    @property
    def rows(self) -> tuple[int, ...]:
        """Elements of an output tile along every axis."""
        return tuple(len(matrix) for matrix in self.matrices)

    @property
    def columns(self) -> tuple[int, ...]:
        """Elements of an input tile along every axis."""
        return tuple(len(matrix[0]) for matrix in self.matrices)


def tiles(request: Request) -> tuple[str, list[str]]:
    """Return how to use the file, and its parts, for an algorithm of three axes."""
    transforms = [_transform(request, stage) for stage in request.stage.transforms]
    body = [
        *foundation(request.dtype, contraction_of(request.lowering)),
        part("arguments.c"),
        *(_function(transform, request.algorithm.ranks) for transform in transforms),
        "#ifdef WINOGRAD_SELFTEST\n" + part("random.c"),
        part("selftest_matrices.c"),
        *(_check(transform) for transform in transforms),
        _main(transforms) + "#endif\n",
    ]
    return _USAGE, body


def _transform(request: Request, stage: Stage) -> Transform:
    passes = {
        Stage.DATA: request.programs.data,
        Stage.FILTER: request.programs.filter,
        Stage.INVERSE: request.programs.inverse,
    }[stage]
    transposed = request.lowering.transposed
    matrices = tuple(_matrices(request.algorithm, stage))
    if transposed:
        matrices = tuple(tuple(zip(*matrix, strict=True)) for matrix in matrices)
    return Transform(stage, passes, matrices, transposed, DTYPES[request.dtype])


def _matrices(nested: NestedAlgorithm, stage: Stage) -> list[FractionRows]:
    which = {Stage.DATA: "bt", Stage.FILTER: "g", Stage.INVERSE: "at"}[stage]
    return [fraction_rows(getattr(axis, which)) for axis in nested.axes]


def _words(transform: Transform, ranks: Sequence[int]) -> dict[str, str]:
    """Return what the words in capitals stand for in transform.c and selftest_transform.c."""
    doubles = transform.stage is Stage.FILTER
    stored = {"TYPE": "NAME_stored", "NARROW": "NAME_narrow", "WIDEN": "NAME_widen"}
    real = {"TYPE": "NAME_real", "NARROW": "(NAME_real)", "WIDEN": "(double)"}
    x, y = (real, stored) if transform.stores else (stored, real)
    return {
        "STAGE": transform.name,
        "VALUE": "double" if doubles else "NAME_vector",
        "LANES": "NAME_PANEL" if doubles else "NAME_WIDTH",
        "BUFFER": f"({prod(ranks)} * NAME_PANEL)" if doubles else str(prod(ranks)),
        **{f"X_{key}": value for key, value in x.items()},
        **{f"Y_{key}": value for key, value in y.items()},
    }


def _filled(text: str, words: dict[str, str]) -> str:
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text


def _function(transform: Transform, ranks: Sequence[int]) -> str:
    words = _words(transform, ranks)
    style = DOUBLES if transform.stage is Stage.FILTER else WRITTEN_OUT
    body = print_transform(transform.passes, ranks, style, _outside(transform))
    words |= {"SENTENCE": _sentence(transform), "BODY": "\n".join(body)}
    return _filled(part("transform.c"), words)


def _outside(transform: Transform) -> Outside:
    x, y = "({at}) * x_stride", "({at}) * y_stride"
    if transform.stage is not Stage.FILTER:
        read, write = ("NAME_load", "NAME_write") if transform.stores else ("NAME_read", "NAME_store")
        return Outside(f"{read}(x + {x}, lanes)", f"{write}(y + {y}, lanes, {{value}});")
    widen, narrow = ("", "NAME_narrow") if transform.stores else ("NAME_widen", "")
    return Outside(
        f"lane < lanes ? (double){widen}(x[{x} + lane]) : 0.0",
        f"if (lane < lanes) y[{y} + lane] = {narrow}((NAME_real){{value}});",
    )


def _sentence(transform: Transform) -> str:
    before, after = _WHAT[transform.stage]
    if transform.transposed:
        before, after = f"gradients of {after}", f"gradients of {before.rstrip(',')}"
    columns, rows = (" x ".join(map(str, extents)) for extents in (transform.columns, transform.rows))
    kind = f"{'transposed ' if transform.transposed else ''}{transform.stage}"
    text = f"The {kind} transform: `count` {before} ({columns} elements) to {after} ({rows})."
    where = "float64 and rounded once" if transform.stage is Stage.FILTER else transform.dtype.arithmetic
    return "\n   ".join(textwrap.wrap(f"{text} Computed in {where}.", 110))


def _check(transform: Transform) -> str:
    name = f"NAME_{transform.name}"
    steps = sorted(transform.passes, key=lambda step: step.axis)
    tables = [
        _table(f"{name}_{what}{axis}", values)
        for axis, (matrix, step) in enumerate(zip(transform.matrices, steps, strict=True))
        for what, values in (
            ("matrix", [entry for row in matrix for entry in row]),
            ("sizes", output_sizes(step.program)),
        )
    ]
    lists = [", ".join(f"{name}_{what}{axis}" for axis in range(3)) for what in ("matrix", "sizes")]
    extents = [", ".join(map(str, sizes)) for sizes in (transform.rows, transform.columns)]
    record = [
        f"static const NAME_matrices {name}_matrices = {{",
        *(f"    {{{text}}}," for text in (*extents, *lists)),
        f"    {', '.join(map(repr, _tolerance(transform)))},",
        "};\n\n",
    ]
    return "".join(tables) + "\n".join(record) + _filled(part("selftest_transform.c"), _words(transform, (1,)))


def _table(name: str, values: Sequence[Fraction]) -> str:
    entries = ", ".join(map(float64_literal, values))
    listed = textwrap.fill(entries, 116, initial_indent="    ", subsequent_indent="    ")
    return f"static const double {name}[] = {{\n{listed}\n}};\n"


def _tolerance(transform: Transform) -> tuple[float, float, float, float]:
    """Return the scale of the inputs, and the error allowed: per size of an output, per output, and at least."""
    dtype, passes = transform.dtype, transform.passes
    doubles = transform.stage is Stage.FILTER
    growth = _MAGNITUDE * transform_growth(passes)
    scale = min(1.0, 2.0 ** math.floor(math.log2(dtype.largest / growth))) if transform.stores else 1.0
    relative = dtype.stored_unit * transform.stores + float(dtype.unit) * doubles
    # Beside the roundings of the programs those of the matrices in double: one per entry and per term.
    unit = DTYPES["float64"].unit if doubles else dtype.unit
    roundings = Fraction(transform_tolerance(passes, 1, unit)) / transform_growth(passes)
    roundings += (sum(transform.columns) + 3) * DTYPES["float64"].unit
    least = dtype.smallest if transform.stores else sys.float_info.min
    return scale, scale * _MAGNITUDE * float(roundings) * (1 + relative), relative, least


def _main(transforms: Sequence[Transform]) -> str:
    cases = ", ".join(f'{{"{transform.name}", NAME_check_{transform.name}}}' for transform in transforms)
    return part("selftest_main.c").replace("CASES", cases)
