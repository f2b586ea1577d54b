"""The error to expect of a layer whose products are taken on tensor cores: the second-moment model, and what they add.

In: an algorithm, a precision of the products, channels. Out: relative L2 error for independent zero-mean inputs.
Tensor cores cut sums off, which makes all of them smaller by a share that they have in common: that part of the error
scales the output and is not amplified; what is left of it is independent, and is. Overflow of float16 operands is not
covered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Final

import numpy as np

from winograd.accuracy.arguments import checked_integer
from winograd.accuracy.formats import float_format
from winograd.accuracy.modelling.accumulation import running_sum
from winograd.accuracy.modelling.rounding import PHI
from winograd.accuracy.modelling.variance import Variances, outer, variances
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import Experiment, FilterRounding
from winograd.accuracy.tensor_cores.products import Products, as_products
from winograd.accuracy.tensor_cores.sums import GUARD
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.interpret import Contraction

PHI_ONE: Final = 1 / (2 * math.log(2))
"""E[2^floor(log2 |v|) |v|] / E[v^2], averaged over the scale of v: cutting v off at 2 u makes it u PHI_ONE smaller."""

_TF32: Final = 2.0**-11
_FLOAT32: Final = 2.0**-24


@dataclass(frozen=True, slots=True)
class SumError:
    """What sums on tensor cores add to the error, relative to the sum.

    Parameters
    ----------
    variance : float
        Of the independent part.
    share : float
        By which all sums are too small.
    """

    variance: float
    share: float


def predict_product_error(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    products: str | Products = "tf32x3",
    *,
    channels: int = 1,
    channel_block: int | None = None,
) -> float:
    """Return the relative L2 error to expect of one layer in float32 whose products have this precision.

    Filters are transformed in float64 and rounded once, data and outputs by the programs of `lower_axis` in float32.
    Taps of an axis with m = 1 are summed with the channels, as kernels do that leave an axis alone.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
    products : str or Products
        "ieee", "tf32x3", "tf32", "float16" or "bfloat16".
    channels : int
        At least 1.
    channel_block : int, optional
        Channels of one ``tl.dot``. With "tf32x3" its sum is added to the others in float32; the other products are one
        running sum over all channels, whatever it is. None is one running sum.

    Returns
    -------
    float
        sqrt(E |error|^2 / E |output|^2): of emulated layers 8 % below to 25 % above, for partial sums of more than 32
        channels up to a third above.

    Raises
    ------
    TypeError, ValueError
        For something that is no algorithm, another precision, channels or channel_block that are no integers or below
        1.
    NotImplementedError
        If an entry of the matrices is not rational.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> f444 = nest(*[toom_cook(4, 3)] * 3)
    >>> for products in Products:
    ...     error = predict_product_error(f444, products, channels=256, channel_block=32)
    ...     print(f"{products.value}: {error:.1e}")
    ieee: 3.1e-06
    tf32x3: 1.4e-06
    tf32: 3.1e-03
    float16: 3.1e-03
    bfloat16: 2.5e-02
    """
    nested, chosen = as_nested(algorithm), as_products(products)
    terms = checked_integer("channels", channels, 1)
    block = None if channel_block is None else checked_integer("channel_block", channel_block, 1)
    block = block if chosen.is_blocked else None
    transformed = [axis for axis in nested.axes if axis.m > 1]
    taps = prod(axis.r for axis in nested.axes if axis.m == 1)
    return _predicted(nest(*transformed) if transformed else nest(toom_cook(1, 1)), chosen, terms * taps, block)


@lru_cache(maxsize=4096)
def _predicted(nested: NestedAlgorithm, products: Products, terms: int, block: int | None) -> float:
    storage = products.value if products in (Products.FLOAT16, Products.BFLOAT16) else None
    experiment = Experiment(
        products.value,
        channels=terms,
        channel_block=block,
        contraction=Contraction.FUSED,
        filter_rounding=FilterRounding.ONCE,
        storage=storage,
    )
    usual = variances(nested, float_format("float32"), experiment, Order.LOWERED)
    if products is Products.IEEE:
        return _relative(usual, nested, 0.0)
    sums = _sums(terms, block, products)
    added = _OPERANDS.get(products, 0.0)
    filters, data = (outer([getattr(axis, name) for axis in usual.axes]) for name in ("filter_squares", "data_squares"))
    changed = replace(
        usual,
        filter_storage=usual.filter_storage + added * filters,
        data_storage=usual.data_storage + added * data,
        accumulation=sums.variance + (_LEFT_OUT if products is Products.TF32X3 else 0.0),
    )
    return _relative(changed, nested, sums.share)


_OPERANDS: Final = {Products.TF32: PHI / 3 * _TF32**2, Products.TF32X3: PHI * _FLOAT32**2}
"""Variance that an operand gets. The small part of "tf32x3" has 12 digits half of the time, and loses one of them half
of the time: a quarter of (2 u)^2."""

_LEFT_OUT: Final = (PHI / 3 * _TF32**2) ** 2
"""Variance of the product of the small parts, which "tf32x3" leaves out."""


def _relative(found: Variances, nested: NestedAlgorithm, share: float) -> float:
    independent = float(np.mean(found.by_output)) / prod(nested.r)
    return math.sqrt(independent + share**2)


def _sums(terms: int, block: int | None, products: Products) -> SumError:
    """Return the error of the sums, blocks of which are added in float32."""
    size = min(block or terms, terms)
    within = _running(math.ceil(size / products.step), products.step)
    blocks = math.ceil(terms / size)
    between = running_sum(blocks) / blocks
    return SumError(within.variance + PHI / 3 * _FLOAT32**2 * between, within.share)


def _running(steps: int, step: int) -> SumError:
    """Return the error of one running sum of so many steps, each of them cut off.

    With S_j the sum after step j, the error is -c sum_j S_j and independent parts. c sum_j S_j has the part
    c (n + 1) / 2 in common with S_n, and E (sum_j S_j)^2 = n (n + 1) (2 n + 1) / 6. Addends are cut off where they are
    aligned, in either direction, and leave a sum `GUARD` digits to cut off, which is a little less than cutting off
    any number.
    """
    places = 2.0**-GUARD
    share = PHI_ONE * (1 - places) * _FLOAT32
    common = (steps + 1) / 2
    rest = share**2 * ((steps + 1) * (2 * steps + 1) / 6 - common**2)
    cut = 4 * PHI / 3 * (1 - places) * (1 - places / 2) * _FLOAT32**2 - share**2
    aligned = step * 4 * PHI / 3 * places**2 * _FLOAT32**2
    return SumError(rest + common * (cut + aligned), share * common)
