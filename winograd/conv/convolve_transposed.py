"""`conv_transpose1d`, `conv_transpose2d`, `conv_transpose3d`: transposed convolution by dense ones of stride 1.

In: torch tensors, with the arguments, results and errors of torch's functions of these names, or NumPy arrays.
Out: the transposed convolution, of the same kind. What Winograd does not cover goes to torch's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from winograd.conv.arguments import Algorithm, IntOrSequence
from winograd.conv.transposed.arguments import TransposedArguments
from winograd.conv.transposed.reference import convolve_transposed_arrays

if TYPE_CHECKING:
    import torch

    Operand = TypeVar("Operand", torch.Tensor, np.ndarray[Any, np.dtype[Any]])
else:
    Operand = TypeVar("Operand")


def conv_transpose3d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: IntOrSequence = 1,
    padding: IntOrSequence = 0,
    output_padding: IntOrSequence = 0,
    groups: int = 1,
    dilation: IntOrSequence = 1,
    *,
    tolerance: float | None = None,
    algorithm: Algorithm | None = None,
) -> Operand:
    r"""Return the 3D transposed convolution of an input with a weight.

    y[j] = sum of w[k] x[i] over all stride i + dilation k = j + padding: the gradient of a convolution with respect to
    its input, as a forward.

    Parameters
    ----------
    input : Tensor or array of shape (N, C, D, H, W) or (C, D, H, W)
    weight : Tensor or array of shape (C, K / groups, d, h, w)
        Of the same dtype and device.
    bias : Tensor or array of shape (K,), optional
    stride, padding, output_padding, groups, dilation
        As in ``torch.conv_transpose3d``, and in its order: integers, one for all axes or one per axis.
    tolerance : float, optional
        As in `winograd.conv3d`.
    algorithm : BilinearAlgorithm, NestedAlgorithm or "direct", optional
        Forces this one: for as many taps as the weight has; with a stride s for those of its phases,
        ceil((dilation (taps - 1) + 1) / s).

    Returns
    -------
    Tensor or array of shape (N, K, D', H', W') or (K, D', H', W')
        Of the dtype of the input. D' is (D - 1) stride - 2 padding + dilation (d - 1) + output_padding + 1. A tensor
        by Winograd lies channels last where input or weight do, and contiguous otherwise and with one axis. That is
        the memory format of torch's own, but for a single small image in 3D and for one axis, where that may be either.

    Raises
    ------
    RuntimeError, TypeError
        What ``torch.conv_transpose3d`` raises for tensors that do not fit; TypeError for a tolerance that is no number.
    ValueError
        For arrays that do not fit, a tolerance not above 0, and a forced algorithm with other axes.
    NotImplementedError
        For a forced algorithm with other taps, or with tensors of integers.

    Notes
    -----
    With stride 1 this is a convolution with the taps in reverse, inputs and outputs exchanged. With a stride s, the
    outputs j + padding = s o + q of one phase q take the taps s t + q, and all phases read the same inputs: they are
    the output channels of one dense convolution of stride 1, whose results are then put side by side. Plans compare
    that with torch's own. With gradients and in compiled code torch's own runs; with gradients a forced algorithm runs
    in plain torch operations, unless there are groups or a dilation with stride 1, which only generated C has.

    Examples
    --------
    >>> import numpy as np
    >>> ones = np.ones((1, 1, 2, 2, 2), dtype=np.int64)
    >>> conv_transpose3d(ones, ones, stride=(1, 1, 2))[0, 0, 1]
    array([[2, 2, 2, 2],
           [4, 4, 4, 4],
           [2, 2, 2, 2]])
    """
    arguments = TransposedArguments(stride, padding, output_padding, groups, dilation)
    return _convolve(input, weight, bias, arguments, ndim=3, tolerance=tolerance, algorithm=algorithm)


def conv_transpose2d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: IntOrSequence = 1,
    padding: IntOrSequence = 0,
    output_padding: IntOrSequence = 0,
    groups: int = 1,
    dilation: IntOrSequence = 1,
    *,
    tolerance: float | None = None,
    algorithm: Algorithm | None = None,
) -> Operand:
    """Return the 2D transposed convolution of an input (N, C, H, W) or (C, H, W) with a weight (C, K / groups, h, w).

    See `conv_transpose3d` for the rest.

    Examples
    --------
    >>> import numpy as np
    >>> conv_transpose2d(np.eye(2, dtype=int)[None], np.array([[[[1, 2], [3, 4]]]]), stride=2)
    array([[[1, 2, 0, 0],
            [3, 4, 0, 0],
            [0, 0, 1, 2],
            [0, 0, 3, 4]]])
    """
    arguments = TransposedArguments(stride, padding, output_padding, groups, dilation)
    return _convolve(input, weight, bias, arguments, ndim=2, tolerance=tolerance, algorithm=algorithm)


def conv_transpose1d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: IntOrSequence = 1,
    padding: IntOrSequence = 0,
    output_padding: IntOrSequence = 0,
    groups: int = 1,
    dilation: IntOrSequence = 1,
    *,
    tolerance: float | None = None,
    algorithm: Algorithm | None = None,
) -> Operand:
    """Return the 1D transposed convolution of an input (N, C, L) or (C, L) with a weight (C, K / groups, l).

    See `conv_transpose3d` for the rest.

    Examples
    --------
    >>> import numpy as np
    >>> conv_transpose1d(np.array([[1, 2, 3]]), np.array([[[1, 10, 100]]]), stride=2)
    array([[  1,  10, 102,  20, 203,  30, 300]])
    """
    arguments = TransposedArguments(stride, padding, output_padding, groups, dilation)
    return _convolve(input, weight, bias, arguments, ndim=1, tolerance=tolerance, algorithm=algorithm)


def _convolve(
    input: Operand,
    weight: Operand,
    bias: Operand | None,
    arguments: TransposedArguments,
    *,
    ndim: int,
    tolerance: float | None,
    algorithm: Algorithm | None,
) -> Operand:
    options: dict[str, Any] = {"ndim": ndim, "tolerance": tolerance, "algorithm": algorithm}
    if isinstance(input, np.ndarray):
        return convolve_transposed_arrays(input, weight, bias, arguments, **options)
    from winograd.conv.calls.transposed import convolve_transposed_torch  # NumPy users need no torch

    return convolve_transposed_torch(input, weight, bias, arguments, **options)
