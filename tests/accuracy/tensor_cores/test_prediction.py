"""The predicted error of products on tensor cores, against emulated layers."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from winograd.accuracy.measuring.pipeline import transform
from winograd.accuracy.model import predict_relative_l2
from winograd.accuracy.orders import Order, axis_programs
from winograd.accuracy.tensor_cores import (
    Products,
    as_products,
    layers,
    measure_product_error,
    operands,
    predict_product_error,
    sums,
)
from winograd.accuracy.tensor_cores.operands import cut_off
from winograd.accuracy.tensor_cores.sums import channel_sums
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.interpret import Contraction

ROOT = Path(__file__).resolve().parents[3]
FORMS = ((2,), (4,), (2, 2), (3, 3), (4, 4), (2, 2, 2), (2, 4, 4), (3, 3, 3), (4, 4, 4))

BELOW, ABOVE = 1.08, 1.25
"""A measured error may be this factor above the predicted one, as in the model itself, and this factor below it: how
many digits a GPU keeps where it aligns addends is not known for all of them, and the model takes the worse case."""


def layer(nested: NestedAlgorithm, channels: int, trials: int) -> tuple[np.ndarray, ...]:
    """Return U and V of random tiles in float32, and the exact outputs."""
    rng = np.random.default_rng(0)
    data, filters = (
        rng.standard_normal((*sizes, channels, trials)).astype(np.float32) for sizes in (nested.tile, nested.r)
    )
    programs = [axis_programs(axis, Order.LOWERED) for axis in nested.axes]
    u = transform([axis.filter for axis in programs], filters.astype(np.float64), Contraction.SEPARATE)
    v = transform([axis.data for axis in programs], data, Contraction.FUSED)
    wide = transform([axis.data for axis in programs], data.astype(np.float64), Contraction.SEPARATE)
    return u.astype(np.float32), v, inverse(nested, (u * wide).sum(axis=-2))


def inverse(nested: NestedAlgorithm, sums: np.ndarray) -> np.ndarray:
    programs = [axis_programs(axis, Order.LOWERED).inverse for axis in nested.axes]
    return transform(programs, sums, Contraction.FUSED)


def relative(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


CASES = [
    ((2,), 64, 2000),
    ((4,), 64, 2000),
    ((2, 2), 64, 600),
    ((3, 4), 200, 200),
    ((2, 2, 2), 64, 200),
    ((4, 4, 4), 64, 40),
]


@pytest.mark.parametrize(("m", "channels", "trials"), CASES)
def test_predictions_meet_emulated_layers(m: tuple[int, ...], channels: int, trials: int) -> None:
    nested = nest(*(toom_cook(size, 3) for size in m))
    for products in Products:
        sums = {"channels": channels, "channel_block": 32 if products.is_blocked else None}
        predicted = predict_product_error(nested, products, **sums)
        measured = measure_product_error(nested, products, trials=trials, **sums)
        assert predicted / ABOVE < measured < BELOW * predicted, products


def test_the_stored_figures_are_those_of_today() -> None:
    table = json.loads((ROOT / "benchmarks" / "results" / "tensor_core_errors.json").read_text())
    assert len(table["rows"]) == 90
    algorithms = {nested.label: nested for nested in (nest(*(toom_cook(m, 3) for m in form)) for form in FORMS)}
    for row in table["rows"]:
        block = table["channel_block"] if as_products(row["products"]).is_blocked else None
        predicted = predict_product_error(
            algorithms[row["algorithm"]], row["products"], channels=row["channels"], channel_block=block
        )
        assert predicted == pytest.approx(row["predicted"], rel=1e-9)
        assert predicted / ABOVE < row["emulated"] < BELOW * predicted


@pytest.mark.parametrize("guard", [1, 3, 20])
def test_predictions_hold_for_other_tensor_cores(monkeypatch: pytest.MonkeyPatch, guard: int) -> None:
    nested = nest(toom_cook(4, 3), toom_cook(4, 3))
    u, v, exact = layer(nested, 64, 400)
    monkeypatch.setattr(sums, "GUARD", guard)
    measured = relative(inverse(nested, channel_sums(u, v, Products.TF32X3, 32)), exact)
    predicted = predict_product_error(nested, channels=64, channel_block=32)
    assert predicted / ABOVE < measured < BELOW * predicted


def test_rounding_operands_is_not_cutting_them_off(monkeypatch: pytest.MonkeyPatch) -> None:
    nested = nest(toom_cook(2, 3))
    u, v, exact = layer(nested, 64, 2000)
    predicted = predict_product_error(nested, "tf32", channels=64)
    monkeypatch.setattr(operands, "rounded_away", cut_off)
    found = inverse(nested, channel_sums(u, v, Products.TF32, 32))
    assert relative(found, exact) > 1.5 * predicted
    share = 2 * 2.0**-11 / (2 * np.log(2))  # by which the operands, and so the outputs, are too small
    assert 1 - (found * exact).sum() / (exact**2).sum() == pytest.approx(share, rel=0.05)


def test_partial_sums_matter() -> None:
    nested = nest(toom_cook(2, 3), toom_cook(2, 3))
    u, v, exact = layer(nested, 512, 100)
    running, blocked = (
        (relative(inverse(nested, channel_sums(u, v, Products.TF32X3, size)), exact), size) for size in (512, 32)
    )
    assert running[0] > 2 * blocked[0]
    for measured, size in (running, blocked):
        predicted = predict_product_error(nested, channels=512, channel_block=size)
        assert predicted / ABOVE < measured < BELOW * predicted


def test_without_tensor_cores_it_is_the_model_of_one_running_sum() -> None:
    nested = nest(toom_cook(4, 3), toom_cook(2, 3))
    usual = predict_relative_l2(nested, channels=48)
    assert usual > 1.1 * predict_relative_l2(nested, channels=48, channel_block=16)
    for block in (None, 16):
        found = predict_product_error(nested, "ieee", channels=48, channel_block=block)
        assert found == pytest.approx(usual, rel=1e-12)


def test_blocks_mean_the_same_to_prediction_and_emulation() -> None:
    axis, sums = toom_cook(3, 2), {"channels": 256, "channel_block": 16}
    for products in Products:
        predicted = predict_product_error(axis, products, **sums)
        measured = measure_product_error(axis, products, trials=600, **sums)
        assert predicted / ABOVE < measured < BELOW * predicted, products


def test_operands_that_overflow_are_an_infinite_error() -> None:
    large = BilinearAlgorithm(m=1, r=1, at=[[1]], g=[[10**6]], bt=[[Fraction(1, 10**6)]])
    assert measure_product_error(large, "float16", trials=20) == np.inf
    assert measure_product_error(large, "bfloat16", trials=20) < 1e-2


def test_an_axis_left_alone_is_more_channels() -> None:
    axis, alone = toom_cook(4, 3), toom_cook(1, 3)
    for products in Products:
        settings = {"products": products, "channel_block": 32}
        mixed = predict_product_error(nest(alone, axis, axis), channels=64, **settings)
        assert mixed == predict_product_error(nest(axis, axis), channels=192, **settings)
    direct = predict_product_error(nest(alone, alone, alone), "tf32", channels=2)
    assert direct == predict_product_error(nest(toom_cook(1, 1)), "tf32", channels=54)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"channels": 0}, ValueError, "channels is 0, must be at least 1"),
        ({"channel_block": 0}, ValueError, "channel_block is 0, must be at least 1"),
        ({"channels": 2.5}, TypeError, "channels is 2.5, must be an integer of at least 1"),
        ({"channels": True}, TypeError, "channels is True, must be an integer of at least 1"),
        ({"products": "fp16"}, ValueError, "products is 'fp16', must be one of ieee, tf32x3, tf32, float16, bfloat16"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        predict_product_error(toom_cook(2, 3), **arguments)
    assert str(raised.value) == message


def test_a_measurement_is_the_same_in_parts_and_needs_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    axis = toom_cook(2, 3)
    first = measure_product_error(axis, channels=8, trials=30)
    assert (
        first
        == measure_product_error(axis, channels=8, trials=30)
        != measure_product_error(axis, channels=8, trials=31)
    )
    monkeypatch.setattr(layers, "_NUMBERS", 1)
    assert measure_product_error(axis, channels=8, trials=30) == pytest.approx(first, rel=0.5)  # other draws
    with pytest.raises(ValueError, match=r"^trials is 0, must be at least 1$"):
        measure_product_error(axis, trials=0)
