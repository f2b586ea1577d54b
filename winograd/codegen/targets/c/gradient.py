"""The gradient of a filter in C, by the transposed transforms of a tile: dW = G^T (sum of (B^T X) (A dY)) per position.

In: an algorithm, float32 or float64. Out: a `Kernel` that exports ``name_workspace_floats`` and
``name_filter_gradient``, each described in the text. Refused: irrational matrices, constants out of range.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Final

from winograd import __version__
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.codegen.command import DEFAULT_NAME
from winograd.codegen.kernel import Kernel
from winograd.codegen.literals import check_range
from winograd.codegen.lower import DEFAULT_LOWERING
from winograd.codegen.names import checked_name
from winograd.codegen.nested import count_passes, lower_nested
from winograd.codegen.targets.axes import pad_axes
from winograd.codegen.targets.c.axis_passes import DOUBLES, VECTORS, Outside, print_transform
from winograd.codegen.targets.c.convolution import DATA, tile_constants
from winograd.codegen.targets.c.parts import assembled, contraction_of, declarations, foundation, part
from winograd.codegen.targets.c.windows import INPUTS, Window, windows
from winograd.codegen.targets.contract import Stage
from winograd.quoting import quote

GRADIENT_DTYPES: Final = ("float32", "float64")
"""What inputs and gradients may be; everything but the filter transform is computed in it."""

GRADIENTS: Final = Window("gradient", "dy", "M", "PANEL", "NAME_max(x->channels - c, 0)")
"""Tiles of the gradient of the output, without halo; columns fill whole panels."""

_GRADIENT: Final = replace(DATA, write="NAME_store(v + ({at}) * v_stride, NAME_WIDTH, {value});")
_FILTER: Final = Outside(
    read="(double)u[({at}) * u_stride + lane]",
    write="if (lane < lanes) w[lane * w_stride + {at}] = NAME_narrow((NAME_real)({value}));",
)

_USAGE: Final = """\
/* The gradient of a filter in C11 with the vector extensions of GCC and Clang; the width of the vectors and fused
   multiply-add follow from the compiler's target:
     cc -std=c11 -O3 -march=native -fopenmp -fPIC -shared FILE.c -o FILE.so -lm */
"""
_DATA_IS: Final = """\
/* Data transform of `lanes` channels from c on: reads by the tile's addresses, writes V by position. */
static void NAME_data_tile(const NAME_stored *const *source, int64_t c, int64_t lanes, NAME_real *v, int64_t v_stride,
                           NAME_vector *buffer)
{"""
_GRADIENT_IS: Final = """\
/* Inverse transform, transposed, of `lanes` outputs from c on: reads by the tile's addresses, writes M by position, and
   zeros for the outputs beyond them. */
static void NAME_gradient_tile(const NAME_stored *const *source, int64_t c, int64_t lanes, NAME_real *v,
                               int64_t v_stride, NAME_vector *buffer)
{"""
_FILTER_IS: Final = """\
/* Filter transform, transposed, of one channel for the first `lanes` outputs of a panel, in double, rounded once. */
static void NAME_filter_panel(const NAME_real *u, int64_t u_stride, int64_t lanes, NAME_stored *w, int64_t w_stride,
                              double *buffer)
{"""


def emit_gradient(
    algorithm: BilinearAlgorithm | NestedAlgorithm, dtype: str = "float32", name: str = DEFAULT_NAME
) -> Kernel:
    """Return the C code of the gradient of the filter of a convolution by an algorithm of one to three axes.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
        With rational matrices.
    dtype : str
        One of `GRADIENT_DTYPES`.
    name : str
        An identifier that names in the code are derived from.

    Raises
    ------
    ValueError
        For another dtype, a name that is no identifier, or a constant out of range.
    NotImplementedError
        If an entry of a matrix is not rational.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> print(*emit_gradient(toom_cook(4, 3, "0,1,-1,2,-2,inf")).source.splitlines()[1:4], sep=chr(10))
     * Gradient of the filter by F(4,3): 6 multiplications for 4 outputs.
     * Made by winograd 0.1.0.
     * Instructions per tile: data 12, inverse transposed 8, filter transposed 14
    """
    nested = as_nested(algorithm)
    if dtype not in GRADIENT_DTYPES:
        raise ValueError(f"dtype is {quote(dtype)}, must be one of {', '.join(GRADIENT_DTYPES)}")
    transposed = replace(DEFAULT_LOWERING, transposed=True)
    check_range(nested, dtype, Stage.DATA)
    check_range(nested, dtype, Stage.INVERSE, transposed)
    check_range(nested, dtype, Stage.FILTER, transposed)
    whole = pad_axes(nested)
    data = lower_nested(whole).data
    others = lower_nested(whole, transposed, (Stage.FILTER,))
    header = (
        f"Gradient of the filter by {nested.label}: {nested.rank} multiplications for {prod(nested.m)} outputs.",
        f"Made by winograd {__version__}.",
        f"Instructions per tile: data {count_passes(data).instructions}, "
        f"inverse transposed {count_passes(others.inverse).instructions}, "
        f"filter transposed {count_passes(others.filter).instructions}",
    )
    transforms = [
        *(_DATA_IS, *print_transform(data, whole.ranks, VECTORS, DATA), "}\n"),
        *(_GRADIENT_IS, *print_transform(others.inverse, whole.ranks, VECTORS, _GRADIENT), "}\n"),
        *(_FILTER_IS, *print_transform(others.filter, whole.ranks, DOUBLES, _FILTER), "}\n"),
    ]
    parts = [
        declarations(dtype, part("declarations_gradient.c")),
        *foundation(dtype, contraction_of(DEFAULT_LOWERING)),
        tile_constants(whole.m, whole.r, whole.tile, whole.rank, {}),
        "\n".join(transforms),
        part("sizes.c"),
        *windows(INPUTS, GRADIENTS),
        part("gradient_plan.c"),
        part("gradient_product.c"),
        part("gradient.c"),
    ]
    return Kernel("c", name, assembled(header, _USAGE, parts, checked_name(name)), nested)
