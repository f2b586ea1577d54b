"""The C target: C11 for GCC and Clang, from AVX-512 down to plain code, with a self-test under -DWINOGRAD_SELFTEST.

In: a request. Out: a file with a whole tiled convolution, or with transforms of a tile: what is printed from the
programs, between parts that are the same for every algorithm (the .c files of this folder, in which NAME_ stands for
the chosen name). Refused: irrational matrices.
"""

from __future__ import annotations

from dataclasses import replace

from winograd.codegen.targets.axes import pad_axes
from winograd.codegen.targets.c.convolution import CHANNEL_BLOCK, convolution
from winograd.codegen.targets.c.parts import DTYPES, assembled
from winograd.codegen.targets.c.tiles import tiles
from winograd.codegen.targets.contract import Request, Stage, Target

__all__ = ["CHANNEL_BLOCK", "TARGET", "source"]


def source(request: Request) -> str:
    """Return the C text of a convolution, or of transforms, by an algorithm of one to three axes.

    Missing axes are leading axes of size 1. The stage conv exports ``name_panel``, ``name_filter_floats``,
    ``name_filter``, ``name_workspace_floats`` and ``name_convolve``; the others ``name_data``, ``name_filter`` and
    ``name_inverse``, with ``_transposed`` behind it for transposed matrices. Each is described in the text.
    """
    whole = replace(request, algorithm=pad_axes(request.algorithm))
    usage, body = convolution(whole) if request.stage is Stage.CONV else tiles(whole)
    return assembled(request.header, usage, body, request.name)


TARGET = Target(
    source=source,
    comment="//",
    dtypes=tuple(DTYPES),
    range_dtype="float32",
    stages=(Stage.CONV, Stage.ALL, Stage.DATA, Stage.FILTER, Stage.INVERSE),
    unfused=(Stage.FILTER,),
    machines=("SSE2", "AVX2", "AVX-512"),
)
