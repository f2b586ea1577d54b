"""What tensor cores make of an operand: float32 numbers rounded or cut off to tf32, whole or in two parts.

In: float32 arrays. Out: float32 arrays whose numbers have 11 digits. Infinities and NaN stay what they are.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.formats import float_format
from winograd.accuracy.tensor_cores.products import Products

FloatArray = NDArray[np.float32]

_KEPT: Final = np.uint32(0xFFFFE000)
"""The bits of a float32 number that tf32 has: sign, exponent, 10 of 23 digits behind the point."""

_HALF: Final = np.uint32(0x00001000)
"""Half a unit of the last of them."""


def cut_off(values: NDArray[Any]) -> FloatArray:
    """Return numbers cut off after 11 digits, towards zero, as a tensor core reads a float32 operand.

    Examples
    --------
    >>> cut_off(np.array([1 + 2.0**-10, 1 + 2.0**-11, -1 - 2.0**-10 - 2.0**-12], dtype=np.float32)).tolist()
    [1.0009765625, 1.0, -1.0009765625]
    """
    numbers = np.asarray(values, dtype=np.float32)
    cut = (numbers.view(np.uint32) & _KEPT).view(np.float32)
    return np.where(np.isnan(numbers), numbers, cut)


def rounded_away(values: NDArray[Any]) -> FloatArray:
    """Return numbers rounded to 11 digits, to nearest, half away from zero: ``cvt.rna.tf32.f32``.

    Examples
    --------
    >>> rounded_away(np.array([1 + 2.0**-11, -1 - 2.0**-11, 1 + 2.0**-12, np.inf], dtype=np.float32)).tolist()
    [1.0009765625, -1.0009765625, 1.0, inf]
    """
    numbers = np.asarray(values, dtype=np.float32)
    rounded = ((numbers.view(np.uint32) + _HALF) & _KEPT).view(np.float32)
    return np.where(np.isfinite(numbers), rounded, numbers)


def split(values: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Return the two parts that "tf32x3" makes of each number: the rounded one, and the rest, cut off.

    The rest has 12 digits at most, so of a number of 24 digits the last one is lost, half of the time.

    Examples
    --------
    >>> big, small = split(np.array([1 + 2.0**-11 - 2.0**-20], dtype=np.float32))
    >>> big.tolist(), small.tolist() == [2.0**-11 - 2.0**-20]
    ([1.0], True)
    """
    numbers = np.asarray(values, dtype=np.float32)
    big = rounded_away(numbers)
    with np.errstate(invalid="ignore"):
        return big, cut_off(numbers - big)


def factors(values: NDArray[Any], products: Products) -> FloatArray:
    """Return what one tensor core product takes of each number, held in float32; "tf32x3" takes two, see `split`.

    Examples
    --------
    >>> third = np.array([1 / 3], dtype=np.float32)
    >>> [factors(third, name).item() for name in (Products.IEEE, Products.TF32, Products.FLOAT16)]
    [0.3333333432674408, 0.333251953125, 0.333251953125]
    """
    numbers = np.asarray(values, dtype=np.float32)
    if products is Products.TF32:
        return rounded_away(numbers)
    if products in (Products.FLOAT16, Products.BFLOAT16):
        return np.asarray(float_format(products.value).round(numbers), dtype=np.float32)
    return numbers
