from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given

from tests.strategies import algorithms
from winograd.accuracy.experiment import measure_error
from winograd.accuracy.measuring.pipeline import run_tiles
from winograd.accuracy.model import (
    kappa,
    predict_direct_relative_l2,
    predict_experiment,
    predict_relative_l2,
)
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import LAYER, STANDARD, Experiment
from winograd.accuracy.reference import direct_ref
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.interpret import Contraction

TOLERANCE = 0.08
"""Of the model. The number of tiles keeps the standard error of every measurement below 1.5 %."""


def default_nest(m: int, ndim: int) -> NestedAlgorithm:
    return nest(*[toom_cook(m, 3)] * ndim)


@pytest.mark.parametrize(("ndim", "trials"), [(1, 6000), (2, 3000), (3, 1200)])
@pytest.mark.parametrize("m", [2, 4])
def test_prediction_meets_a_simulated_layer(m: int, ndim: int, trials: int) -> None:
    nested = default_nest(m, ndim)
    measured = measure_error(nested, experiment="layer", order="lowered", trials=trials).relative_l2
    assert predict_relative_l2(nested, channels=64, channel_block=64) == pytest.approx(measured, rel=TOLERANCE)
    # The channel sums, and which channels are summed, are part of it.
    assert predict_relative_l2(nested, channels=64, channel_block=16) < (1 - TOLERANCE) * measured
    assert predict_relative_l2(nested, channels=128) > (1 + TOLERANCE) * measured


@pytest.mark.parametrize("channel_block", [None, 16])
def test_prediction_follows_the_blocks_of_the_channels(channel_block: int | None) -> None:
    nested = default_nest(4, 2)
    experiment = Experiment(
        "blocks",
        channels=48,
        channel_block=channel_block,
        contraction=Contraction.FUSED,
        filter_rounding=LAYER.filter_rounding,
    )
    measured = measure_error(nested, experiment=experiment, order="lowered", trials=3000).relative_l2
    predicted = predict_relative_l2(nested, channels=48, channel_block=channel_block)
    assert predicted == pytest.approx(measured, rel=TOLERANCE)


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize(("m", "ndim"), [(4, 1), (4, 2), (4, 3), (6, 1), (6, 2)])
def test_prediction_meets_the_standard_experiment(order: Order, m: int, ndim: int) -> None:
    # One channel, filters transformed in float32, unfused: the terms of the transforms alone.
    nested = default_nest(m, ndim)
    measured = measure_error(nested, order=order, trials=10_000).relative_l2
    predicted = predict_experiment(nested, STANDARD, dtype="float32", order=order)
    assert predicted == pytest.approx(measured, rel=TOLERANCE)


@pytest.mark.parametrize(
    ("channels", "block", "known"),
    [
        (64, None, 1.7e-6),
        (256, None, 3.1e-6),
        (512, None, 4.2e-6),
        (256, 64, 1.7e-6),
        (512, 64, 1.7e-6),
        (64, 32, 1.3e-6),
        (256, 32, 1.3e-6),
        (512, 32, 1.4e-6),
    ],
)
def test_prediction_meets_known_figures(channels: int, block: int | None, known: float) -> None:
    # F(4,3)^3 at 0, +-5/8, +-3/2, infinity, as measured with another implementation, to two digits.
    predicted = predict_relative_l2(default_nest(4, 3), channels=channels, channel_block=block)
    assert predicted == pytest.approx(known, rel=TOLERANCE)


def test_rounded_constants_count() -> None:
    # 1 + 2^-12 + 2^-24 lies half way: rounding it changes the tensor by 2^-24, and by nothing else.
    scale = 1 + Fraction(1, 2**12) + Fraction(1, 2**24)
    axis = BilinearAlgorithm(m=1, r=1, at=[[scale]], g=[[1 / scale]], bt=[[1]])
    experiment = Experiment("one product", contraction=Contraction.FUSED, filter_rounding=LAYER.filter_rounding)
    predicted = predict_experiment(axis, experiment, dtype="float32", order=Order.LOWERED)
    without = predict_experiment(toom_cook(1, 1), experiment, dtype="float32", order=Order.LOWERED)
    # Roundings: filter, product, inverse. Each PHI u^2 / 3, and the first two also in the plain product.
    assert predicted**2 == pytest.approx(without**2 * 3 / 2 + 2.0**-48, rel=1e-3)


@given(algorithms(6))
def test_kappa_is_its_definition(algorithm: BilinearAlgorithm) -> None:
    at, g, bt = (np.array(fraction_rows(x)) for x in (algorithm.at, algorithm.g, algorithm.bt))
    total = sum(sum(at[:, t] ** 2) * sum(g[t] ** 2) * sum(bt[t] ** 2) for t in range(algorithm.rank))
    assert kappa(algorithm) == pytest.approx(float(total / (algorithm.m * algorithm.r)), rel=1e-12)


@given(algorithms(5), algorithms(5))
def test_kappa_multiplies_over_the_axes(first: BilinearAlgorithm, second: BilinearAlgorithm) -> None:
    assert kappa(nest(first, second)) == pytest.approx(kappa(first) * kappa(second), rel=1e-12)


@pytest.mark.parametrize(("m", "r"), [(2, 3), (4, 3), (5, 2)])
def test_kappa_is_symmetric_in_outputs_and_taps(m: int, r: int) -> None:
    assert kappa(toom_cook(m, r)) == pytest.approx(kappa(toom_cook(r, m)), rel=1e-12)


@pytest.mark.parametrize(("m", "ndim", "trials"), [(2, 1, 4000), (4, 1, 4000), (6, 1, 4000), (4, 2, 2000)])
def test_rectified_inputs_stay_below_the_prediction(m: int, ndim: int, trials: int) -> None:
    nested, rng = default_nest(m, ndim), np.random.default_rng(0)
    data = np.maximum(rng.standard_normal((*nested.tile, LAYER.channels, trials)), 0).astype(np.float32)
    filters = rng.standard_normal((*nested.r, LAYER.channels, trials)).astype(np.float32)
    exact = direct_ref(data.astype(np.float64), filters.astype(np.float64))
    error = run_tiles(nested, data, filters, Order.LOWERED, LAYER) - exact
    measured = np.sqrt((error**2).sum() / (exact**2).sum())
    predicted = predict_relative_l2(nested, channels=LAYER.channels, channel_block=LAYER.channel_block)
    assert 0.75 <= measured / predicted <= 0.9


def test_direct_convolution_depends_on_its_order() -> None:
    # Known figures for 64 channels and 27 taps: one running sum, and taps first.
    assert predict_direct_relative_l2((3, 3, 3), channels=64) == pytest.approx(7.4e-7, rel=0.02)
    assert predict_direct_relative_l2((3, 3, 3), channels=64, block=27) == pytest.approx(1.7e-7, rel=0.03)
    half, single = (predict_direct_relative_l2((3, 3), dtype=dtype) for dtype in ("float16", "float32"))
    assert half == 2**13 * single


def test_prediction_is_fast_once_it_is_known() -> None:
    nested = default_nest(4, 3)
    predict_relative_l2(nested, channels=64)
    begin = time.thread_time()  # of the processor: other work on the machine does not count
    for channels in range(1, 21):
        predict_relative_l2(nested, channels=channels)
    assert time.thread_time() - begin < 20 * 0.010


def test_what_is_outside_the_model_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="not rational"):
        kappa(toom_cook(2, 3, [0, sympy.sqrt(2), -sympy.sqrt(2), "inf"]))
    with pytest.raises(ValueError, match="channel_block is 0"):
        predict_relative_l2(toom_cook(2, 3), channel_block=0)
