"""Floating-point formats: what of a dtype the error analysis uses, and how numbers are rounded to it.

In: the name of a dtype, or a dtype. Out: a `FloatFormat`. Refused: everything but the formats listed in `ALLOWED`.
tf32 is a format of operands only: no dtype holds it, its numbers live in float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from winograd.codegen.interpret import narrowed

ALLOWED: Final = ("float16", "bfloat16", "float32", "float64")
"""Formats that arithmetic is done in."""

STORED: Final = ("float16", "bfloat16", "tf32")
"""Narrower formats that the operands of the products may be rounded to."""


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """A binary format with rounding to nearest, ties to even, as `float_format` makes it.

    Parameters
    ----------
    name : str
        float16, bfloat16, tf32, float32 or float64.
    digits : int
        Binary digits of the significand, the hidden one included.
    least_exponent, largest_exponent : int
        Of normal numbers: 2^e <= |x| < 2^(e + 1).
    """

    name: str
    digits: int
    least_exponent: int
    largest_exponent: int

    @property
    def roundoff(self) -> float:
        """u, half the distance from 1 to the next number: |fl(x) - x| <= u |x| where nothing underflows."""
        return math.ldexp(1.0, -self.digits)

    @property
    def underflow(self) -> float:
        """Half the smallest subnormal: what underflow adds to the error of a product. Sums never underflow.

        In float64 that is no float64 number, and the smallest subnormal itself is returned.
        """
        return max(math.ldexp(1.0, self.least_exponent - self.digits), 5e-324)

    @property
    def least_normal(self) -> float:
        """The smallest positive normal number."""
        return math.ldexp(1.0, self.least_exponent)

    @property
    def largest(self) -> float:
        """The largest finite number."""
        return math.ldexp(2.0 - math.ldexp(1.0, 1 - self.digits), self.largest_exponent)

    def contains(self, other: FloatFormat) -> bool:
        """Whether all numbers of the other format are numbers of this one.

        Examples
        --------
        >>> float_format("float32").contains(tf32()), float_format("bfloat16").contains(float_format("float16"))
        (True, False)
        """
        return (
            self.digits >= other.digits
            and self.largest_exponent >= other.largest_exponent
            and self.least_exponent - self.digits <= other.least_exponent - other.digits
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype that holds its numbers: float32 for tf32.

        Raises
        ------
        ModuleNotFoundError
            For bfloat16 where ml_dtypes is not installed.
        """
        if self.name == "bfloat16":
            return _bfloat16()
        return np.dtype("float32" if self.name == "tf32" else self.name)

    def round(self, values: NDArray[Any]) -> NDArray[Any]:
        """Round numbers to the format, into an array of `dtype`; `narrowed` says how subnormal bfloat16 comes out.

        Examples
        --------
        >>> float(float_format("float16").round(np.array(1 / 3)))
        0.333251953125
        >>> float(tf32().round(np.array(1 + 2.0**-11 + 2.0**-20, dtype=np.float32)))
        1.0009765625
        """
        if self.name != "tf32":
            with np.errstate(over="ignore", under="ignore"):
                return np.asarray(narrowed(values.astype(np.float64), self.dtype))
        return _rounded_to_tf32(values)

    def rounded(self, constant: Fraction) -> Fraction:
        """Return the number of this format that stands for a constant in a program, exactly.

        Raises
        ------
        ValueError
            If the constant overflows.

        Examples
        --------
        >>> float_format("float16").rounded(Fraction(1, 3))
        Fraction(1365, 4096)
        """
        if abs(constant) > self.largest:
            raise ValueError(
                f"constant {constant} of a transform overflows {self.name}, whose largest number is {self.largest:g}; "
                "winograd.balanced scales the rows"
            )
        return Fraction(float(self.round(np.float64(float(constant)))))  # type: ignore[arg-type]


_FORMATS: Final = {
    listed.name: listed
    for listed in (
        FloatFormat("float16", 11, -14, 15),
        FloatFormat("bfloat16", 8, -126, 127),
        FloatFormat("tf32", 11, -126, 127),
        FloatFormat("float32", 24, -126, 127),
        FloatFormat("float64", 53, -1022, 1023),
    )
}


def float_format(dtype: object, name: str = "dtype") -> FloatFormat:
    """Return the format of a dtype.

    Parameters
    ----------
    dtype : dtype
        What NumPy takes for one, or "bfloat16".
    name : str
        Of the argument, for the error.

    Raises
    ------
    ValueError
        If the dtype is none of float16, bfloat16, float32 and float64.

    Examples
    --------
    >>> float_format("float32").roundoff == 2.0**-24
    True
    >>> float_format("bfloat16").largest
    3.3895313892515355e+38
    """
    found = _dtype_name(dtype)
    if found not in ALLOWED:
        raise ValueError(f"{name} is {found}, must be one of {', '.join(ALLOWED)}")
    return _FORMATS[found]


def _dtype_name(dtype: object) -> str:
    """Return NumPy's name of a dtype, or how something else is written; None is none, though NumPy takes it."""
    if dtype is None or (isinstance(dtype, str) and dtype == "bfloat16"):
        return str(dtype)
    try:
        return np.dtype(dtype).name  # type: ignore[call-overload,no-any-return]
    except (TypeError, ValueError, KeyError):
        return repr(dtype)


def stored_format(name: object) -> FloatFormat:
    """Return a format that the operands of the products may be rounded to.

    Raises
    ------
    ValueError
        If it is none of float16, bfloat16 and tf32.

    Examples
    --------
    >>> stored_format("tf32").digits
    11
    """
    if not isinstance(name, str) or name not in STORED:
        raise ValueError(f"storage is {name!r}, must be one of {', '.join(STORED)}, or None")
    return _FORMATS[name]


def tf32() -> FloatFormat:
    """Return the format of the operands of a tensor core's product of float32 numbers: 11 digits, float32's range."""
    return _FORMATS["tf32"]


def _bfloat16() -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ModuleNotFoundError:
        message = "bfloat16 needs ml_dtypes, which is not installed: pip install 'winograd[search]'"
        raise ModuleNotFoundError(message, name="ml_dtypes") from None
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found


def _rounded_to_tf32(values: NDArray[Any]) -> NDArray[np.float32]:
    """Keep 11 digits, half to even, subnormals too; float64 values are rounded once, as only 11 + 13 digits decide."""
    wide = np.asarray(values, dtype=np.float64)
    _, exponent = np.frexp(wide)
    least = _FORMATS["tf32"].least_exponent
    unit = np.ldexp(1.0, np.maximum(exponent - 1, least) - 10)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.where(np.isfinite(wide), np.round(wide / unit) * unit, wide), dtype=np.float32)
