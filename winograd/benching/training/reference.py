"""One training step of a convolution in float64, by matrix products and nothing else: what errors are measured against.

In: tensors of one layer and its shape. Out: a `Step` in float64. Refused: nothing; sizes are those of the shape.
Neither torch's convolution nor ours takes part. For each tap one product over channels gives that tap's part of the
output and of both gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from winograd.benching.training.step import Step
from winograd.conv.geometry.shape import ConvShape


def float64_step(input: Tensor, weight: Tensor, bias: Tensor | None, grad_output: Tensor, shape: ConvShape) -> Step:
    """Return output and gradients of one convolution, computed in float64.

    Parameters
    ----------
    input : Tensor of shape (N, C, sizes...)
    weight : Tensor of shape (K, C / groups, taps...)
    bias : Tensor of shape (K,), optional
    grad_output : Tensor of shape (N, K, output sizes...)
    shape : ConvShape
        Of these.

    Returns
    -------
    Step
        Of float64 tensors.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments().shape((1, 1, 3), (1, 1, 2), dtype="float64")
    >>> step = float64_step(torch.tensor([[[1.0, 2.0, 3.0]]]), torch.tensor([[[10.0, 1.0]]]), None,
    ...                     torch.tensor([[[1.0, 2.0]]]), shape)
    >>> step.output.tolist(), step.input_gradient.tolist(), step.weight_gradient.tolist()
    ([[[12.0, 23.0]]], [[[10.0, 21.0, 2.0]]], [[[5.0, 8.0]]])
    """
    wide = weight.detach().double()
    step = Step(
        output=torch.zeros(grad_output.shape, dtype=torch.float64),
        input_gradient=torch.zeros(input.shape, dtype=torch.float64),
        weight_gradient=torch.zeros(weight.shape, dtype=torch.float64),
        bias_gradient=None if bias is None else _bias_gradient(grad_output),
    )
    for image in range(shape.batch):
        _add_image(step, image, input[image].detach().double(), wide, grad_output[image].double(), shape)
    if bias is not None:
        step.output.add_(bias.detach().double().view(-1, *[1] * shape.ndim))
    return step


def _bias_gradient(grad_output: Tensor) -> Tensor:
    return grad_output.double().transpose(0, 1).flatten(1).sum(1)


def _add_image(step: Step, image: int, input: Tensor, weight: Tensor, grad_output: Tensor, shape: ConvShape) -> None:
    """Add what one image gives to all of a step but the bias gradient."""
    sides = [side for pair in reversed(shape.padding) for side in pair]
    padded = torch.constant_pad_nd(input, sides)
    padded_gradient = torch.zeros_like(padded)
    ins, outs = shape.channels // shape.groups, shape.outputs // shape.groups
    for group in range(shape.groups):
        of_input, of_output = slice(group * ins, (group + 1) * ins), slice(group * outs, (group + 1) * outs)
        _add_taps(
            padded[of_input],
            weight[of_output],
            grad_output[of_output],
            step.output[image, of_output],
            padded_gradient[of_input],
            step.weight_gradient[of_output],
            shape,
        )
    inner = tuple(slice(low, low + size) for (low, _), size in zip(shape.padding, shape.sizes, strict=True))
    step.input_gradient[image] = padded_gradient[:, *inner]


def _add_taps(
    input: Tensor,
    weight: Tensor,
    grad_output: Tensor,
    output: Tensor,
    input_gradient: Tensor,
    weight_gradient: Tensor,
    shape: ConvShape,
) -> None:
    """Add, tap by tap, to output and gradients of one image and one group; the input is padded, so is its gradient."""
    flat_gradient, flat_weight = grad_output.flatten(1), weight.flatten(2)
    flat_weight_gradient = weight_gradient.view(*weight_gradient.shape[:2], -1)
    for tap, places in enumerate(_places(shape)):
        seen, at_tap = input[:, *places].flatten(1), flat_weight[:, :, tap]
        output += (at_tap @ seen).view_as(output)
        flat_weight_gradient[:, :, tap] += flat_gradient @ seen.T
        input_gradient[:, *places] += (at_tap.T @ flat_gradient).view(-1, *shape.output)


def _places(shape: ConvShape) -> Iterator[tuple[slice, ...]]:
    """Yield for each tap the places of the padded input that it meets, one for each output."""
    for tap in product(*map(range, shape.taps)):
        yield tuple(
            slice(index * spread, index * spread + (count - 1) * stride + 1, stride)
            for index, spread, count, stride in zip(tap, shape.dilation, shape.output, shape.stride, strict=True)
        )
