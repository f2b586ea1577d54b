"""Sums over channels: how often, and at which size, products and partial sums are rounded in an experiment.

In: an `Experiment`, and products where their partial sums are wanted. Out: weights of the second-moment model, and sums
of the squares of all rounded partial sums.
"""

from __future__ import annotations

import numpy as np

from winograd.accuracy.formats import FloatFormat, stored_format
from winograd.accuracy.linear import Matrix
from winograd.accuracy.protocol import ChannelSum, Experiment
from winograd.codegen.interpret import Contraction


def accumulation(experiment: Experiment, fmt: FloatFormat) -> float:
    """Return the variance that products and sums add, in units of PHI u^2 / 3 and of the sum's own variance.

    Every partial sum of c products that is rounded counts c, and every rounded product 1.

    Examples
    --------
    >>> from winograd.accuracy.formats import float_format
    >>> accumulation(Experiment("one running sum", channels=64), float_format("float32"))
    33.484375
    >>> pairs = Experiment("pairwise", channels=64, channel_sum=ChannelSum.PAIRWISE)
    >>> accumulation(pairs, float_format("float32"))
    7.0
    """
    blocks = [len(block) for block in experiment.blocks]
    within = sum(_within(size, experiment.channel_sum) for size in blocks)
    between = sum(sum(blocks[: count + 1]) for count in range(1, len(blocks)))
    return (rounded_products(experiment, fmt) + within + between) / experiment.channels


def rounded_products(experiment: Experiment, fmt: FloatFormat) -> int:
    """Return how many of the products are rounded by themselves: none that stored operands make exact."""
    if experiment.storage is not None and 2 * stored_format(experiment.storage).digits <= fmt.digits:
        return 0
    fused = experiment.contraction is Contraction.FUSED and experiment.channel_sum is ChannelSum.SEQUENTIAL
    return len(experiment.blocks) if fused else experiment.channels


def _within(size: int, channel_sum: ChannelSum) -> int:
    if channel_sum is ChannelSum.SEQUENTIAL:
        return size * (size + 1) // 2 - 1
    if size == 1:
        return 0
    return size + _within(size - size // 2, channel_sum) + _within(size // 2, channel_sum)


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
    for number, block in enumerate(experiment.blocks):
        partial, within = _sum_of_block(products[block.start : block.stop], experiment.channel_sum)
        total = total + partial
        squares += within
        if number:
            squares += total**2
    return squares


def _sum_of_block(products: Matrix, channel_sum: ChannelSum) -> tuple[Matrix, Matrix]:
    """Return the sum, and the sum of the squares of the partial sums that are rounded."""
    if channel_sum is ChannelSum.SEQUENTIAL:
        partial = np.cumsum(products, axis=0)
        return partial[-1], (partial[1:] ** 2).sum(axis=0)
    if len(products) == 1:
        return products[0], np.zeros_like(products[0])
    half = len(products) - len(products) // 2
    (first, first_squares), (second, second_squares) = (
        _sum_of_block(part, channel_sum) for part in (products[:half], products[half:])
    )
    total = first + second
    return total, first_squares + second_squares + total**2
