"""Every field of an experiment, every dtype and order: predicted as measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from winograd.accuracy.experiment import measure_error, sample_errors
from winograd.accuracy.model import predict_error
from winograd.accuracy.protocol import LAYER, STANDARD, ChannelSum, Experiment, FilterRounding, Inputs
from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.interpret import Contraction

ONE, MANY = 0.08, 0.05
"""Tolerance of the model for one channel, and for 64."""

EXPERIMENTS = [
    ("float32", replace(LAYER, inputs=Inputs.NORMAL)),
    ("float32", replace(LAYER, channel_block=None, contraction=Contraction.SEPARATE)),
    ("float32", replace(LAYER, channel_block=7)),
    ("float32", replace(LAYER, channel_sum=ChannelSum.PAIRWISE)),
    ("float32", replace(LAYER, filter_rounding=FilterRounding.EVERY_INSTRUCTION)),
    ("float32", replace(LAYER, storage="float16")),
    ("float32", replace(LAYER, storage="bfloat16")),
    ("float32", replace(LAYER, storage="tf32")),
    ("float32", replace(LAYER, interface="float16")),
    ("float32", replace(LAYER, interface="bfloat16", storage="bfloat16", inputs=Inputs.NORMAL)),
    ("float32", replace(LAYER, transforms="float64")),
    ("float16", LAYER),
    ("float16", replace(LAYER, transforms="float32")),
    ("bfloat16", LAYER),
    ("bfloat16", replace(LAYER, channel_block=8, channel_sum=ChannelSum.PAIRWISE)),
    ("float32", replace(STANDARD, inputs=Inputs.NORMAL)),
    ("float32", replace(STANDARD, transforms="float64", filter_rounding=FilterRounding.ONCE)),
    ("float32", replace(STANDARD, storage="tf32")),
    ("float16", STANDARD),
]


@pytest.mark.parametrize(("dtype", "experiment"), EXPERIMENTS)
def test_every_field_is_predicted_as_measured(dtype: str, experiment: Experiment) -> None:
    nested = nest(*[toom_cook(4, 3)] * 2)
    trials = 20_000 if experiment.channels == 1 else 1200
    predicted = predict_error(nested, dtype, experiment)
    measured = measure_error(nested, dtype, experiment, trials, "lowered")
    tolerance = ONE if experiment.channels == 1 else MANY
    # Errors of outputs rounded to 16 bits are uniform, not normal: their mean is outside the model.
    for name in ("relative_l2", "rms", *(["mean_abs"] if experiment.interface is None else [])):
        low, high = getattr(measured, f"{name}_interval")
        centre = getattr(measured, name)
        # The tolerance of the model, and four standard errors of the measurement.
        assert abs(getattr(predicted, name) / centre - 1) <= tolerance + (high - low) / centre, name


@pytest.mark.parametrize("order", ["sequential", "huffman", "lowered"])
@pytest.mark.parametrize(("m", "ndim"), [(2, 2), (4, 1), (5, 2), (4, 3)])
def test_every_order_is_predicted_as_measured(order: str, m: int, ndim: int) -> None:
    nested = nest(*[toom_cook(m, 3)] * ndim)
    predicted = predict_error(nested, experiment="standard", order=order)
    measured = measure_error(nested, trials=20_000 // 4 ** (ndim - 1), order=order)
    low, high = measured.relative_l2_interval
    assert abs(predicted.relative_l2 / measured.relative_l2 - 1) <= ONE + (high - low) / measured.relative_l2
    low, high = measured.mean_abs_interval
    assert abs(predicted.mean_abs / measured.mean_abs - 1) <= ONE + (high - low) / measured.mean_abs


def test_float64_is_float32_with_more_digits() -> None:
    # Constants 1, 1/2 and -1 are exact in both, so that every term scales with u.
    nested = nest(*[toom_cook(2, 3)] * 2)
    wide, narrow = (predict_error(nested, dtype).relative_l2 for dtype in ("float64", "float32"))
    assert wide == pytest.approx(narrow * 2.0**-29, rel=1e-9, abs=0)


def test_errors_by_output_add_up_to_the_rms() -> None:
    nested = nest(toom_cook(4, 3), toom_cook(2, 3))
    predicted = predict_error(nested)
    assert predicted.rms_by_output.shape == nested.m
    assert np.sqrt((predicted.rms_by_output**2).mean()) == pytest.approx(predicted.rms)
    assert not predicted.rms_by_output.flags.writeable


def test_where_in_the_tile_the_error_sits_is_predicted() -> None:
    nested = nest(toom_cook(6, 3))
    errors = sample_errors(nested, "float32", LAYER, 2000, "lowered")
    measured = np.sqrt((errors**2).mean(axis=0))
    # A root mean square of 2000 nearly normal numbers has a standard error of 1 / sqrt(4000).
    assert predict_error(nested).rms_by_output == pytest.approx(measured, rel=MANY + 4 / np.sqrt(4000))
    assert measured.max() > 2 * measured.min()


def test_prediction_shows_itself() -> None:
    predicted = predict_error(toom_cook(2, 3))
    assert "\n" not in repr(predicted)
    assert "<td>relative_l2</td>" in predicted._repr_html_()


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="dtype is int8"):
        predict_error(toom_cook(2, 3), "int8")
    with pytest.raises(ValueError, match="order is 'other'"):
        predict_error(toom_cook(2, 3), order="other")
    with pytest.raises(ValueError, match="experiment is 'other'"):
        predict_error(toom_cook(2, 3), experiment="other")
