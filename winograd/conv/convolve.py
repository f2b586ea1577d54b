"""`conv1d`, `conv2d`, `conv3d`: convolution by the fastest algorithm whose predicted error is tolerated.

In: torch tensors, with the arguments, results and errors of torch's functions of these names, or NumPy arrays.
Out: the convolution, of the same kind. What Winograd does not cover goes to torch's own convolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from winograd.conv.arguments import Algorithm, ConvArguments, IntOrSequence, Padding
from winograd.conv.reference.arrays import convolve_arrays

if TYPE_CHECKING:
    import torch

    Operand = TypeVar("Operand", torch.Tensor, np.ndarray[Any, np.dtype[Any]])
else:
    Operand = TypeVar("Operand")


def conv3d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: IntOrSequence = 1,
    padding: Padding = 0,
    dilation: IntOrSequence = 1,
    groups: int = 1,
    *,
    tolerance: float | None = None,
    algorithm: Algorithm | None = None,
) -> Operand:
    """Return the 3D convolution (cross-correlation) of an input with a weight.

    Parameters
    ----------
    input : Tensor or array of shape (N, C, D, H, W) or (C, D, H, W)
    weight : Tensor or array of shape (K, C / groups, d, h, w)
        Of the same dtype and device.
    bias : Tensor or array of shape (K,), optional
    stride, padding, dilation, groups
        As in ``torch.conv3d``: integers, one for all axes or one per axis; padding also 'same' or 'valid'.
    tolerance : float, optional
        Allowed relative L2 error against exact arithmetic, as predicted for independent zero-mean inputs; default 1e-5,
        for tensors of float64 1.9e-14. With 16 bits the rounding of the output comes on top.
    algorithm : BilinearAlgorithm, NestedAlgorithm or "direct", optional
        Forces this one: one axis per axis of the input, for as many taps; with a stride, for the taps of its phases.
        "direct" switches Winograd off for this call, `winograd.set_enabled` for all of them.

    Returns
    -------
    Tensor or array of shape (N, K, D', H', W') or (K, D', H', W')
        Of the dtype of the input. A tensor is channels last in memory where input or weight is, and contiguous
        otherwise, as ``torch.conv3d`` makes it except for some small inputs.

    Raises
    ------
    RuntimeError, TypeError
        What ``torch.conv3d`` raises for tensors that do not fit; TypeError for a tolerance that is no number.
    ValueError
        For arrays that do not fit, a tolerance not above 0, and a forced algorithm with other axes or taps.
    NotImplementedError
        For a forced algorithm with other taps than the phases of a stride, dilation or groups have, which the message
        names, or with tensors of integers.

    Notes
    -----
    Tensors: float32, float16, bfloat16 and float64 on the CPU with up to 7 taps run in generated C, 16 bits with
    float32 inside, where the plan finds it faster; so do gradients of any order, each with a plan of its own. Anything
    else is torch's own convolution, unless ``algorithm`` forces plain torch operations, such as under `torch.func`,
    forward-mode differentiation and `torch.autocast`. torch.compile and torch.export record
    ``torch.ops.winograd.convolution``, which plans when it runs. With a stride s, a dilation d and groups the taps are
    split into phases, dense convolutions of stride 1 with ceil(taps / (s / gcd(s, d))) taps, and each group is run by
    itself; where C cannot, a forced algorithm gives way to torch's own. Arrays: the reference backend, for studies,
    which needs no torch; ``object`` arrays of Fractions are convolved exactly.

    Examples
    --------
    >>> import numpy as np
    >>> ones = np.ones((1, 2, 4, 4, 4), dtype=np.int64)
    >>> conv3d(ones, np.ones((1, 2, 3, 3, 3), dtype=np.int64))[0, 0, 0]
    array([[54, 54],
           [54, 54]])
    """
    arguments = ConvArguments(stride, padding, dilation, groups)
    return _convolve(input, weight, bias, arguments, ndim=3, tolerance=tolerance, algorithm=algorithm)


def conv2d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: IntOrSequence = 1,
    padding: Padding = 0,
    dilation: IntOrSequence = 1,
    groups: int = 1,
    *,
    tolerance: float | None = None,
    algorithm: Algorithm | None = None,
) -> Operand:
    """Return the 2D convolution of an input (N, C, H, W) or (C, H, W) with a weight (K, C / groups, h, w).

    See `conv3d` for the rest.

    Examples
    --------
    >>> import numpy as np
    >>> conv2d(np.eye(3, dtype=int)[None], np.ones((1, 1, 2, 2), dtype=int))
    array([[[2, 1],
            [1, 2]]])
    """
    arguments = ConvArguments(stride, padding, dilation, groups)
    return _convolve(input, weight, bias, arguments, ndim=2, tolerance=tolerance, algorithm=algorithm)


def conv1d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: IntOrSequence = 1,
    padding: Padding = 0,
    dilation: IntOrSequence = 1,
    groups: int = 1,
    *,
    tolerance: float | None = None,
    algorithm: Algorithm | None = None,
) -> Operand:
    """Return the 1D convolution of an input (N, C, L) or (C, L) with a weight (K, C / groups, l).

    See `conv3d` for the rest.

    Examples
    --------
    >>> import numpy as np
    >>> conv1d(np.arange(5)[None], np.array([[[1, 0, -1]]]), padding=1)
    array([[-1, -2, -2, -2,  3]])
    """
    arguments = ConvArguments(stride, padding, dilation, groups)
    return _convolve(input, weight, bias, arguments, ndim=1, tolerance=tolerance, algorithm=algorithm)


def _convolve(
    input: Operand,
    weight: Operand,
    bias: Operand | None,
    arguments: ConvArguments,
    *,
    ndim: int,
    tolerance: float | None,
    algorithm: Algorithm | None,
) -> Operand:
    if isinstance(input, np.ndarray):
        return convolve_arrays(input, weight, bias, arguments, ndim=ndim, tolerance=tolerance, algorithm=algorithm)
    from winograd.conv.calls.convolution import convolve_torch  # NumPy users need no torch

    return convolve_torch(input, weight, bias, arguments, ndim=ndim, tolerance=tolerance, algorithm=algorithm)
