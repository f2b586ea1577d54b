"""Sums over channels, rounded as an experiment says.

In: U and V of shape (..., channels, trials), of one dtype, and an `Experiment`. Out: sums of products (..., trials) of
that dtype. `winograd.accuracy.modelling.accumulation` predicts the error of the same sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from numpy.typing import NDArray

from winograd.accuracy.protocol import ChannelSum, Experiment
from winograd.codegen.interpret import Contraction, multiply_add

Array = NDArray[Any]


def sum_channels(u: Array, v: Array, experiment: Experiment) -> Array:
    """Return the sum over axis -2 of u * v: the sum of each block of channels, and these added in order.

    Examples
    --------
    >>> import numpy as np
    >>> ones = np.ones((3, 1), dtype=np.float32)
    >>> sum_channels(ones, ones, Experiment("three channels", channels=3))
    array([3.], dtype=float32)
    """
    add = _BLOCK_SUMS[experiment.channel_sum]
    blocks = (slice(block.start, block.stop) for block in experiment.blocks)
    first, *rest = (add(u[..., block, :], v[..., block, :], experiment.contraction) for block in blocks)
    total = first
    for partial_sum in rest:
        total = total + partial_sum
    return total


def _sequential(u: Array, v: Array, contraction: Contraction) -> Array:
    total = u[..., 0, :] * v[..., 0, :]
    for channel in range(1, u.shape[-2]):
        a, b = u[..., channel, :], v[..., channel, :]
        total = multiply_add(a, b, total) if contraction is Contraction.FUSED else a * b + total
    return total


def _pairwise(u: Array, v: Array, _: Contraction) -> Array:
    return _halves(u * v)


def _halves(products: Array) -> Array:
    count = products.shape[-2]
    if count == 1:
        return products[..., 0, :]
    first = count - count // 2
    return _halves(products[..., :first, :]) + _halves(products[..., first:, :])


_BLOCK_SUMS: Final[dict[ChannelSum, Callable[[Array, Array, Contraction], Array]]] = {
    ChannelSum.SEQUENTIAL: _sequential,
    ChannelSum.PAIRWISE: _pairwise,
}
