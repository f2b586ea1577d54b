"""Sums over channels: how often, and at which size, products and partial sums are rounded in an experiment.

In: an `Experiment`, and products where their partial sums are wanted. Out: weights of the second-moment model, and sums
of the squares of all rounded partial sums.
"""

from __future__ import annotations

import math

import numpy as np

from winograd.accuracy.formats import FloatFormat, stored_format
from winograd.accuracy.linear import Matrix
from winograd.accuracy.protocol import ChannelSum, Experiment
from winograd.codegen.interpret import Contraction


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
    blocks = [len(block) for block in experiment.blocks]
    within = sum(_within(size, experiment) for size in blocks)
    before = [sum(blocks[:count]) for count in range(1, len(blocks))]
    between = sum((c + size) * addition(c, size) for c, size in zip(before, blocks[1:], strict=True))
    return (rounded_products(experiment, fmt) + within + between) / experiment.channels


def addition(first: float, second: float) -> float:
    """Return by how much the rounding of a sum of two rounded numbers of these variances exceeds the usual one.

    Of a sum of two numbers of like size one bit is lost, if any: the error is 0 or half a unit, its square 1/8 of the
    unit's on average and not 1/12. Averaged over normal numbers of all scales that is 1.18; the formula, in the ratio
    of the standard deviations, is within 0.4 % of the average for all variances.

    Examples
    --------
    >>> round(addition(1, 1), 3), round(addition(1, 63), 3)
    (1.181, 1.026)
    """
    return 1 + 0.181 * math.pow(2 * math.sqrt(first * second) / (first + second), 1.4)


def rounded_products(experiment: Experiment, fmt: FloatFormat) -> int:
    """Return how many of the products are rounded by themselves: none that stored operands make exact."""
    if experiment.storage is not None and 2 * stored_format(experiment.storage).digits <= fmt.digits:
        return 0
    fused = experiment.contraction is Contraction.FUSED and experiment.channel_sum is ChannelSum.SEQUENTIAL
    return len(experiment.blocks) if fused else experiment.channels


def _within(size: int, experiment: Experiment) -> float:
    if experiment.channel_sum is ChannelSum.SEQUENTIAL:
        return sum((c + 1) * _running(c, experiment) for c in range(1, size))
    if size == 1:
        return 0.0
    first, second = size - size // 2, size // 2
    return size * addition(first, second) + _within(first, experiment) + _within(second, experiment)


def _running(count: int, experiment: Experiment) -> float:
    """Return the factor of a running sum of this many products and one more, which is rounded before or not."""
    return 1.0 if experiment.contraction is Contraction.FUSED else addition(count, 1)


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
