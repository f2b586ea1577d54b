"""Transposed convolutions of NumPy arrays: the taps in the order of phases, the dense convolution, outputs in place.

In: arrays of any dtype that `winograd.conv3d` takes. Out: the transposed convolution, exact where that is.
Refused, with ValueError or TypeError: arrays and arguments that do not fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from winograd.conv.arguments import Algorithm, ConvArguments
from winograd.conv.reference.arrays import check_arrays, convolve_arrays
from winograd.conv.transposed.arguments import TransposedArguments
from winograd.conv.transposed.shape import TransposedShape

Array = np.ndarray[Any, np.dtype[Any]]


def convolve_transposed_arrays(
    input: Array,
    weight: Array,
    bias: Array | None,
    arguments: TransposedArguments,
    *,
    ndim: int,
    tolerance: float | None,
    algorithm: Algorithm | None,
) -> Array:
    """Convolve arrays over ``ndim`` axes; see `winograd.conv.convolve_transposed.conv_transpose3d`."""
    check_arrays(input, weight, bias, ndim)
    shape = arguments.shape(input.shape, weight.shape, dtype=input.dtype.name)
    if bias is not None and bias.shape != (shape.outputs,):
        raise ValueError(f"bias has shape {bias.shape}, must be {(shape.outputs,)}")
    core = shape.core
    dense = convolve_arrays(
        _edged(input if input.ndim == ndim + 2 else input[np.newaxis], shape),
        core_taps(weight, shape),
        None if bias is None else np.tile(bias.reshape(shape.groups, -1), (1, shape.phases)).ravel(),
        ConvArguments(dilation=core.dilation, groups=core.groups),
        ndim=ndim,
        tolerance=tolerance,
        algorithm=algorithm,
    )
    output = _joined(dense, shape)
    return output if input.ndim == ndim + 2 else output[0]


def core_taps(weight: Array, shape: TransposedShape) -> Array:
    """Return the weight of the dense convolution: (phases K, C / groups, core taps...).

    Examples
    --------
    >>> shape = TransposedArguments(stride=2).shape((1, 1, 5), (1, 1, 3), dtype="int64")
    >>> core_taps(np.array([[[1, 2, 3]]]), shape).tolist()
    [[[3, 1]], [[0, 2]]]
    """
    axes, ndim = shape.axes, shape.ndim
    whole = np.zeros((*weight.shape[:2], *(axis.core_taps * axis.stride for axis in axes)), dtype=weight.dtype)
    whole[:, :, *(slice(0, axis.extent, axis.dilation) if axis.spreads else slice(axis.taps) for axis in axes)] = weight
    counts = [count for axis in axes for count in (axis.core_taps, axis.stride)]
    split = whole.reshape(shape.groups, -1, weight.shape[1], *counts)
    ordered = split.transpose(0, *range(4, 4 + 2 * ndim, 2), 2, 1, *range(3, 3 + 2 * ndim, 2))
    return np.flip(ordered, tuple(range(-ndim, 0))).reshape(shape.core.weight_sizes)


def _edged(input: Array, shape: TransposedShape) -> Array:
    """Return the input with all zeros around it, and without the samples that padding leaves out."""
    margins = shape.along("margins")
    zeros = [(max(low, 0), max(high, 0)) for low, high in margins]
    # Left to itself, np.pad puts int64 zeros among objects, which large integers then overflow.
    padded = np.pad(input, [(0, 0), (0, 0), *zeros], constant_values=np.zeros((), input.dtype))
    kept = [
        slice(max(-low, 0), size - max(-high, 0)) for size, (low, high) in zip(padded.shape[2:], margins, strict=True)
    ]
    return padded[:, :, *kept]


def _joined(dense: Array, shape: TransposedShape) -> Array:
    """Return the output (N, K, sizes...) from that of the dense convolution."""
    ndim, strides = shape.ndim, shape.along("stride")
    split = dense.reshape(len(dense), shape.groups, *strides, shape.outputs // shape.groups, *dense.shape[2:])
    places = [place for axis in range(ndim) for place in (3 + ndim + axis, 2 + axis)]
    sizes = [count * stride for count, stride in zip(dense.shape[2:], strides, strict=True)]
    whole = split.transpose(0, 1, 2 + ndim, *places).reshape(len(dense), shape.outputs, *sizes)
    return whole[:, :, *(slice(axis.skipped, axis.skipped + axis.output) for axis in shape.axes)]
