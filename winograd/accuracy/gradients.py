"""The error to expect of the gradient of a filter: the second-moment model on the transposed transforms.

In: an algorithm, a dtype, how many tiles are summed and in which parts. Out: a relative L2 error, for independent
zero-mean inputs and gradients. The gradient of an input is a convolution, whose error
`winograd.accuracy.model.predict_relative_l2` predicts.
"""

from __future__ import annotations

import math
from math import prod

from winograd.accuracy.arguments import checked_integer
from winograd.accuracy.formats import float_format
from winograd.accuracy.modelling.rounding import PHI
from winograd.accuracy.modelling.variance import variances
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import Experiment
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.forms import transposed_nest
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.codegen.interpret import Contraction


def predict_weight_gradient_relative_l2(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    *,
    dtype: object = "float32",
    tiles: int = 1,
    tile_block: int | None = None,
) -> float:
    """Return the relative L2 error to expect of the gradient of a filter that the generated code computes.

    Inputs and gradients of outputs are transformed by programs with fused multiply-add, and so is the sum of their
    products over the tiles, all in ``dtype``; the last transform is computed in float64 and rounded once. The roundings
    of the products weigh as much as in the convolution itself: `winograd.accuracy.model.kappa` is the same for both.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
        Of the convolution.
    dtype : dtype
        float16, bfloat16, float32 or float64.
    tiles : int
        Of all images together, at least 1.
    tile_block : int, optional
        Tiles of one partial sum; None is one running sum.

    Returns
    -------
    float
        sqrt(E |error|^2 / E |gradient|^2).

    Raises
    ------
    TypeError, ValueError
        For something that is no algorithm, another dtype, tiles or tile_block that are no integers or below 1.
    NotImplementedError
        If an entry of the matrices is not rational.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> axis = toom_cook(4, 3)
    >>> f"{predict_weight_gradient_relative_l2(nest(axis, axis, axis), tiles=784, tile_block=64):.1e}"
    '1.8e-06'
    """
    swapped, fmt = transposed_nest(as_nested(algorithm)), float_format(dtype)
    sums = Experiment("gradient of a filter", channels=tiles, channel_block=tile_block, contraction=Contraction.FUSED)
    parts = variances(swapped, fmt, sums, Order.LOWERED)
    in_dtype = float((parts.by_output - parts.after).mean()) / prod(swapped.r)
    return math.sqrt(in_dtype + PHI / 3 * fmt.roundoff**2)


def predict_direct_weight_gradient_relative_l2(dtype: object = "float32", *, products: int) -> float:
    """Return the relative L2 error to expect of the gradient of a filter by one running sum of fused multiply-adds.

    It is `winograd.accuracy.model.predict_direct_relative_l2` of as many products, in closed form: their numbers here
    are those of all outputs of a batch.

    Parameters
    ----------
    dtype : dtype
        float16, bfloat16, float32 or float64.
    products : int
        Of one running sum, at least 1.

    Returns
    -------
    float
        u sqrt(PHI / 3 (products + 1) / 2).

    Raises
    ------
    TypeError, ValueError
        For another dtype, and products that are no integer or below 1.

    Examples
    --------
    >>> f"{predict_direct_weight_gradient_relative_l2(products=100_000):.1e}"
    '5.7e-06'
    """
    steps = (checked_integer("products", products, 1) + 1) / 2
    return float_format(dtype).roundoff * math.sqrt(PHI / 3 * steps)
