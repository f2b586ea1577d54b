"""Sums over channels: how often, and at which size, products and partial sums are rounded in an experiment.

In: an `Experiment`, and products where their partial sums are wanted. Out: weights of the second-moment model, and sums
of the squares of all rounded partial sums.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from winograd.accuracy.formats import FloatFormat, stored_format
from winograd.accuracy.linear import Matrix
from winograd.accuracy.protocol import ChannelSum, Experiment
from winograd.codegen.interpret import Contraction

_EXCESS, _POWER = 0.181, 1.4
"""How much more the rounding of a sum of two like numbers counts, and how fast that falls: see `addition`."""


def accumulation(experiment: Experiment, fmt: FloatFormat) -> float:
    """Return the variance that products and sums add, in units of PHI u^2 / 3 and of the sum's own variance.

    Every partial sum of c products that is rounded counts c, times `addition`, and every rounded product 1.

    Examples
    --------
    >>> from winograd.accuracy.formats import float_format
    >>> round(accumulation(Experiment("one running sum", channels=64), float_format("float32")), 2)
    34.73
    >>> pairs = Experiment("pairwise", channels=64, channel_sum=ChannelSum.PAIRWISE)
    >>> round(accumulation(pairs, float_format("float32")), 2)
    8.09
    """
    channels, size = experiment.channels, experiment.first_block
    whole, rest = divmod(channels, size)
    within = whole * _within(size, experiment) + (_within(rest, experiment) if rest else 0.0)
    between = size * running_sum(whole)
    if rest:
        between += channels * float(addition(float(whole * size), float(rest)))
    return (rounded_products(experiment, fmt) + within + between) / channels


def addition(first: Matrix | float, second: Matrix | float) -> Matrix:
    """Return by how much the rounding of a sum of two rounded numbers of these variances exceeds the usual one.

    Of a sum of two numbers of like size one bit is lost, if any: the error is 0 or half a unit, its square 1/8 of the
    unit's on average and not 1/12. Averaged over normal numbers of all scales that is 1.18; the formula, in the ratio
    of the standard deviations, is within 0.4 % of the average for all variances. It is 1 where one of them is 0.

    Examples
    --------
    >>> addition(np.array([1, 1, 0]), np.array([1, 63, 0])).round(3).tolist()
    [1.181, 1.026, 1.0]
    """
    total = np.add(first, second)
    likeness = 2 * np.sqrt(np.multiply(first, second)) / np.where(total > 0, total, 1.0)
    return np.asarray(1 + _EXCESS * likeness**_POWER)


def rounded_products(experiment: Experiment, fmt: FloatFormat) -> int:
    """Return how many of the products are rounded by themselves: none that stored operands make exact."""
    if experiment.storage is not None and 2 * stored_format(experiment.storage).digits <= fmt.digits:
        return 0
    fused = experiment.contraction is Contraction.FUSED and experiment.channel_sum is ChannelSum.SEQUENTIAL
    return experiment.block_count if fused else experiment.channels


def _within(size: int, experiment: Experiment) -> float:
    if experiment.channel_sum is ChannelSum.SEQUENTIAL:
        fused = experiment.contraction is Contraction.FUSED
        return size * (size + 1) / 2 - 1 if fused else running_sum(size)
    return _pairwise(size)


@lru_cache(maxsize=1024)
def _pairwise(size: int) -> float:
    if size == 1:
        return 0.0
    first, second = size - size // 2, size // 2
    return size * float(addition(float(first), float(second))) + _pairwise(first) + _pairwise(second)


_FEW: Final = 2**12
"""Terms of a running sum that are added up one by one; what is left is an integral, within 1e-8 of the sum."""


@lru_cache(maxsize=1024)
def running_sum(count: int) -> float:
    """Return the weight of all sums of a running sum of rounded numbers of one size: (c + 1) `addition` (c, 1) each.

    Far out a term is c + 1 + 0.181 2^1.4 (c - 4 / 3)^0.3, to within a share of 1 / c^2.
    """
    first = np.arange(1.0, min(count, _FEW))
    few = float(((first + 1) * addition(first, 1.0)).sum())
    if count <= _FEW:
        return few
    left = (count * (count + 1) - _FEW * (_FEW + 1)) / 2
    low, high = (edge - 0.5 - 4 / 3 for edge in (_FEW, count))
    return float(few + left + _EXCESS * 2**_POWER * (high**1.3 - low**1.3) / 1.3)


def _running(count: int, experiment: Experiment) -> float:
    """Return the factor of a running sum of this many products and one more, which is rounded before or not."""
    return 1.0 if experiment.contraction is Contraction.FUSED else float(addition(count, 1))


def squared_partial_sums(products: Matrix, experiment: Experiment, fmt: FloatFormat) -> Matrix:
    """Return the sum over all roundings of the square of what is rounded.

    Parameters
    ----------
    products : ndarray of shape (channels, ...)
        Exact products.
    experiment : Experiment
    fmt : FloatFormat
        Of the sums.

    Returns
    -------
    ndarray of shape (...)
        Its mean over random products of variance 1 is `accumulation` times the number of channels.
    """
    squares = np.zeros(products.shape[1:])
    rounded = rounded_products(experiment, fmt)
    if rounded == experiment.channels:
        squares += (products**2).sum(axis=0)
    elif rounded:
        squares += (products[[block[0] for block in experiment.blocks]] ** 2).sum(axis=0)
    total = np.zeros(products.shape[1:])
    for block in experiment.blocks:
        partial, within = _sum_of_block(products[block.start : block.stop], experiment)
        total = total + partial
        squares += within
        if block.start:
            squares += addition(block.start, len(block)) * total**2
    return squares


def _sum_of_block(products: Matrix, experiment: Experiment) -> tuple[Matrix, Matrix]:
    """Return the sum, and the weighted sum of the squares of the partial sums that are rounded."""
    if experiment.channel_sum is ChannelSum.SEQUENTIAL:
        partial = np.cumsum(products, axis=0)
        weights = np.array([_running(count, experiment) for count in range(1, len(products))])
        return partial[-1], np.tensordot(weights, partial[1:] ** 2, axes=1)
    if len(products) == 1:
        return products[0], np.zeros_like(products[0])
    half = len(products) - len(products) // 2
    (first, first_squares), (second, second_squares) = (
        _sum_of_block(part, experiment) for part in (products[:half], products[half:])
    )
    total = first + second
    return total, first_squares + second_squares + addition(half, len(products) - half) * total**2
