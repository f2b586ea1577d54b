"""Gradients by Winograd from plain torch operations, for autograd, vmap and any device, and as the reference.

In: torch tensors of one floating or complex dtype, of a convolution of stride 1. Out: the gradient of its input or of
its weight, differentiable again. 16-bit tensors are transformed and multiplied in float32 and rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.forms import transposed_nest
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.algebra.tiling import tile_axes
from winograd.conv.composed import convolve_composed, load_transforms, tiles_of, widened
from winograd.conv.gradient.shapes import Margins

Tensor = torch.Tensor


def input_gradient_composed(
    grad_output: Tensor,
    weight: Tensor,
    *,
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    padding: Sequence[tuple[int, int]],
) -> Tensor:
    """Return the gradient of the input: the convolution of that of the output with the flipped filters.

    Parameters
    ----------
    grad_output : Tensor of shape (N, K, sizes...)
    weight : Tensor of shape (K, C, taps...)
        Of the same dtype and device.
    algorithm : BilinearAlgorithm or NestedAlgorithm
        One axis for each of ``sizes``, with as many taps.
    padding : sequence of (low, high)
        Of the convolution whose gradient this is.

    Returns
    -------
    Tensor of shape (N, C, sizes...)

    Raises
    ------
    ValueError
        If the numbers of axes differ.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> slope, taps = torch.tensor([[[1.0, 2.0, 0.0]]]), torch.tensor([[[1.0, 10.0, 100.0]]])
    >>> input_gradient_composed(slope, taps, algorithm=toom_cook(2, 3), padding=[(0, 0)])
    tensor([[[  1.,  12., 120., 200.,   0.]]])
    """
    taps = weight.shape[2:]
    margins = [(size - 1 - low, size - 1 - high) for size, (low, high) in zip(taps, padding, strict=True)]
    return convolve_composed(
        cropped(grad_output, tuple((max(-low, 0), max(-high, 0)) for low, high in margins)),
        turned(weight),
        algorithm=algorithm,
        padding=[(max(low, 0), max(high, 0)) for low, high in margins],
    )


def weight_gradient_composed(
    input: Tensor,
    grad_output: Tensor,
    *,
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    padding: Sequence[tuple[int, int]],
) -> Tensor:
    """Return the gradient of the weight: products of transformed inputs and gradients of outputs, summed over tiles.

    With M' = at.T @ dY and V = bt @ X of every tile it is g.T @ sum V * M', on every axis.

    Parameters
    ----------
    input : Tensor of shape (N, C, sizes...)
    grad_output : Tensor of shape (N, K, sizes...)
        Of the same dtype and device.
    algorithm : BilinearAlgorithm or NestedAlgorithm
        Of the convolution: one axis for each of ``sizes``, with as many taps as the weight.
    padding : sequence of (low, high)
        Of the convolution.

    Returns
    -------
    Tensor of shape (K, C, taps...)

    Raises
    ------
    ValueError
        If the numbers of axes differ, or the outputs of such a convolution have other sizes.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> line, slope = torch.arange(5.0).reshape(1, 1, 5), torch.tensor([[[1.0, 0.0, 10.0]]])
    >>> weight_gradient_composed(line, slope, algorithm=toom_cook(2, 3), padding=[(0, 0)])
    tensor([[[20., 31., 42.]]])
    """
    nested = as_nested(algorithm)
    tiling = tile_axes(input.shape[2:], nested.m, nested.r, padding)
    if tuple(grad_output.shape[2:]) != tiling.output:
        raise ValueError(f"grad_output has sizes {tuple(grad_output.shape[2:])}, the output has {tiling.output}")
    transforms = load_transforms(transposed_nest(nested))
    blocks = tile_axes(tiling.output, nested.m, (1,) * nested.ndim, ((0, 0),) * nested.ndim)
    v = transforms.data(tiles_of(widened(input), tiling)).flatten(-nested.ndim).flatten(2, -2)
    m = transforms.filter(tiles_of(widened(grad_output), blocks)).flatten(-nested.ndim).flatten(2, -2)
    products = torch.einsum("nctp,nktp->kcp", v, m)
    return transforms.inverse(products.reshape(*products.shape[:2], *nested.ranks)).to(input.dtype)


def turned(weight: Tensor, groups: int = 1) -> Tensor:
    """Return the filters of the gradient of the input, taps in reverse, of shape (C, K / groups, taps...).

    Examples
    --------
    >>> turned(torch.arange(6.0).reshape(2, 1, 3))
    tensor([[[2., 1., 0.],
             [5., 4., 3.]]])
    """
    outputs, *rest = weight.shape
    split = weight.reshape(groups, outputs // groups, *rest).transpose(1, 2).flatten(0, 1)
    return split.flip(tuple(range(2, split.ndim)))


def cropped(tensor: Tensor, crops: Margins) -> Tensor:
    """Return (N, K, sizes...) without the first and the last entries of each axis."""
    for axis, (low, high) in enumerate(crops, start=2):
        if low or high:
            tensor = tensor.narrow(axis, low, tensor.shape[axis] - low - high)
    return tensor
