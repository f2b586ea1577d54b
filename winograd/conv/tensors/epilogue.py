"""Epilogues: what follows a convolution that its backend has not done in its own pass over the output.

In: the output of a convolution, made a moment ago, and perhaps a residual. Out: relu(output + residual), in the memory
of the output. Refused: a residual of another shape or dtype.

Generated C does all this while it writes. oneDNN could, but its ReLU makes zero of a NaN, and next to one in place it
saves time only for outputs that no cache holds; its sums with a residual take longer than two passes.
"""

from __future__ import annotations

import torch

from winograd.conv.tensors.facts import are_strided

Tensor = torch.Tensor


def finish(output: Tensor, residual: Tensor | None = None, relu: bool = False) -> Tensor:
    """Add a residual to the output of a convolution, then set negative numbers to zero, in place where torch can.

    The gradients of a convolution need its inputs, never its output: writing over it disturbs none of them.

    Parameters
    ----------
    output : Tensor
        That nobody else reads.
    residual : Tensor, optional
        Of the shape and dtype of the output; with another layout or a gradient, too.
    relu : bool
        Whether the ReLU follows; a NaN stays NaN.

    Returns
    -------
    Tensor
        The output, or a new one where a transform of functions is at work on the residual.

    Raises
    ------
    ValueError
        If the residual has another shape or dtype.

    Examples
    --------
    >>> output = torch.tensor([-2.0, -1.0, 3.0])
    >>> finish(output, torch.ones(3), relu=True) is output, output
    (True, tensor([0., 0., 4.]))
    """
    if residual is not None:
        output = _added(output, residual)
    return torch.relu_(output) if relu else output


def _added(output: Tensor, residual: Tensor) -> Tensor:
    if (residual.shape, residual.dtype) != (output.shape, output.dtype):
        raise ValueError(
            f"residual is {residual.dtype} of shape {tuple(residual.shape)}, "
            f"must be {output.dtype} of shape {tuple(output.shape)}"
        )
    fits = are_strided(output, residual) and not torch._C._functorch.is_functorch_wrapped_tensor(residual)
    return output.add_(residual) if fits else output + residual
