"""Errors against direct convolution in float64, before anything is timed.

In: tensors of one layer with stride 1, and what computes it. Out: relative L2 errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Final

import torch
from torch import Tensor

from winograd.conv.direct import FUNCTIONS
from winograd.conv.shape import ConvShape
from winograd.nn.compare import relative_l2

_SLAB_BYTES: Final = 2**28
"""Of unfolded inputs, which torch holds beside a convolution in float64."""


class AboveToleranceError(ValueError):
    """The measured error of a layer is above the tolerance that its plan was made for."""


def float64_reference(input: Tensor, weight: Tensor, bias: Tensor | None, shape: ConvShape) -> Tensor:
    """Return direct convolution in float64, made of slabs of outputs, so that it needs little memory beside.

    Parameters
    ----------
    input : Tensor of shape (N, C, sizes...)
    weight : Tensor of shape (K, C, taps...)
    bias : Tensor of shape (K,), optional
    shape : ConvShape
        Of these, with stride, dilation and groups 1.

    Returns
    -------
    Tensor of shape (N, K, sizes...), float64
    """
    result = torch.empty(shape.batch, shape.outputs, *shape.output, dtype=torch.float64)
    wide_weight, wide_bias = weight.double(), None if bias is None else bias.double()
    padding = [side for pair in reversed(shape.padding) for side in pair]
    rows = max(1, _SLAB_BYTES // (8 * shape.channels * prod(shape.taps) * prod(shape.output[1:])))
    for image in range(shape.batch):
        padded = torch.constant_pad_nd(input[image].double(), padding)
        for first in range(0, shape.output[0], rows):
            last = min(first + rows, shape.output[0])
            slab = padded[:, first : last + shape.taps[0] - 1]
            result[image, :, first:last] = FUNCTIONS[shape.ndim](slab, wide_weight, wide_bias)
    return result


def measured_errors(runs: Mapping[str, Callable[[], Tensor]], exact: Tensor) -> dict[str, float]:
    """Run everything once, and return the relative L2 error of each; nothing but one output is held at a time."""
    return {name: _error(run(), exact) for name, run in runs.items()}


def check_tolerance(layer: str, algorithm: str, errors: Mapping[str, float], tolerance: float) -> None:
    """Refuse a layer of which an error is above the tolerance, or no number.

    Raises
    ------
    AboveToleranceError
        Naming layer, algorithm, memory format, error and tolerance.
    """
    for layout, error in errors.items():
        if not error <= tolerance:
            raise AboveToleranceError(
                f"{layer} by {algorithm}, {layout}: measured error {error:.2e} is above the tolerance {tolerance:g}"
            )


def _error(output: Tensor, exact: Tensor) -> float:
    if output.shape != exact.shape:
        raise RuntimeError(
            f"output of sizes {tuple(output.shape)}, must be {tuple(exact.shape)}: a bug of this package"
        )
    return relative_l2(output, exact)
