"""Figures from the times of interleaved rounds: ratios with intervals, and sums over layers.

In: milliseconds, one per round. Out: figures and their 95 % intervals, which hold for independent rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from winograd.conv.measuring.timing import median_ratio

LAYER_INTERVAL: Final = (
    "95 %, order statistics of the ratios of the rounds; least and greatest below 6 rounds, which is less"
)
"""How the interval of a layer's ratio is made."""

STACK_INTERVAL: Final = (
    "95 %, percentiles of 2000 seeded bootstrap samples of the rounds, drawn for each layer apart; with few, too short"
)
"""How the interval of a stack's ratio is made."""

SHORT_MS: Final = 1.0
"""Below so many milliseconds of direct convolution the time that ours adds counts, from there on the ratio."""

LEAST_RATIO: Final = 0.97
"""What ours has to reach where direct convolution takes `SHORT_MS` or more."""

MOST_ADDED_US: Final = 20.0
"""What ours may add where it takes less, in microseconds."""

_SAMPLES: Final = 2000

_Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times faster, with the interval that it is in.

    Parameters
    ----------
    value, low, high : float
        Above 1 where ours is faster.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rounds:
    """Times of direct convolution and of ours, round i of both from the same stretch of time.

    Parameters
    ----------
    direct_ms, ours_ms : tuple of float
        One per round, at least one, as many of each.

    Raises
    ------
    ValueError
        If there are no rounds, or not as many of each.
    """

    direct_ms: tuple[float, ...]
    ours_ms: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.direct_ms or len(self.direct_ms) != len(self.ours_ms):
            raise ValueError(
                f"{len(self.direct_ms)} rounds of direct convolution and {len(self.ours_ms)} of ours, "
                "must be as many, at least 1"
            )

    @property
    def direct_median_ms(self) -> float:
        """Median of direct convolution."""
        return median(self.direct_ms)

    @property
    def ours_median_ms(self) -> float:
        """Median of ours."""
        return median(self.ours_ms)

    @property
    def ratio(self) -> Ratio:
        """The median of the ratios of the rounds; what slows down both of a round does not change it."""
        ratios = [direct / ours for direct, ours in zip(self.direct_ms, self.ours_ms, strict=True)]
        return Ratio(median_ratio(self.direct_ms, self.ours_ms), *median_interval(ratios))

    @property
    def added_us(self) -> float:
        """The median over the rounds of what ours takes more, in microseconds; below 0 where it is faster."""
        return 1e3 * median(ours - direct for direct, ours in zip(self.direct_ms, self.ours_ms, strict=True))

    @property
    def is_short(self) -> bool:
        """Whether direct convolution takes less than `SHORT_MS`."""
        return self.direct_median_ms < SHORT_MS

    @property
    def falls_short(self) -> bool:
        """Whether ours is slower than it may be: by the ratio, or where that is short, by what it adds."""
        return self.added_us > MOST_ADDED_US if self.is_short else self.ratio.value < LEAST_RATIO


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the order statistics between which the median of the distribution lies with 95 %, whatever it is.

    The k-th least and the k-th greatest value, k as large as it may be: the median is below the k-th least one with the
    probability that fewer than k of n tosses of a coin show heads. With fewer than 6 values, the least and the
    greatest, which is below 95 %.

    Examples
    --------
    >>> median_interval([5.0, 1.0, 4.0, 2.0, 3.0, 6.0])
    (1.0, 6.0)
    >>> median_interval(range(1, 16))
    (4, 12)

    References
    ----------
    H. A. David, H. N. Nagaraja, Order Statistics, 2003, section 7.1.
    """
    ordered, count = sorted(values), len(values)
    below, rank = 1, 1  # the probability times 2^count, exactly
    while 40 * (below + comb(count, rank)) <= 2**count:
        below += comb(count, rank)
        rank += 1
    return ordered[rank - 1], ordered[count - rank]


def stack_ratio(layers: Sequence[Rounds], counts: Sequence[int], seed: int = 0) -> Ratio:
    """Return the sum of the medians of direct convolution over that of ours.

    Parameters
    ----------
    layers : sequence of Rounds
        At least one.
    counts : sequence of int
        How often each layer occurs.
    seed : int
        Of the bootstrap that gives the interval: rounds are drawn again, with both of their times, for each layer
        apart.

    Examples
    --------
    >>> stack_ratio([Rounds((4.0,) * 9, (1.0,) * 9), Rounds((3.0,) * 9, (3.0,) * 9)], counts=[2, 1])
    Ratio(value=2.2, low=2.2, high=2.2)
    """
    generator = np.random.default_rng(seed)
    direct, ours = np.zeros(_SAMPLES), np.zeros(_SAMPLES)
    for rounds, count in zip(layers, counts, strict=True):
        drawn = generator.integers(len(rounds.ours_ms), size=(_SAMPLES, len(rounds.ours_ms)))
        direct += count * _sampled_medians(rounds.direct_ms, drawn)
        ours += count * _sampled_medians(rounds.ours_ms, drawn)
    low, high = np.quantile(direct / ours, (0.025, 0.975))
    direct_ms = summed_ms([rounds.direct_median_ms for rounds in layers], counts)
    ours_ms = summed_ms([rounds.ours_median_ms for rounds in layers], counts)
    return Ratio(direct_ms / ours_ms, float(low), float(high))


def summed_ms(milliseconds: Sequence[float], counts: Sequence[int]) -> float:
    """Return the sum over layers, each as often as it occurs."""
    return sum(count * each for count, each in zip(counts, milliseconds, strict=True))


def _sampled_medians(values: Sequence[float], drawn: NDArray[np.int64]) -> _Array:
    medians: _Array = np.median(np.array(values)[drawn], axis=1)
    return medians


def gflops(multiplications: int, milliseconds: float) -> float:
    """Return 10^9 operations per second, a multiplication counted with the addition that follows it.

    Examples
    --------
    >>> gflops(10**9, 20.0)
    100.0
    """
    return 2 * multiplications / (milliseconds * 1e6)
