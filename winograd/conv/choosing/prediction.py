"""The error that a plan predicts: relative L2, for independent zero-mean inputs, as the kernels round.

In: a dtype, channels, an algorithm. Out: a figure; 0 where arithmetic is exact, None where the model does not apply.
16-bit dtypes are computed in float32 and rounded once at the end, which the figure includes.
"""

from __future__ import annotations

import math
from functools import lru_cache
from numbers import Real
from typing import Final

from winograd.accuracy.model import PHI, predict_relative_l2
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.targets.c import CHANNEL_BLOCK
from winograd.conv.choosing.edges import edge_factor
from winograd.conv.geometry.shape import ConvShape
from winograd.quoting import quote

DEFAULT_TOLERANCE: Final = 1e-5
"""Allowed relative L2 error of one layer, as predicted for independent zero-mean inputs.

With 16-bit dtypes it is that of the float32 result, whose rounding to the output no algorithm avoids. With float64 it
is `FLOAT64_SHARE` of this: the same algorithms are tolerated."""

FLOAT64_SHARE: Final = 2.0**-29
"""The unit roundoff of float64 over that of float32."""

_MARGINS: Final = ((16, 1.2), (48, 1.1), (64, 1.055))
"""What measured errors may be above predicted ones, up to so many channels; `MODEL_MARGIN` with more.

Nests of unlike algorithms with few channels are off most: F(8x8) with 10 and 14 products by 19 % at 3 channels, 12 % at
16, 8 % at 32, 5.1 % at 64; printed by ``benchmarks/few_channels.py``.
"""

MODEL_MARGIN: Final = 1.05
"""The same with many channels: 4.6 % at most in ``benchmarks/model_study.py``."""

WORKING: Final = {"float16": "float32", "bfloat16": "float32", "float32": "float32", "float64": "float64"}
"""In which dtype a convolution of a dtype is computed."""

_EXACT = frozenset({"object", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})

# Rounding zero-mean values once to a unit roundoff u: relative L2 error u sqrt(PHI / 3).
_OUTPUT_ROUNDING = {"float16": 2**-11 * math.sqrt(PHI / 3), "bfloat16": 2**-8 * math.sqrt(PHI / 3)}


def predicted_error(shape: ConvShape, algorithm: NestedAlgorithm) -> float | None:
    """Return the predicted relative L2 error of a layer; 0 where exact, None where unknown."""
    if shape.dtype in _EXACT:
        return 0.0
    if shape.dtype not in WORKING:
        return None
    return rounded_to(shape.dtype, unrounded_error(shape, algorithm))


def unrounded_error(shape: ConvShape, algorithm: NestedAlgorithm) -> float:
    """Return the error that a tolerance is compared with: that of the output before its rounding to 16 bits."""
    return scaled_to(shape.dtype, float32_error(shape, algorithm))


def scaled_to(dtype: str, error: float) -> float:
    """Return a `float32_error` or `float32_tolerance` as the relative error that it stands for with a dtype.

    Examples
    --------
    >>> scaled_to("float16", 1e-5), scaled_to("float64", 2.0**-20) == 2.0**-49
    (1e-05, True)
    """
    return error * FLOAT64_SHARE if dtype == "float64" else error


def rounded_to(dtype: str, error: float) -> float:
    """Return the error of a float32 result of a given error after its rounding to a dtype.

    Examples
    --------
    >>> rounded_to("float32", 1e-5), round(rounded_to("float16", 1e-5), 5)
    (1e-05, 0.00021)
    """
    return math.hypot(error, _OUTPUT_ROUNDING.get(dtype, 0.0))


def float32_error(shape: ConvShape, algorithm: NestedAlgorithm) -> float:
    """Return the predicted error of the native backend before its output is rounded to another dtype.

    That of float64 is returned as a multiple of `FLOAT64_SHARE`, so that it compares with those of float32.
    """
    return _whole_tiles(algorithm, max(shape.channels, 1), WORKING[shape.dtype]) * edge_factor(shape, algorithm)


@lru_cache(maxsize=4096)
def _whole_tiles(algorithm: NestedAlgorithm, channels: int, working: str) -> float:
    error = predict_relative_l2(algorithm, dtype=working, channels=channels, channel_block=CHANNEL_BLOCK)
    return error / FLOAT64_SHARE if working == "float64" else error


def float32_tolerance(shape: ConvShape, tolerance: float) -> float:
    """Return how large `float32_error` may be: the tolerance, less what the model may be off by."""
    allowed = tolerance / FLOAT64_SHARE if shape.dtype == "float64" else tolerance
    return allowed / next((margin for most, margin in _MARGINS if shape.channels <= most), MODEL_MARGIN)


def default_tolerance(dtype: str) -> float:
    """Return the tolerance where none is given.

    Examples
    --------
    >>> default_tolerance("bfloat16"), f"{default_tolerance('float64'):.3g}"
    (1e-05, '1.86e-14')
    """
    return DEFAULT_TOLERANCE * (FLOAT64_SHARE if dtype == "float64" else 1)


def checked_tolerance(tolerance: float | None) -> float | None:
    """Return the tolerance as a float; None, which takes that of the dtype, stays None.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is not above 0.
    """
    if tolerance is None:
        return None
    if isinstance(tolerance, bool) or not isinstance(tolerance, Real):
        raise TypeError(f"tolerance is {quote(tolerance)}, must be a number above 0 or None")
    if not tolerance > 0:
        raise ValueError(f"tolerance is {tolerance}, must be above 0; None takes {DEFAULT_TOLERANCE}")
    try:
        return float(tolerance)
    except OverflowError:
        return math.inf


def tolerance_or_default(tolerance: float | None, dtype: str) -> float:
    """Return the tolerance, that of the dtype for None; raises as `checked_tolerance`.

    Examples
    --------
    >>> tolerance_or_default(None, "float32"), tolerance_or_default(1e-6, "float64")
    (1e-05, 1e-06)
    """
    checked = checked_tolerance(tolerance)
    return default_tolerance(dtype) if checked is None else checked
