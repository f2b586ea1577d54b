"""Direct convolution in NumPy, one tap at a time: what NumPy arrays get where Winograd does not cover them.

In: arrays of any dtype and a `ConvShape` with any stride, dilation and groups. Out: the convolution in that dtype;
float16 is summed in float32 and rounded once.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from winograd.conv.geometry.shape import ConvShape

Array = np.ndarray[Any, np.dtype[Any]]


def convolve_taps(input: Array, weight: Array, bias: Array | None, shape: ConvShape) -> Array:
    """Return direct convolution as a sum of shifted inputs, each multiplied by the weights of one tap.

    Parameters
    ----------
    input : array of shape (N, C, sizes...)
    weight : array of shape (K, C / groups, taps...)
    bias : array of shape (K,), optional
    shape : ConvShape
        Of these arrays.

    Returns
    -------
    array of shape (N, K, sizes...)

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> line, weight = np.arange(6).reshape(1, 1, 6), np.array([[[1, 10]]])
    >>> shape = ConvArguments(stride=2).shape(line.shape, weight.shape, dtype="int64")
    >>> convolve_taps(line, weight, None, shape)
    array([[[10, 32, 54]]])
    """
    dtype = np.dtype(np.float32) if input.dtype == np.float16 else input.dtype
    # Left to itself, np.pad puts int64 zeros among objects, which large integers then overflow.
    padded = np.pad(input.astype(dtype), [(0, 0), (0, 0), *shape.padding], constant_values=np.zeros((), dtype))
    grouped = weight.astype(dtype).reshape(shape.groups, shape.outputs // shape.groups, *shape.weight_sizes[1:])
    output = np.zeros((shape.batch, shape.outputs, *shape.output), dtype=dtype)
    for tap in np.ndindex(*shape.taps):
        window = padded[:, :, *_window(tap, shape)]
        rows = window.reshape(shape.batch, shape.groups, shape.channels // shape.groups, prod(shape.output))
        output += (grouped[:, :, :, *tap] @ rows).reshape(output.shape)
    if bias is not None:
        output += bias.astype(dtype).reshape(-1, *(1,) * shape.ndim)
    return output.astype(input.dtype)


def _window(tap: tuple[int, ...], shape: ConvShape) -> tuple[slice, ...]:
    starts = [index * gap for index, gap in zip(tap, shape.dilation, strict=True)]
    return tuple(
        slice(start, start + (count - 1) * step + 1, step)
        for start, count, step in zip(starts, shape.output, shape.stride, strict=True)
    )
