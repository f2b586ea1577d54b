"""Layers whose products are taken on tensor cores, emulated: the error that the prediction is held against.

In: an algorithm, a precision of the products, channels, trials, a seed. Out: relative L2 error. Refused: what
`predict_product_error` refuses, and fewer than one trial.
"""

from __future__ import annotations

import math

import numpy as np

from winograd.accuracy.arguments import checked_integer
from winograd.accuracy.measuring.pipeline import transform
from winograd.accuracy.orders import Order, axis_programs
from winograd.accuracy.tensor_cores.products import Products, as_products
from winograd.accuracy.tensor_cores.sums import Wide, channel_sums
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.codegen.interpret import Contraction

_NUMBERS = 2**22
"""Numbers of V that are held at a time."""


def measure_product_error(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    products: str | Products = "tf32x3",
    *,
    channels: int = 1,
    channel_block: int | None = None,
    trials: int = 100,
    seed: int = 0,
) -> float:
    """Return the relative L2 error of emulated tiles with standard normal data and filters.

    Every trial is one tile of its own data and filters: transforms run in float32 as generated code runs them, filters
    in float64 and rounded once, and sums as `channel_sums` takes them.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
        Every axis is transformed.
    products : str or Products
    channels : int
    channel_block : int, optional
        Channels of one ``tl.dot``, as for `predict_product_error`; None is all of them.
    trials, seed : int

    Returns
    -------
    float
        inf where operands overflow, as those of float16 may.

    Raises
    ------
    TypeError, ValueError
        For something that is no algorithm, another precision, and channels, channel_block or trials that are no
        integers or below 1.

    Examples
    --------
    >>> from winograd import toom_cook
    >>> f"{measure_product_error(toom_cook(2, 3), 'float16', channels=16, trials=500):.1e}"
    '3.7e-04'
    """
    nested, chosen = as_nested(algorithm), as_products(products)
    terms, count = checked_integer("channels", channels, 1), checked_integer("trials", trials, 1)
    block = terms if channel_block is None else checked_integer("channel_block", channel_block, 1)
    rng, at_once = np.random.default_rng(seed), max(1, _NUMBERS // (terms * nested.rank))
    errors = sizes = 0.0
    for first in range(0, count, at_once):
        with np.errstate(over="ignore", invalid="ignore"):
            found, exact = _tiles(nested, chosen, (terms, min(at_once, count - first)), block, rng)
        if not np.isfinite(found).all():
            return math.inf
        errors += float(((found - exact) ** 2).sum())
        sizes += float((exact**2).sum())
    return math.sqrt(errors / sizes)


def _tiles(
    nested: NestedAlgorithm, products: Products, sizes: tuple[int, int], block: int, rng: np.random.Generator
) -> tuple[Wide, Wide]:
    """Return emulated outputs and those of float64, (*m, trials)."""
    data, filters = (rng.standard_normal((*tile, *sizes)).astype(np.float32) for tile in (nested.tile, nested.r))
    programs = [axis_programs(axis, Order.LOWERED) for axis in nested.axes]
    wide_u = transform([axis.filter for axis in programs], filters.astype(np.float64), Contraction.SEPARATE)
    wide_v = transform([axis.data for axis in programs], data.astype(np.float64), Contraction.SEPARATE)
    v = transform([axis.data for axis in programs], data, Contraction.FUSED)
    sums = channel_sums(wide_u.astype(np.float32), v, products, block)
    inverse = [axis.inverse for axis in programs]
    return transform(inverse, sums, Contraction.FUSED), transform(
        inverse, (wide_u * wide_v).sum(axis=-2), Contraction.SEPARATE
    )
