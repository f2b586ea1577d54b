"""Shapes of gradients: which convolution the gradient of the input is. Integers only; the weight is turned elsewhere.

In: the `ConvShape` of a convolution of stride 1, with any padding, dilation and groups. Out: that of the convolution of
the gradient of its output with the flipped filters, and what of that gradient is cropped first. Refused: other strides.
"""

from __future__ import annotations

from dataclasses import replace

from winograd.conv.shape import ConvShape

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


def _margins(shape: ConvShape) -> Margins:
    reaches = [gap * (taps - 1) for gap, taps in zip(shape.dilation, shape.taps, strict=True)]
    return tuple((reach - low, reach - high) for reach, (low, high) in zip(reaches, shape.padding, strict=True))
