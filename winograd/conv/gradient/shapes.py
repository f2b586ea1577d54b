"""Shapes of gradients: which convolution the gradient of the input is. Integers only; the weight is turned elsewhere.

In: the `ConvShape` of a convolution, with any padding, dilation and groups. Out: with stride 1 that of the convolution
of the gradient of its output with the flipped filters, and what of that gradient is cropped first; with another one
that of a transposed convolution. Refused: other strides where 1 is asked for.
"""

from __future__ import annotations

from dataclasses import replace

from winograd.conv.geometry.shape import ConvShape
from winograd.conv.transposed.shape import TransposedAxis, TransposedShape

Margins = tuple[tuple[int, int], ...]


def input_gradient_shape(shape: ConvShape) -> ConvShape:
    """Return the shape of the convolution that computes the gradient of the input of another one.

    dx[i] = sum_k w[k] dy[i + p - d k]: padding p before becomes d (r - 1) - p, and where that is below 0, so many
    gradients of outputs, which met zeros only, are cropped.

    Raises
    ------
    ValueError
        If the stride is not 1, or there is no channel.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=(2, 0)).shape((1, 64, 8, 9), (32, 64, 3, 2), dtype="float32")
    >>> found = input_gradient_shape(shape)
    >>> found.channels, found.outputs, found.sizes, found.padding, found.output
    (32, 64, (10, 8), ((0, 0), (1, 1)), (8, 9))
    """
    if set(shape.stride) != {1}:
        raise ValueError(f"stride is {shape.stride}, must be 1: the gradient of the input is no convolution")
    crops = input_gradient_crops(shape)
    return replace(
        shape,
        channels=shape.outputs,
        outputs=shape.channels,
        sizes=tuple(size - sum(crop) for size, crop in zip(shape.output, crops, strict=True)),
        padding=tuple((max(low, 0), max(high, 0)) for low, high in _margins(shape)),
    )


def input_gradient_crops(shape: ConvShape) -> Margins:
    """Return how many gradients of outputs before and after each axis met nothing but padding."""
    return tuple((max(-low, 0), max(-high, 0)) for low, high in _margins(shape))


def transposed_shape(shape: ConvShape) -> TransposedShape | None:
    """Return the shape of the transposed convolution that the gradient of the input is, or None where it is none.

    That is so with padding that differs between the sides of an axis by more than the outputs that a stride leaves out.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(stride=2, padding=1).shape((1, 64, 8, 9), (32, 64, 3, 3), dtype="float32")
    >>> found = transposed_shape(shape)
    >>> found.channels, found.outputs, found.output, found.along("output_padding")
    (32, 64, (8, 9), (1, 0))
    """
    axes = tuple(map(_transposed_axis, range(shape.ndim), (shape,) * shape.ndim))
    if any(not 0 <= axis.output_padding < max(axis.stride, axis.dilation) for axis in axes):
        return None
    if any(axis.crops and min(axis.margins) + axis.size < 1 for axis in axes):
        return None
    return TransposedShape(shape.batch, shape.outputs, shape.channels, axes, shape.groups, shape.dtype)


def _transposed_axis(at: int, shape: ConvShape) -> TransposedAxis:
    low, _ = shape.padding[at]
    whole = TransposedAxis(shape.taps[at], shape.stride[at], shape.dilation[at], shape.output[at], low, 0)
    return replace(whole, output_padding=shape.sizes[at] - whole.output)


def _margins(shape: ConvShape) -> Margins:
    reaches = [gap * (taps - 1) for gap, taps in zip(shape.dilation, shape.taps, strict=True)]
    return tuple((reach - low, reach - high) for reach, (low, high) in zip(reaches, shape.padding, strict=True))
