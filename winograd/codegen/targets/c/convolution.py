"""The whole tiled convolution in C, from the transforms of a tile to the self-test.

In: a request for the stage conv. Out: the parts of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod, sqrt
from typing import Final

from winograd.algebra.growth import kappa
from winograd.codegen.interpret import Contraction
from winograd.codegen.nested import NestedPrograms, count_passes
from winograd.codegen.targets.c.axis_passes import DOUBLES, VECTORS, Outside, print_transform
from winograd.codegen.targets.c.parts import DTYPES, Dtype, contraction_of, declarations, foundation, part
from winograd.codegen.targets.c.windows import INPUTS, windows
from winograd.codegen.targets.contract import Request

CHANNEL_BLOCK: Final = 64
"""Channels per partial sum of the product: the error of the sum grows with their number, not with all channels."""

DATA: Final = Outside(
    read="NAME_read(source[{at}] + c, lanes)", write="NAME_store(v + ({at}) * v_stride, lanes, {value});"
)
INVERSE: Final = Outside(read="NAME_load(m + ({at}) * m_stride, NAME_WIDTH)", write=None)
FILTER: Final = Outside(
    read="lane < lanes ? (double)NAME_widen(w[lane * w_stride + {at}]) : 0.0",
    write="u[({at}) * u_stride + lane] = (NAME_real)({value});",
)

USAGE: Final = """\
/* A whole convolution in C11 with the vector extensions of GCC and Clang; the width of the vectors and fused
   multiply-add follow from the compiler's target:
     cc -std=c11 -O3 -march=native -fopenmp -fPIC -shared FILE.c -o FILE.so -lm
   and to check the file:
     cc -std=c11 -O3 -march=native -fopenmp -DWINOGRAD_SELFTEST FILE.c -o selftest -lm && ./selftest */
"""


_SIZES_ARE: Final = """\
/* Outputs, taps and inputs of a tile per axis (depth, height, width), and what follows from them. */
"""
_DEVIATION_IS: Final = """\
/* Relative standard deviation that one rounding of every product causes in an output: u sqrt(kappa), with
   unit roundoff u. The self-test multiplies its variance by the roundings on the way: channels, and
   NAME_STEPS others. Storing an output rounds it by at most NAME_STORED_UNIT of it. */
"""
_DATA_IS: Final = """\
/* Data transform of `lanes` channels from c on: reads by the tile's addresses, writes V by position. */
NAME_INLINE void NAME_data_tile(const NAME_stored *const *source, int64_t c, int64_t lanes, NAME_real *v,
                                int64_t v_stride, NAME_vector *buffer)
{"""
_INVERSE_IS: Final = """\
/* Inverse transform of NAME_WIDTH outputs: reads M by position, leaves the tile's outputs in the buffer. */
NAME_INLINE void NAME_inverse_tile(const NAME_real *m, int64_t m_stride, NAME_vector *buffer)
{"""
_FILTER_IS: Final = """\
/* Filter transform of one channel for the first `lanes` outputs of a panel, in double; the rest is zero. */
static void NAME_filter_panel(const NAME_stored *w, int64_t w_stride, int64_t lanes, NAME_real *u,
                              int64_t u_stride, double *buffer)
{"""


def convolution(request: Request) -> tuple[str, list[str]]:
    """Return how to use the file, and its parts, for an algorithm of three axes."""
    nested, programs, dtype = request.algorithm, request.programs, DTYPES[request.dtype]
    sizes = Sizes(
        m=nested.m,
        r=nested.r,
        tile=nested.tile,
        positions=nested.rank,
        strides=(nested.ranks[1] * nested.ranks[2], nested.ranks[2]),
        steps=_steps(programs),
        growth=float(prod(kappa(axis) for axis in nested.axes)),
    )
    transforms = Transforms(
        data=print_transform(programs.data, nested.ranks, VECTORS, DATA),
        inverse=print_transform(programs.inverse, nested.ranks, VECTORS, INVERSE),
        filter=print_transform(programs.filter, nested.ranks, DOUBLES, FILTER),
    )
    contraction = contraction_of(request.lowering)
    return USAGE, kernel_parts(request.dtype, contraction, sizes.written(dtype), transforms.written())


def kernel_parts(dtype: str, contraction: Contraction, constants: str, transforms: str) -> list[str]:
    """Return the parts of a file: those that are the same for every tile around its constants and its transforms."""
    return [
        declarations(dtype, part("declarations_convolve.c")),
        *foundation(dtype, contraction),
        constants,
        transforms,
        part("product.c"),
        part("sizes.c"),
        *windows(INPUTS),
        part("plan.c"),
        part("filter.c"),
        part("stages.c"),
        part("channels_first.c"),
        part("convolve.c"),
        "#ifdef WINOGRAD_SELFTEST\n" + part("random.c"),
        part("selftest_convolve.c") + "#endif\n",
    ]


def tile_constants(
    m: Sequence[int], r: Sequence[int], tile: Sequence[int], positions: int, more: Mapping[str, int]
) -> str:
    """Return the constants of a tile in C: outputs, taps and inputs per axis, three of each, and what follows."""
    values = {f"M{axis}": size for axis, size in enumerate(m)}
    values |= {f"R{axis}": size for axis, size in enumerate(r)}
    values |= {f"N{axis}": size for axis, size in enumerate(tile)}
    values |= {"TAPS": prod(r), "INPUTS": prod(tile), "POSITIONS": positions, "CHANNEL_BLOCK": CHANNEL_BLOCK, **more}
    listed = "\n".join(f"    NAME_{key} = {value}," for key, value in values.items())
    return f"{_SIZES_ARE}enum {{\n{listed}\n}};\n"


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the parts need to know of a tile.

    Parameters
    ----------
    m, r, tile : tuple of int
        Outputs, taps and inputs per axis, three of each.
    positions : int
        Numbers of a transformed tile.
    strides : tuple of int
        How far neighbours along the first two axes are where the inverse transform leaves outputs.
    steps : int
        Roundings on the way from an input to an output, those of the sums over channels left out.
    growth : float
        By how much independent relative errors of the products are amplified; see `winograd.algebra.growth.kappa`.
    """

    m: Sequence[int]
    r: Sequence[int]
    tile: Sequence[int]
    positions: int
    strides: tuple[int, int]
    steps: int
    growth: float

    def written(self, dtype: Dtype) -> str:
        """Return the constants in C."""
        more = {"STRIDE0": self.strides[0], "STRIDE1": self.strides[1], "STEPS": self.steps}
        constants = tile_constants(self.m, self.r, self.tile, self.positions, more)
        deviation = float(dtype.unit) * sqrt(self.growth)
        return (
            f"{constants}\n{_DEVIATION_IS}#define NAME_DEVIATION {deviation!r}\n"
            f"#define NAME_STORED_UNIT {dtype.stored_unit!r}\n"
        )


@dataclass(frozen=True, slots=True)
class Transforms:
    """Lines of the bodies of the three transforms of a tile."""

    data: Iterable[str]
    inverse: Iterable[str]
    filter: Iterable[str]

    def written(self) -> str:
        """Return the functions in C."""
        lines = [_DATA_IS, *self.data, "}\n", _INVERSE_IS, *self.inverse, "}\n", _FILTER_IS, *self.filter, "}\n"]
        return "\n".join(lines)


def _steps(programs: NestedPrograms) -> int:
    return sum(
        count_passes((step,)).instructions // step.runs
        for step in (*programs.data, *programs.filter, *programs.inverse)
    )
