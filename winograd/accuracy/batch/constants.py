"""Constants of many candidates rounded to a format.

In: float64 constants within a few units in the last place of exact rationals. Out: what rounding adds to them.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.linear import Matrix

_DIGITS: Final = 46
"""Binary digits that are kept before rounding, so that an exact tie of a short rational is one here, too."""


def rounding_change(constants: Matrix, fmt: FloatFormat) -> Matrix:
    """Return the rounded constants less the constants, not finite where they overflow.

    Examples
    --------
    >>> from winograd.accuracy.formats import float_format
    >>> rounding_change(np.array([1.0, 1 + 2.0**-11 - 2.0**-52]), float_format("float16")).tolist()
    [0.0, -0.00048828124999977796]
    """
    fraction, exponent = np.frexp(constants)
    short = np.ldexp(np.round(np.ldexp(fraction, _DIGITS)), exponent - _DIGITS)
    return np.asarray(fmt.round(short).astype(np.float64) - constants)
