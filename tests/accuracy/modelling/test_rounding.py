from __future__ import annotations

import math

import numpy as np
import pytest

from winograd.accuracy.formats import float_format
from winograd.accuracy.modelling.accumulation import accumulation, addition, squared_partial_sums
from winograd.accuracy.modelling.rounding import PHI, phi, rounding_variance
from winograd.accuracy.protocol import ChannelSum, Experiment
from winograd.codegen.interpret import Contraction

SAMPLE = 400_000
F32 = float_format("float32")


def mean_of_phi(values: np.ndarray) -> float:
    return float((4.0 ** np.floor(np.log2(np.abs(values)))).mean() / (values**2).mean())


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.3, 1.9])
@pytest.mark.parametrize(("terms", "kurtosis"), [(1, -1.2), (2, -0.6), (None, 0.0)])
def test_phi_meets_a_simulation(terms: int | None, kurtosis: float, scale: float) -> None:
    rng = np.random.default_rng(0)
    if terms is None:
        values = rng.standard_normal(SAMPLE)
    else:
        values = rng.uniform(-1, 1, (terms, SAMPLE)).sum(axis=0) * math.sqrt(3 / terms)
    found = float(phi(np.array([scale]), np.array([kurtosis]))[0])
    # The relative spread of 4^floor(log2 v) and of v^2 is at most 1.5 each; four standard errors.
    assert found == pytest.approx(mean_of_phi(values * scale), rel=4 * 3 / math.sqrt(SAMPLE))


@pytest.mark.parametrize("kurtosis", [-1.2, -0.5, 0.0])
def test_phi_averages_to_its_mean_over_the_scale(kurtosis: float) -> None:
    scales = 2.0 ** (np.arange(4096) / 4096)
    # The average over a period by 4096 points of a function with kinks, tabulated at 1024: a few times 1e-6.
    assert phi(scales, np.full(4096, kurtosis)).mean() == pytest.approx(PHI, rel=1e-4)


def test_a_deviation_of_zero_rounds_nothing() -> None:
    assert phi(np.zeros(2), np.zeros(2)).tolist() == [0, 0]
    assert rounding_variance(np.zeros(2), np.zeros(2), F32).tolist() == [0, 0]


@pytest.mark.parametrize("exponent", [0, -10, -14, -16, -20, -24, -25, -27, -40])
def test_rounding_with_underflow_meets_a_simulation(exponent: int) -> None:
    half = float_format("float16")
    values = 2.0**exponent * np.random.default_rng(1).standard_normal(SAMPLE)
    measured = ((values - values.astype(np.float16).astype(np.float64)) ** 2).mean()
    found = float(rounding_variance(np.array([2.0**exponent]), np.array([0.0]), half)[0])
    # Uniform errors in a binade have a relative spread of their squares of at most 3; 2 % for grids of a few numbers.
    assert found == pytest.approx(measured, rel=4 * 3 / math.sqrt(SAMPLE) + 0.02, abs=0)


@pytest.mark.parametrize("ratio", [1, 2, 5, 20, 60])
def test_sums_of_rounded_numbers_are_rounded_more(ratio: int) -> None:
    rng = np.random.default_rng(2)
    scale = 2.0 ** rng.uniform(0, 1, SAMPLE)
    first = (scale * rng.standard_normal(SAMPLE)).astype(np.float32)
    second = (scale * math.sqrt(ratio) * rng.standard_normal(SAMPLE)).astype(np.float32)
    exact = first.astype(np.float64) + second.astype(np.float64)
    usual = F32.roundoff**2 / 3 * (4.0 ** np.floor(np.log2(np.abs(exact)))).mean()
    measured = (((first + second).astype(np.float64) - exact) ** 2).mean() / usual
    # Squared errors over the usual have a spread of at most 3; 1 % for the fit.
    assert addition(1, ratio) == pytest.approx(measured, rel=4 * 3 / math.sqrt(SAMPLE) + 0.01)
    assert addition(1, ratio) == addition(ratio, 1)


SUMS = [
    Experiment("in order", channels=13),
    Experiment("fused", channels=13, contraction=Contraction.FUSED),
    Experiment("blocks", channels=13, channel_block=4, contraction=Contraction.FUSED),
    Experiment("pairs", channels=13, channel_sum=ChannelSum.PAIRWISE),
    Experiment("blocks of pairs", channels=13, channel_block=5, channel_sum=ChannelSum.PAIRWISE),
    Experiment("one", channels=1),
]


@pytest.mark.parametrize("experiment", SUMS, ids=lambda one: one.name)
def test_partial_sums_average_to_the_accumulation(experiment: Experiment) -> None:
    products = np.random.default_rng(3).standard_normal((experiment.channels, SAMPLE // 4))
    found = squared_partial_sums(products, experiment, F32)
    expected = accumulation(experiment, F32) * experiment.channels
    assert found.mean() == pytest.approx(expected, abs=4 * found.std() / math.sqrt(len(found)))


def test_fused_sums_round_their_first_product_only() -> None:
    # Partial sums of 1, 2 and 3 products: the first is the rounded product.
    fused = Experiment("fused", channels=3, contraction=Contraction.FUSED)
    assert accumulation(fused, F32) == (1 + 2 + 3) / 3
    # Products of float16 numbers are float32 numbers.
    stored = Experiment("stored", channels=3, contraction=Contraction.FUSED, storage="float16")
    assert accumulation(stored, F32) == (2 + 3) / 3
