"""The reference backend: Winograd convolution in NumPy, in any dtype, and the slow direct one it is held against.

In: arrays of float, complex, integer or ``object`` dtype. Out: the convolution, exact for objects such as Fractions and
for integers, which then wrap around as they do in NumPy; else rounded in the dtype. float16 is computed in float32 and
rounded once. Refused: strides other than 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.algebra.tiling import Tiling, tile_axes
from winograd.codegen.interpret import interpret
from winograd.codegen.lower import lower_axis
from winograd.codegen.program import Program

Array = np.ndarray[Any, np.dtype[Any]]

_INTEGERS = np.typecodes["AllInteger"]
_WORKING = {"e": np.dtype(np.float32), **dict.fromkeys(_INTEGERS, np.dtype(object))}
"""What is computed in another dtype, by type code: float16 in float32, integers exactly."""


def convolve_reference(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    padding: Sequence[tuple[int, int]],
) -> Array:
    """Return the convolution of stride 1 that the algorithm computes tile by tile.

    Parameters
    ----------
    input : array of shape (N, C, sizes...)
    weight : array of shape (K, C, taps...)
        Of the same dtype.
    bias : array of shape (K,), optional
    algorithm : BilinearAlgorithm or NestedAlgorithm
        One axis for each of ``sizes``, with as many taps.
    padding : sequence of (low, high)
        Zeros before and after each axis.

    Returns
    -------
    array of shape (N, K, sizes...)
        Of the dtype of the input; exact for exact objects, and for integers modulo 2 to the number of their bits.

    Raises
    ------
    TypeError
        If the dtype is bool, which has no subtraction.
    ValueError
        If the numbers of axes differ, or the padded input is smaller than the kernel.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> line = np.array([[[Fraction(1, 3), Fraction(2), Fraction(0), Fraction(1)]]])
    >>> convolve_reference(line, np.array([[[1, 0, Fraction(-1, 2)]]]), algorithm=toom_cook(2, 3), padding=[(0, 0)])
    array([[[Fraction(1, 3), Fraction(3, 2)]]], dtype=object)
    """
    if input.dtype == np.bool_:
        raise TypeError("input has dtype bool, must be of numbers; leave algorithm out for direct convolution")
    nested = as_nested(algorithm)
    dtype = _WORKING.get(input.dtype.char, input.dtype)
    tiling = tile_axes(input.shape[2:], nested.m, nested.r, padding)
    programs = [lower_axis(axis) for axis in nested.axes]
    u = _transform([program.filter for program in programs], weight.astype(dtype))
    v = _transform([program.data for program in programs], _tiles(input.astype(dtype), tiling))
    products = _multiply(u, v, nested.ndim)
    output = _untiled(_transform([program.inverse for program in programs], products), tiling)
    if bias is not None:
        output = output + bias.astype(dtype).reshape(-1, *(1,) * nested.ndim)
    return _wrapped(output, input.dtype) if input.dtype.char in _INTEGERS else output.astype(input.dtype)


def _wrapped(values: Array, dtype: np.dtype[Any]) -> Array:
    """Return exact integers as an integer dtype holds them: modulo 2 to the number of its bits."""
    unsigned: Array = (values % 2 ** (8 * dtype.itemsize)).astype(f"u{dtype.itemsize}")
    return unsigned.astype(dtype)


def _transform(programs: Sequence[Program], values: Array) -> Array:
    """Apply one program to each of the last axes."""
    for axis, program in enumerate(programs, start=-len(programs)):
        values = np.stack(interpret(program, list(np.moveaxis(values, axis, 0))), axis=axis)
    return values


def _tiles(input: Array, tiling: Tiling) -> Array:
    """Return the whole tiles that the input is cut into: (N, C, tiles..., tile...)."""
    margins = [(0, 0), (0, 0), *((axis.low, axis.padded_high) for axis in tiling.axes)]
    # Left to itself, np.pad puts int64 zeros among objects, which large integers then overflow.
    padded = np.pad(input, margins, constant_values=np.zeros((), input.dtype))
    windows = sliding_window_view(padded, tuple(axis.tile for axis in tiling.axes), axis=tuple(range(2, input.ndim)))
    return windows[:, :, *(slice(None, None, axis.m) for axis in tiling.axes)]


def _multiply(u: Array, v: Array, ndim: int) -> Array:
    """Sum U (K, C, ranks...) times V (N, C, tiles..., ranks...) over channels: (N, K, tiles..., ranks...)."""
    batch, channels, *rest = v.shape
    tiles, ranks = rest[:ndim], rest[ndim:]
    rows = v.reshape(batch, channels, prod(tiles), prod(ranks)).transpose(3, 0, 2, 1)
    columns = u.reshape(len(u), channels, prod(ranks)).transpose(2, 1, 0)
    products = rows @ columns[:, np.newaxis]
    return products.transpose(1, 3, 2, 0).reshape(batch, len(u), *tiles, *ranks)


def _untiled(outputs: Array, tiling: Tiling) -> Array:
    """Put tiles of outputs, (N, K, tiles..., m...), side by side and crop them: (N, K, sizes...)."""
    ndim = len(tiling.axes)
    order = [axis for pair in zip(range(2, 2 + ndim), range(2 + ndim, 2 + 2 * ndim), strict=True) for axis in pair]
    whole = outputs.transpose(0, 1, *order).reshape(*outputs.shape[:2], *(axis.tiles * axis.m for axis in tiling.axes))
    return whole[:, :, *(slice(axis.output) for axis in tiling.axes)]


def direct_ref(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    padding: Sequence[tuple[int, int]],
    stride: Sequence[int] | None = None,
    dilation: Sequence[int] | None = None,
    groups: int = 1,
) -> Array:
    """Return direct convolution, one output at a time: slow, obviously right, and exact for exact objects.

    Parameters and result are those of `convolve_reference`, with stride and dilation per axis (1 for None).
    """
    ndim = input.ndim - 2
    steps, gaps = stride or (1,) * ndim, dilation or (1,) * ndim
    sizes = [
        (size + low + high - gap * (taps - 1) - 1) // step + 1
        for size, (low, high), taps, gap, step in zip(
            input.shape[2:], padding, weight.shape[2:], gaps, steps, strict=True
        )
    ]
    output = np.zeros((input.shape[0], weight.shape[0], *sizes), dtype=input.dtype)
    group_outputs, group_channels = weight.shape[0] // groups, weight.shape[1]
    for image, filter_, *place in product(*map(range, output.shape)):
        total = output.dtype.type(0) if output.dtype != object else 0
        for channel, *tap in product(*map(range, weight.shape[1:])):
            axes = zip(place, steps, tap, gaps, padding, strict=True)
            source = [index * step + number * gap - low for index, step, number, gap, (low, _) in axes]
            if all(0 <= index < size for index, size in zip(source, input.shape[2:], strict=True)):
                read = filter_ // group_outputs * group_channels + channel
                total = total + input[image, read, *source] * weight[filter_, channel, *tap]
        output[image, filter_, *place] = total if bias is None else total + bias[filter_]
    return output
