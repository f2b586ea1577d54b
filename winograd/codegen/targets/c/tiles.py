"""Transforms of a tile as C functions with guards, and their self-test against the matrices.

In: a request for the stage data, filter, inverse or all. Out: the parts of the file.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from winograd.codegen.targets.c.axis_passes import DOUBLES, WRITTEN_OUT, Outside, print_transform
from winograd.codegen.targets.c.parts import contraction_of, declarations, foundation, part
from winograd.codegen.targets.c.tile_selftest import self_test
from winograd.codegen.targets.c.transform import Transform, filled, transform_of
from winograd.codegen.targets.contract import Request, Stage

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


def tiles(request: Request) -> tuple[str, list[str]]:
    """Return how to use the file, and its parts, for an algorithm of three axes."""
    transforms = [transform_of(request, stage) for stage in request.stage.transforms]
    body = [
        declarations(request.dtype, part("declarations_tiles.c") + "".join(map(_declaration, transforms))),
        *foundation(request.dtype, contraction_of(request.lowering)),
        part("arguments.c"),
        *(_function(transform, request.algorithm.ranks) for transform in transforms),
        *self_test(transforms),
    ]
    return _USAGE, body


def _declaration(transform: Transform) -> str:
    return filled(part("declaration_transform.c"), transform, SENTENCE=_sentence(transform))


def _function(transform: Transform, ranks: Sequence[int]) -> str:
    style = DOUBLES if transform.stage is Stage.FILTER else WRITTEN_OUT
    body = print_transform(transform.passes, ranks, style, _outside(transform))
    return filled(part("transform.c"), transform, BODY="\n".join(body))


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
