"""Floating-point formats: what of a dtype the error analysis uses.

In: the name of a dtype, or a dtype. Out: a `FloatFormat`. Refused: everything but float16, float32 and float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

ALLOWED: Final = ("float16", "float32", "float64")


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """An IEEE format with rounding to nearest, as `float_format` makes it.

    Parameters
    ----------
    name : str
        float16, float32 or float64.
    roundoff : float
        u, half the distance from 1 to the next number: |fl(x) - x| <= u |x| where nothing underflows.
    underflow : float
        Half the smallest subnormal: what underflow adds to the error of a product. Sums never underflow.
    largest : float
        The largest finite number.
    """

    name: str
    roundoff: float
    underflow: float
    largest: float

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype."""
        return np.dtype(self.name)

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
            raise ValueError(f"constant {constant} overflows {self.name}, whose largest number is {self.largest:g}")
        return Fraction(float(self.dtype.type(float(constant))))


def float_format(dtype: object) -> FloatFormat:
    """Return the format of a dtype.

    Raises
    ------
    ValueError
        If the dtype is none of float16, float32 and float64.

    Examples
    --------
    >>> float_format("float32").roundoff == 2.0**-24
    True
    """
    try:
        name = np.dtype(dtype).name  # type: ignore[call-overload]
    except TypeError:
        name = repr(dtype)
    if name not in ALLOWED:
        raise ValueError(f"dtype is {name}, must be one of {', '.join(ALLOWED)}")
    about = np.finfo(name)
    return FloatFormat(name, float(about.eps) / 2, float(about.smallest_subnormal) / 2, float(about.max))
