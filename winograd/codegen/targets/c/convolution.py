"""The whole tiled convolution in C, from the transforms of a tile to the self-test.

In: a request for the stage conv. Out: the parts of the file.
"""

from __future__ import annotations

from math import prod, sqrt
from typing import Final

from winograd.algebra.growth import kappa
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.nested import NestedPrograms, count_passes
from winograd.codegen.targets.c.axis_passes import DOUBLES, VECTORS, Outside, print_transform
from winograd.codegen.targets.c.parts import DTYPES, Dtype, contraction_of, declarations, foundation, part
from winograd.codegen.targets.contract import Request

CHANNEL_BLOCK: Final = 64
"""Channels per partial sum of the product: the error of the sum grows with their number, not with all channels."""

_DATA: Final = Outside(
    read="NAME_read(source[{at}] + c, lanes)", write="NAME_store(v + ({at}) * v_stride, lanes, {value});"
)
_INVERSE: Final = Outside(read="NAME_load(m + ({at}) * m_stride, NAME_WIDTH)", write=None)
_FILTER: Final = Outside(
    read="lane < lanes ? (double)NAME_widen(w[lane * w_stride + {at}]) : 0.0",
    write="u[({at}) * u_stride + lane] = (NAME_real)({value});",
)

_USAGE: Final = """\
/* A whole convolution in C11 with the vector extensions of GCC and Clang; the width of the vectors and fused
   multiply-add follow from the compiler's target:
     cc -std=c11 -O3 -march=native -fopenmp -fPIC -shared FILE.c -o FILE.so -lm
   and to check the file:
     cc -std=c11 -O3 -march=native -fopenmp -DWINOGRAD_SELFTEST FILE.c -o selftest -lm && ./selftest */
"""


def convolution(request: Request) -> tuple[str, list[str]]:
    """Return how to use the file, and its parts, for an algorithm of three axes."""
    body = [
        declarations(request.dtype, part("declarations_convolve.c")),
        *foundation(request.dtype, contraction_of(request.lowering)),
        _constants(request.algorithm, request.programs, DTYPES[request.dtype]),
        _transforms(request.programs, request.algorithm.ranks),
        part("product.c"),
        part("plan.c"),
        part("filter.c"),
        part("stages.c"),
        part("transpose.c"),
        part("channels_first.c"),
        part("convolve.c"),
        "#ifdef WINOGRAD_SELFTEST\n" + part("random.c"),
        part("selftest_convolve.c") + "#endif\n",
    ]
    return _USAGE, body


def _constants(nested: NestedAlgorithm, programs: NestedPrograms, dtype: Dtype) -> str:
    values = {f"M{axis}": m for axis, m in enumerate(nested.m)}
    values |= {f"R{axis}": r for axis, r in enumerate(nested.r)}
    values |= {f"N{axis}": n for axis, n in enumerate(nested.tile)}
    values |= {
        "TAPS": prod(nested.r),
        "INPUTS": prod(nested.tile),
        "POSITIONS": nested.rank,
        "STRIDE0": nested.ranks[1] * nested.ranks[2],
        "STRIDE1": nested.ranks[2],
        "CHANNEL_BLOCK": CHANNEL_BLOCK,
        "STEPS": _steps(programs),
    }
    listed = "\n".join(f"    NAME_{key} = {value}," for key, value in values.items())
    growth = prod(kappa(axis) for axis in nested.axes)
    return (
        "/* Outputs, taps and inputs of a tile per axis (depth, height, width), and what follows from them. */\n"
        f"enum {{\n{listed}\n}};\n\n"
        "/* Relative standard deviation that one rounding of every product causes in an output: u sqrt(kappa), with\n"
        "   unit roundoff u. The self-test multiplies its variance by the roundings on the way: channels, and\n"
        "   NAME_STEPS others. Storing an output rounds it by at most NAME_STORED_UNIT of it. */\n"
        f"#define NAME_DEVIATION {float(dtype.unit) * sqrt(growth)!r}\n"
        f"#define NAME_STORED_UNIT {dtype.stored_unit!r}\n"
    )


def _steps(programs: NestedPrograms) -> int:
    return sum(
        count_passes((step,)).instructions // step.runs
        for step in (*programs.data, *programs.filter, *programs.inverse)
    )


def _transforms(programs: NestedPrograms, ranks: tuple[int, ...]) -> str:
    lines = [
        "/* Data transform of `lanes` channels from c on: reads by the tile's addresses, writes V by position. */",
        "NAME_INLINE void NAME_data_tile(const NAME_stored *const *source, int64_t c, int64_t lanes, NAME_real *v,",
        "                                int64_t v_stride, NAME_vector *buffer)",
        "{",
        *print_transform(programs.data, ranks, VECTORS, _DATA),
        "}\n",
        "/* Inverse transform of NAME_WIDTH outputs: reads M by position, leaves the tile's outputs in the buffer. */",
        "NAME_INLINE void NAME_inverse_tile(const NAME_real *m, int64_t m_stride, NAME_vector *buffer)",
        "{",
        *print_transform(programs.inverse, ranks, VECTORS, _INVERSE),
        "}\n",
        "/* Filter transform of one channel for the first `lanes` outputs of a panel, in double; the rest is zero. */",
        "static void NAME_filter_panel(const NAME_stored *w, int64_t w_stride, int64_t lanes, NAME_real *u,",
        "                              int64_t u_stride, double *buffer)",
        "{",
        *print_transform(programs.filter, ranks, DOUBLES, _FILTER),
        "}\n",
    ]
    return "\n".join(lines)
