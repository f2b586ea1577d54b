"""Products of a GPU: in which precision they may be taken for a dtype, and how wrong the convolution is then.

In: a `ConvShape`, an algorithm, a precision. Out: the predicted relative L2 error, and whether a tolerance allows it.
Refused: nothing; precisions that a dtype of tensors does not have are not offered.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from winograd.accuracy.tensor_cores import predict_product_error
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.targets.triton.fused_space import space_of
from winograd.conv.choosing.edges import edge_factor
from winograd.conv.choosing.prediction import float32_tolerance
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.form import Form
from winograd.conv.gpu.schedule import STAGED, Config, Products

OFFERED: Final[Mapping[str, tuple[Products, ...]]] = MappingProxyType(
    {
        "float32": ("ieee", "tf32x3", "tf32"),
        "float16": ("tf32x3", "tf32"),
        "bfloat16": ("tf32x3", "tf32", "bfloat16"),
    }
)
"""Products that a plan may take, by the dtype of the tensors. Like all else, TF32 has to be within the tolerance.

Not float16: its numbers end at 65504, and transformed data are larger than data, so that they would overflow where
direct convolution does not. TF32 and bfloat16 have the range of float32.
"""

CHANNEL_BLOCK: Final = 32
"""Channels of one product of blocks in staged kernels that are not set otherwise; half of it moves the error by 8 %."""

MARGIN: Final = 1.09
"""What emulated errors may be above predicted ones: 8 % in ``tests/accuracy/tensor_cores``."""


def product_error(
    shape: ConvShape, algorithm: NestedAlgorithm, products: Products, block: int = CHANNEL_BLOCK
) -> float:
    """Return the predicted error of the output, before its rounding to 16 bits: what a tolerance is compared with.

    Parameters
    ----------
    shape : ConvShape
    algorithm : NestedAlgorithm
    products : str
    block : int
        Channels of one product of blocks, whose sum "tf32x3" adds to the others in float32.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((1, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32")
    >>> errors = [product_error(shape, nest(*[toom_cook(4, 3)] * 3), products) for products in OFFERED["float32"]]
    >>> errors[1] < errors[0] < 3e-6 < 3e-4 < errors[2]
    True
    """
    return _whole_tiles(algorithm, products, max(shape.channels, 1), block) * edge_factor(shape, algorithm)


def form_error(shape: ConvShape, algorithm: NestedAlgorithm, form: Form, config: Config = ()) -> float:
    """Return `product_error` for the blocks of a form's kernels, as they are set.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((1, 64, 56, 56), (128, 64, 3, 3), dtype="float32")
    >>> f22 = nest(toom_cook(2, 3), toom_cook(2, 3))
    >>> staged, fused = (form_error(shape, f22, Form.of(f22, "tf32x3", kind)) for kind in ("staged", "fused"))
    >>> staged != fused == form_error(shape, f22, Form.of(f22, "tf32x3"), (("block_c", 16),))
    True
    """
    default = CHANNEL_BLOCK if form.kind == STAGED else space_of(form.positions).block_c[0]
    return product_error(shape, algorithm, form.products, dict(config).get("block_c", default))


@lru_cache(maxsize=4096)
def _whole_tiles(algorithm: NestedAlgorithm, products: Products, channels: int, block: int) -> float:
    parts = block if products == "tf32x3" else None
    return predict_product_error(algorithm, products, channels=channels, channel_block=parts)


def product_tolerance(shape: ConvShape, tolerance: float) -> float:
    """Return how large `product_error` may be: the tolerance, less what the model may be off by."""
    return min(float32_tolerance(shape, tolerance), tolerance / MARGIN)
