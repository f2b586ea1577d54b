"""Weights of sums: in closed form what one rounding after the other adds up to, and quick for many channels."""

from __future__ import annotations

import numpy as np
import pytest

from winograd.accuracy.formats import float_format
from winograd.accuracy.modelling import accumulation as module
from winograd.accuracy.modelling.accumulation import (
    accumulation,
    addition,
    rounded_products,
    squared_partial_sums,
)
from winograd.accuracy.protocol import ChannelSum, Experiment
from winograd.codegen.interpret import Contraction

FLOAT32 = float_format("float32")


def within_ref(size: int, experiment: Experiment) -> float:
    if experiment.channel_sum is ChannelSum.PAIRWISE:
        if size == 1:
            return 0.0
        first, second = size - size // 2, size // 2
        both = within_ref(first, experiment) + within_ref(second, experiment)
        return size * float(addition(first, second)) + both
    fused = experiment.contraction is Contraction.FUSED
    return sum((c + 1) * (1.0 if fused else float(addition(c, 1))) for c in range(1, size))


def accumulation_ref(experiment: Experiment) -> float:
    """Return the figure sum by sum."""
    total, so_far = float(rounded_products(experiment, FLOAT32)), 0
    for block in experiment.blocks:
        total += within_ref(len(block), experiment)
        if so_far:
            total += (so_far + len(block)) * float(addition(so_far, len(block)))
        so_far += len(block)
    return total / experiment.channels


@pytest.mark.parametrize("contraction", Contraction)
@pytest.mark.parametrize("channel_sum", ChannelSum)
def test_closed_forms_are_the_sums_of_all_roundings(channel_sum: ChannelSum, contraction: Contraction) -> None:
    for channels in (1, 2, 3, 64, 100, 4097, 9001):
        for block in (None, 1, 7, 64, 20_000):
            drawn = Experiment("sums", channels, block, contraction, channel_sum=channel_sum)
            # What is left of a running sum beyond 4096 terms is an integral: off by less than 1 / 4096^2.
            assert accumulation(drawn, FLOAT32) == pytest.approx(accumulation_ref(drawn), rel=2.0**-24)


@pytest.mark.parametrize("contraction", Contraction)
@pytest.mark.parametrize("channel_sum", ChannelSum)
@pytest.mark.parametrize("storage", [None, "float16"])
def test_squares_of_random_products_are_on_average_the_figure(
    channel_sum: ChannelSum, contraction: Contraction, storage: str | None
) -> None:
    for channels in (1, 2, 3, 20, 33):
        for block in (None, 1, 7):
            drawn = Experiment("sums", channels, block, contraction, channel_sum=channel_sum, storage=storage)
            # The mean of a sum of squares of sums of independent numbers is that over products of which one is 1.
            alone = squared_partial_sums(np.eye(channels), drawn, FLOAT32)
            assert alone.sum() == pytest.approx(channels * accumulation(drawn, FLOAT32), rel=1e-12)


def excess(count: int) -> float:
    """Return what is left of a running sum's weight without that of sums of numbers that are not rounded."""
    module.running_sum.cache_clear()
    return module.running_sum(count) - (count * (count + 1) / 2 - 1)


def test_an_integral_that_begins_too_early_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = sum((c + 1) * float(addition(c, 1) - 1) for c in range(1, 9001))
    assert excess(9001) == pytest.approx(exact, rel=1e-7)
    monkeypatch.setattr(module, "_FEW", 4)
    assert excess(9001) != pytest.approx(exact, rel=1e-7)
    module.running_sum.cache_clear()


def test_as_many_channels_as_may_be_are_quick() -> None:
    # One running sum of C numbers has about (C + 1) / 2; 2^51 blocks of 4 have about a quarter.
    sequential = Experiment("one", 2**53, contraction=Contraction.FUSED)
    assert accumulation(sequential, FLOAT32) == pytest.approx(2.0**52)
    assert accumulation(Experiment("blocks", 2**53, 4), FLOAT32) == pytest.approx(2.0**50, rel=1e-6)
