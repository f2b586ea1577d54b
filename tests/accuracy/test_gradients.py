"""The predicted error of the gradient of a filter: the model of a convolution, with outputs in the place of taps."""

from __future__ import annotations

from math import isclose

import numpy as np
import pytest
from hypothesis import given, settings

from tests.strategies import nested_algorithms
from winograd import measure_error, nest, toom_cook
from winograd.accuracy.gradients import (
    predict_direct_weight_gradient_relative_l2,
    predict_weight_gradient_relative_l2,
)
from winograd.accuracy.model import kappa, predict_direct_relative_l2
from winograd.accuracy.protocol import Experiment
from winograd.algebra.bilinear import fraction_rows
from winograd.algebra.forms import transposed, transposed_nest
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.interpret import Contraction

F43 = toom_cook(4, 3)

MODEL = 0.08
"""How far the model may be off, as `winograd.accuracy.model.predict_error` says of one product."""

LAST = 0.10
"""What transforming the sums in the dtype instead of in float64 may add: its roundings are few among those of two
transforms and of the products."""


@given(nested=nested_algorithms())
@settings(max_examples=20)
def test_kappa_is_that_of_the_convolution(nested: NestedAlgorithm) -> None:
    assert isclose(kappa(transposed_nest(nested)), kappa(nested), rel_tol=1e-12)


def test_transposition_is_the_gradient_of_the_filter() -> None:
    at, g, bt = (np.array(fraction_rows(matrix)) for matrix in (F43.at, F43.g, F43.bt))
    turned = transposed(F43)
    data, slope = np.arange(6), np.array([1, -2, 3, 5])
    expected = g.T @ ((at.T @ slope) * (bt @ data))
    found = np.array(fraction_rows(turned.at)) @ (
        (np.array(fraction_rows(turned.g)) @ slope) * (np.array(fraction_rows(turned.bt)) @ data)
    )
    assert found.tolist() == expected.tolist() == [np.dot(slope, data[tap : tap + 4]) for tap in range(3)]


@pytest.mark.parametrize("axes", [(F43,), (F43, toom_cook(2, 3)), (F43, F43, F43)], ids=len)
@pytest.mark.parametrize("tiles", [32, 96])
def test_the_prediction_is_met_by_the_experiment(axes: tuple[object, ...], tiles: int) -> None:
    nested = NestedAlgorithm(axes)  # type: ignore[arg-type]
    sums = Experiment("gradient", channels=tiles, channel_block=64, contraction=Contraction.FUSED)
    measured = measure_error(transposed_nest(nested), experiment=sums, order="lowered", trials=400).relative_l2
    predicted = predict_weight_gradient_relative_l2(nested, tiles=tiles, tile_block=64)
    assert 1 - MODEL <= measured / predicted <= 1 + MODEL + LAST


def test_another_order_of_the_sum_is_noticed() -> None:
    nested = nest(F43, F43)
    sums = Experiment("gradient", channels=256, channel_block=64, contraction=Contraction.FUSED)
    measured = measure_error(transposed_nest(nested), experiment=sums, order="lowered", trials=100).relative_l2
    assert measured < (1 - MODEL) * predict_weight_gradient_relative_l2(nested, tiles=256)


def test_more_digits_and_shorter_sums_have_less_error() -> None:
    errors = [
        predict_weight_gradient_relative_l2(F43, dtype=dtype, tiles=tiles, tile_block=64)
        for dtype, tiles in (("float64", 64), ("float32", 64), ("float32", 1024))
    ]
    assert errors == sorted(errors)
    assert isclose(errors[0] * 2**29, errors[1], rel_tol=0.05)


@pytest.mark.parametrize("tiles", [0, True, 1.5])
def test_impossible_numbers_of_tiles_are_refused(tiles: object) -> None:
    with pytest.raises((TypeError, ValueError), match="channels is"):
        predict_weight_gradient_relative_l2(F43, tiles=tiles)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("products", [1, 2, 64, 3136])
def test_one_running_sum_is_that_of_direct_convolution_in_closed_form(products: int, dtype: str) -> None:
    predicted = predict_direct_weight_gradient_relative_l2(dtype, products=products)
    assert isclose(predicted, predict_direct_relative_l2((1,), dtype=dtype, channels=products), rel_tol=1e-12)


def test_a_running_sum_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="products"):
        predict_direct_weight_gradient_relative_l2(products=0)
