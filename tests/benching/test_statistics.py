"""Ratios, intervals and sums of made-up times: exact, with powers of two where times are divided."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.benching.statistics import Ratio, Rounds, gflops, median_interval, stack_ratio, summed_ms

DIRECT = (8.0, 16.0, 4.0, 8.0, 32.0, 8.0, 8.0)
OURS = (2.0, 2.0, 2.0, 4.0, 4.0, 1.0, 2.0)


def missed(count: int, rank: int) -> Fraction:
    """Return the probability that a median is outside of the rank-th least and greatest of so many values."""
    return 2 * Fraction(sum(comb(count, heads) for heads in range(rank)), 2**count)


def rank_of(count: int) -> int:
    low, high = median_interval(range(1, count + 1))
    assert low + high == count + 1
    return int(low)


def test_a_layer_s_figures_are_medians() -> None:
    rounds = Rounds(DIRECT, OURS)
    assert (rounds.direct_median_ms, rounds.ours_median_ms) == (8.0, 2.0)
    # By rounds 4, 8, 2, 2, 8, 8, 4; of 7 rounds the interval is from the least to the greatest.
    assert rounds.ratio == Ratio(4.0, 2.0, 8.0)


@given(st.lists(st.integers(-8, 8), min_size=len(OURS), max_size=len(OURS)))
def test_what_slows_down_a_round_does_not_change_the_ratio(exponents: list[int]) -> None:
    slowed = [tuple(time * 2.0**e for time, e in zip(times, exponents, strict=True)) for times in (DIRECT, OURS)]
    assert Rounds(*slowed).ratio == Rounds(DIRECT, OURS).ratio


def test_what_slows_down_one_of_the_two_does() -> None:
    assert Rounds(tuple(2 * time for time in DIRECT), OURS).ratio != Rounds(DIRECT, OURS).ratio


@pytest.mark.parametrize("count", range(6, 60))
def test_the_interval_is_the_shortest_that_holds(count: int) -> None:
    rank = rank_of(count)
    assert missed(count, rank) <= Fraction(1, 20)
    assert missed(count, rank + 1) > Fraction(1, 20)  # one rank further in would break the law


@pytest.mark.parametrize("count", range(1, 6))
def test_few_rounds_give_the_least_and_the_greatest(count: int) -> None:
    assert median_interval(range(count)) == (0, count - 1)


@pytest.mark.parametrize(("direct", "ours"), [((), ()), ((1.0,), (1.0, 1.0)), ((1.0,), ())])
def test_rounds_are_of_both(direct: tuple[float, ...], ours: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="must be as many, at least 1"):
        Rounds(direct, ours)


def test_a_stack_s_ratio_is_sum_over_sum_of_medians_as_often_as_counted() -> None:
    layers = [Rounds(DIRECT, OURS), Rounds((3.0,) * 5, (1.0,) * 5)]
    ratio = stack_ratio(layers, counts=[3, 2])
    assert ratio.value == (3 * 8.0 + 2 * 3.0) / (3 * 2.0 + 2 * 1.0)
    assert ratio.value not in (stack_ratio(layers, counts=[1, 1]).value, (4.0 + 3.0) / 2)
    assert ratio.low <= ratio.value <= ratio.high
    assert ratio.low < ratio.high
    assert summed_ms([8.0, 3.0], [3, 2]) == 30.0


def test_without_noise_the_interval_is_a_point() -> None:
    assert stack_ratio([Rounds((6.0,) * 4, (2.0,) * 4)], [7]) == Ratio(3.0, 3.0, 3.0)


def test_the_bootstrap_is_seeded() -> None:
    layers = [Rounds(DIRECT, OURS), Rounds(tuple(reversed(DIRECT)), tuple(1 + time for time in OURS))]
    assert stack_ratio(layers, [1, 1], seed=3) == stack_ratio(layers, [1, 1], seed=3)


def test_the_bootstrap_draws_both_times_of_a_round() -> None:
    """Rounds of very different speed, all of one ratio: drawn apart, direct and ours would not have it any more."""
    times = tuple(2.0**power for power in range(9))
    paired = stack_ratio([Rounds(tuple(4 * time for time in times), times)], [1])
    assert paired == Ratio(4.0, 4.0, 4.0)
    apart = stack_ratio([Rounds(tuple(4 * time for time in times), tuple(reversed(times)))], [1])
    assert apart.low < 4.0 < apart.high


def test_rates_count_an_addition_with_each_multiplication() -> None:
    assert gflops(5 * 10**8, 2.0) == 500.0


@pytest.mark.parametrize(
    ("direct_ms", "ours_ms", "expected"),
    [
        (2.0, 2.0 / 0.96, True),
        (2.0, 2.0 / 0.98, False),
        (0.5, 0.519, False),  # a ratio of 0.96, but little is added
        (0.5, 0.521, True),
        (1.0, 1.025, False),  # 25 microseconds, but a ratio of 0.98
    ],
)
def test_what_falls_short_by_ratio_or_by_what_is_added(direct_ms: float, ours_ms: float, expected: bool) -> None:
    rounds = Rounds((direct_ms,) * 6, (ours_ms,) * 6)
    assert rounds.falls_short == expected
    assert rounds.added_us == pytest.approx(1e3 * (ours_ms - direct_ms))


def test_what_is_added_is_a_median_of_differences() -> None:
    assert Rounds((0.1, 0.5, 0.1), (0.11, 0.51, 0.9)).added_us == pytest.approx(10)
