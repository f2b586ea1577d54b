"""Errors against direct convolution in float64, before anything is timed.

In: tensors of one layer, and what computes it. Out: relative L2 errors, of some of the output channels where all of
them would take long. Refused: errors above the tolerance, and results of torch that are not what torch gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from typing import Final

import torch
from torch import Tensor

from winograd.conv.direct.convolve import FUNCTIONS
from winograd.conv.geometry.shape import ConvShape
from winograd.nn.compare import relative_l2

_SLAB_BYTES: Final = 2**28
"""Of unfolded inputs, which torch holds beside a convolution in float64."""


_VERIFIED_MACS: Final = 2 * 10**9
"""Multiplications in float64, which are some twenty times as slow, that verifying a layer may take."""

_LEAST_OUTPUTS: Final = 8
"""Output channels that are verified at least."""

_OF_TORCH: Final = 2.0
"""How many times the error of torch's variants a result may have that torch has computed."""

_OUTPUT_ROUNDOFF: Final = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
"""What rounding the outputs to 16 bits adds at most; the tolerance leaves it out."""


class AboveToleranceError(ValueError):
    """The measured error of a layer is above the tolerance that its plan was made for."""


def verified_outputs(shape: ConvShape) -> slice:
    """Return which output channels are verified: all, or every second, third ... of a layer that is large.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((1, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32")
    >>> verified_outputs(shape)
    slice(None, None, 6)
    """
    if shape.groups > 1:
        return slice(None)
    step = min(-(-shape.macs // _VERIFIED_MACS), max(shape.outputs // _LEAST_OUTPUTS, 1))
    return slice(None, None, step if step > 1 else None)


def float64_reference(
    input: Tensor, weight: Tensor, bias: Tensor | None, shape: ConvShape, outputs: slice = slice(None)
) -> Tensor:
    """Return direct convolution in float64, made of slabs of outputs, so that it needs little memory beside.

    Parameters
    ----------
    input : Tensor of shape (N, C, sizes...)
    weight : Tensor of shape (K, C / groups, taps...)
    bias : Tensor of shape (K,), optional
    shape : ConvShape
        Of these.
    outputs : slice
        Of the output channels; all of them with groups.

    Returns
    -------
    Tensor of shape (N, K, sizes...), float64
        Of these output channels.
    """
    wide_weight, wide_bias = weight[outputs].double(), None if bias is None else bias[outputs].double()
    result = torch.empty(shape.batch, len(wide_weight), *shape.output, dtype=torch.float64)
    padding = [side for pair in reversed(shape.padding) for side in pair]
    rows = max(1, _SLAB_BYTES // (8 * shape.channels * prod(shape.taps) * prod(shape.output[1:])))
    stride, extent = shape.stride[0], (shape.taps[0] - 1) * shape.dilation[0] + 1
    convolve = partial(FUNCTIONS[shape.ndim], stride=shape.stride, dilation=shape.dilation, groups=shape.groups)
    for image in range(shape.batch):
        padded = torch.constant_pad_nd(input[image].double(), padding)
        for first in range(0, shape.output[0], rows):
            last = min(first + rows, shape.output[0])
            slab = padded[:, first * stride : (last - 1) * stride + extent]
            result[image, :, first:last] = convolve(slab, wide_weight, wide_bias)
    return result


def measured_errors(
    runs: Mapping[str, Callable[[], Tensor]], exact: Tensor, outputs: slice = slice(None)
) -> dict[str, float]:
    """Run everything once, and return the relative L2 error of each; nothing but one output is held at a time."""
    return {name: _error(run()[:, outputs], exact) for name, run in runs.items()}


def check_tolerance(layer: str, algorithm: str, errors: Mapping[str, float], tolerance: float, dtype: str) -> None:
    """Refuse a layer of which an error is above the tolerance, or no number.

    Raises
    ------
    AboveToleranceError
        Naming layer, algorithm, memory format, error and tolerance.
    """
    rounded = _OUTPUT_ROUNDOFF.get(dtype, 0.0)
    allowed = f"the tolerance {tolerance:g}" + (f" and the rounding of {dtype}" if rounded else "")
    for layout, error in errors.items():
        if not error <= tolerance + rounded:
            raise AboveToleranceError(
                f"{layer} by {algorithm}, {layout}: measured error {error:.2e} is above {allowed}"
            )


def check_torchs_own(layer: str, errors: Mapping[str, float], direct_errors: Mapping[str, float], dtype: str) -> None:
    """Refuse a layer that was left to torch, and whose error is not that of torch's variants, nor a single rounding.

    Raises
    ------
    AboveToleranceError
        Naming layer, memory format and both errors.
    """
    allowed = max(_OF_TORCH * max(direct_errors.values()), torch.finfo(getattr(torch, dtype)).eps)
    for layout, error in errors.items():
        if not error <= allowed:
            raise AboveToleranceError(
                f"{layer} by direct convolution, {layout}: measured error {error:.2e} is above {allowed:.2e}, "
                f"{_OF_TORCH:g} times that of torch's own"
            )


def _error(output: Tensor, exact: Tensor) -> float:
    if output.shape != exact.shape:
        raise RuntimeError(
            f"output of sizes {tuple(output.shape)}, must be {tuple(exact.shape)}: a bug of this package"
        )
    return relative_l2(output, exact)
