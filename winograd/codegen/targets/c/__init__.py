"""The C target: a whole tiled convolution in one file, for GCC and Clang, from AVX-512 down to plain code.

In: a nested algorithm. Out: C11 text with the transforms printed from the programs, between parts that are the same for
every algorithm (the .c files of this folder, in which NAME_ stands for the chosen name). Refused: irrational matrices.
"""

from __future__ import annotations

from importlib import resources
from math import prod, sqrt
from typing import Final

from winograd.algebra.growth import kappa
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.nested import count_passes, lower_nested
from winograd.codegen.targets.c.transforms import print_transforms
from winograd.codegen.targets.contract import Request, Stage, Target

CHANNEL_BLOCK: Final = 64
"""Channels per partial sum of the product: the error of the sum grows with their number, not with all channels."""


def source(request: Request) -> str:
    """Return the C text of the convolution by an algorithm of one to three axes.

    Missing axes are leading axes of size 1. The functions exported are ``name_panel``, ``name_filter_floats``,
    ``name_filter``, ``name_workspace_floats`` and ``name_convolve``; each is described in the text.

    """
    whole = pad_axes(request.algorithm)
    programs = lower_nested(whole, request.lowering)
    comment = "\n".join(["/*", *(f" * {line}".rstrip() for line in request.header), " */", ""])
    body = "\n".join(
        [
            _part("vector.c"),
            _constants(whole),
            print_transforms(programs, whole.ranks),
            _part("product.c"),
            _part("convolve.c"),
            _part("selftest.c"),
        ]
    )
    return comment + body.replace("NAME_", f"{request.name}_")


def pad_axes(nested: NestedAlgorithm) -> NestedAlgorithm:
    """Return the algorithm with leading axes of size 1, F(1, 1), to make three."""
    return NestedAlgorithm((*(toom_cook(1, 1),) * (3 - nested.ndim), *nested.axes))


def _part(file: str) -> str:
    return (resources.files(__package__) / file).read_text(encoding="ascii")


def _constants(nested: NestedAlgorithm) -> str:
    values = {f"M{axis}": m for axis, m in enumerate(nested.m)}
    values |= {f"R{axis}": r for axis, r in enumerate(nested.r)}
    values |= {f"N{axis}": n for axis, n in enumerate(nested.tile)}
    values |= {
        "TAPS": prod(nested.r),
        "INPUTS": prod(nested.tile),
        "POSITIONS": nested.rank,
        "BUFFER": nested.rank,
        "FILTER_BUFFER": nested.rank,
        "STRIDE0": nested.ranks[1] * nested.ranks[2],
        "STRIDE1": nested.ranks[2],
        "CHANNEL_BLOCK": CHANNEL_BLOCK,
        "STEPS": _steps(nested),
    }
    listed = "\n".join(f"    NAME_{key} = {value}," for key, value in values.items())
    growth = prod(kappa(axis) for axis in nested.axes)
    return (
        "/* Outputs, taps and inputs of a tile per axis (depth, height, width), and what follows from them. */\n"
        f"enum {{\n{listed}\n}};\n\n"
        "/* Relative standard deviation that one rounding of every product causes in an output: 2^-24 sqrt(kappa).\n"
        "   The self-test multiplies its variance by the roundings on the way: channels, and NAME_STEPS others. */\n"
        f"#define NAME_DEVIATION {2.0**-24 * sqrt(growth)!r}\n"
    )


def _steps(nested: NestedAlgorithm) -> int:
    programs = lower_nested(nested)
    return sum(
        count_passes((step,)).instructions // step.runs
        for step in (*programs.data, *programs.filter, *programs.inverse)
    )


TARGET = Target(source=source, comment="//", dtypes=("float32",), range_dtype="float32", stages=(Stage.CONV,))
