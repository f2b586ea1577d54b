"""Sums of products as tensor cores take them: emulated in NumPy, step by step.

In: U and V of shape (..., channels, trials), float32. Out: sums over the channels (..., trials), float32, as a kernel
has them with one of the `Products`. Numbers must not overflow; emulation is exact for the rest, subnormals aside.

A step adds 8 or 16 exact products to a sum: all of them are aligned to the largest, cut off `GUARD` digits below the
last one of float32, added, and the result is cut off to float32, towards zero (Fasi et al., 10.7717/peerj-cs.330, found
so in earlier tensor cores; models of later ones are in arXiv 2512.07004).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.tensor_cores.operands import FloatArray, factors, split
from winograd.accuracy.tensor_cores.products import Products
from winograd.codegen.interpret import multiply_add

GUARD: Final = 2
"""Digits below the last one of float32 that an addend keeps. GPUs differ in it; beyond 0 errors differ by a tenth."""

_DIGITS: Final = 24

Wide = NDArray[np.float64]


def channel_sums(u: FloatArray, v: FloatArray, products: Products, block: int) -> FloatArray:
    """Return the sum over axis -2 of u * v.

    Parameters
    ----------
    u, v : ndarray of shape (..., channels, trials)
        Of float32.
    products : Products
    block : int
        Channels of one ``tl.dot``. With "tf32x3" their sum is a partial sum; the others go on from the sum so far.

    Returns
    -------
    ndarray of shape (..., trials)
        Of float32.

    Examples
    --------
    >>> third = np.full((40, 1), 1 / 3, dtype=np.float32)
    >>> [f"{channel_sums(third, third, name, 32).item() * 9 / 40 - 1:.1e}" for name in Products]
    ['3.7e-07', '-1.7e-07', '-4.9e-04', '-4.9e-04', '3.9e-03']
    """
    total = np.zeros((*u.shape[:-2], u.shape[-1]), dtype=np.float32)
    for first in range(0, u.shape[-2], block):
        part = (..., slice(first, first + block), slice(None))
        total = _DOTS[products](u[part], v[part], total, products)
    return total


def matrix_products(u: FloatArray, v: FloatArray, products: Products, block: int) -> FloatArray:
    """Return the matrix products u @ v of (..., K, channels) and (..., channels, T): the reference of ``tl.dot``.

    Examples
    --------
    >>> identity = np.eye(2, dtype=np.float32)
    >>> matrix_products(identity, identity + np.float32(2.0**-20), Products.TF32X3, 16).tolist() == (
    ...     (identity + 2.0**-20).tolist()
    ... )
    True
    """
    columns = v.shape[-1]
    rows = [np.repeat(u[..., row, :, np.newaxis], columns, axis=-1) for row in range(u.shape[-2])]
    return np.stack([channel_sums(row, v, products, block) for row in rows], axis=-2)


def _fused(u: FloatArray, v: FloatArray, total: FloatArray, _: Products) -> FloatArray:
    for channel in range(u.shape[-2]):
        total = multiply_add(u[..., channel, :], v[..., channel, :], total)
    return total


def _once(u: FloatArray, v: FloatArray, total: FloatArray, products: Products) -> FloatArray:
    return _on_tensor_cores(factors(u, products), factors(v, products), total, products.step)


def _thrice(u: FloatArray, v: FloatArray, total: FloatArray, products: Products) -> FloatArray:
    (u_big, u_small), (v_big, v_small) = split(u), split(v)
    found = np.zeros_like(total)
    for first, second in ((u_small, v_big), (u_big, v_small), (u_big, v_big)):
        found = _on_tensor_cores(first, second, found, products.step)
    return found + total


_DOTS: Final = {
    Products.IEEE: _fused,
    Products.TF32X3: _thrice,
    Products.TF32: _once,
    Products.FLOAT16: _once,
    Products.BFLOAT16: _once,
}


def _on_tensor_cores(u: FloatArray, v: FloatArray, total: FloatArray, step: int) -> FloatArray:
    """Add products to a sum, so many at a time; factors of 11 digits have exact products in float64."""
    for first in range(0, u.shape[-2], step):
        part = (..., slice(first, first + step), slice(None))
        addends = u[part].astype(np.float64) * v[part].astype(np.float64)
        total = _one_step(np.concatenate([total.astype(np.float64)[..., np.newaxis, :], addends], axis=-2))
    return total


def _one_step(addends: Wide) -> FloatArray:
    """Return the sum over axis -2, addends cut off in line with the largest one, and the sum cut off to float32."""
    unit = _unit(np.abs(addends).max(axis=-2)) * 2.0**-GUARD
    total = (np.trunc(addends / unit[..., np.newaxis, :]) * unit[..., np.newaxis, :]).sum(axis=-2)
    last = _unit(np.abs(total))
    return np.asarray(np.trunc(total / last) * last, dtype=np.float32)


def _unit(sizes: Wide) -> Wide:
    """Return the last of 24 digits of numbers; that of 1 for 0."""
    _, exponent = np.frexp(np.where(sizes > 0, sizes, 1.0))
    return np.asarray(np.ldexp(1.0, exponent - _DIGITS), dtype=np.float64)
