"""Where an experiment rounds: formats and depths one by one, and what a product and its sum add, to the last digit."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from winograd import error_bound
from winograd.accuracy.bounding.rounding_stages import product_bound, stages_of, stages_of_any
from winograd.accuracy.formats import float_format
from winograd.accuracy.protocol import Experiment
from winograd.algebra.bilinear import BilinearAlgorithm

FLOAT32 = float_format("float32")


@pytest.mark.parametrize(
    ("options", "depth"),
    [
        ({"channels": 1}, 1),
        ({"channels": 64}, 64),
        ({"channels": 64, "contraction": "fused"}, 64),
        ({"channels": 64, "channel_sum": "pairwise"}, 1 + 6),
        ({"channels": 65, "channel_sum": "pairwise"}, 1 + 7),
        ({"channels": 64, "channel_block": 8}, 1 + 7 + 7),
        ({"channels": 64, "channel_block": 8, "channel_sum": "pairwise"}, 1 + 3 + 7),
        ({"channels": 66, "channel_block": 8, "channel_sum": "pairwise"}, 1 + 3 + 8),
        ({"channels": 64, "channel_block": 99}, 64),
        ({"channels": 64, "storage": "float16"}, 63),  # two numbers of 11 digits have a product of 22
    ],
)
def test_the_depth_is_the_most_roundings_of_one_product(options: dict[str, Any], depth: int) -> None:
    assert stages_of(Experiment("sums", **options), FLOAT32).depth == depth


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ("float32", "float32", "float32", None, None, ())),
        ({"filter_rounding": "once"}, ("float32", "float32", "float64", None, "float32", ())),
        ({"storage": "bfloat16"}, ("float32", "float32", "float32", "bfloat16", "bfloat16", ())),
        ({"interface": "float16"}, ("float32", "float32", "float32", None, None, ("float16",))),
        ({"transforms": "float64"}, ("float32", "float64", "float64", "float32", "float32", ("float32",))),
        (
            {"transforms": "float64", "interface": "bfloat16", "storage": "float16"},
            ("float32", "float64", "float64", "float16", "float16", ("float32", "bfloat16")),
        ),
    ],
)
def test_every_stage_has_its_format(options: dict[str, Any], names: tuple[Any, ...]) -> None:
    found = stages_of(Experiment("stages", **options), FLOAT32)
    stored = (one and one.name for one in (found.stored_data, found.stored_filter))
    outputs = tuple(one.name for one in found.outputs)
    assert (found.sums.name, found.data.name, found.filter.name, *stored, outputs) == names


def test_a_product_and_its_sum_add_what_they_round() -> None:
    one = np.ones(1)
    u, lost = FLOAT32.roundoff, FLOAT32.underflow
    pairs = stages_of(Experiment("pairs", channels=64, channel_sum="pairwise"), FLOAT32)  # type: ignore[arg-type]
    for stages, growth in ((stages_of_any(FLOAT32, 64), 64 * u), (pairs, float((1 + Fraction(u)) ** 7 - 1))):
        for errors in ((0.0, 0.0), (0.5, 0.25)):
            size, error = product_bound((one, errors[0] * one), (3 * one, errors[1] * one), stages)
            own = errors[0] * 3 + (1 + errors[0]) * errors[1]
            assert size == 3
            assert error.item() == pytest.approx(own + growth * (3 + own), rel=1e-12)
        nothing = (0 * one, 0 * one)
        assert product_bound(nothing, nothing, stages)[1].item() == pytest.approx((1 + growth) * lost, rel=1e-12)
        assert product_bound(nothing, nothing, stages, underflow=False)[1].item() == 0


def test_norms_have_no_part_of_what_underflows() -> None:
    # All factors are powers of two, so that the product alone is rounded; each of them may underflow.
    quarters = BilinearAlgorithm(m=1, r=1, at=[[8]], g=[[Fraction(1, 2)]], bt=[[Fraction(1, 4)]])
    u, lost = 2.0**-11, 2.0**-25
    bound = error_bound(quarters, "float16")
    assert bound.norm_factor == pytest.approx(u, rel=2.0**-27)
    # 8 (u/8 + lost (1/2 + 1/4 + lost) (1 + u) + (1 + u) lost) + lost
    inner = lost * (1 / 2 + 1 / 4 + lost) * (1 + u) + (1 + u) * lost
    assert bound.max_abs == pytest.approx(u + 8 * inner + lost, rel=2.0**-27)


def test_norms_have_a_part_for_what_is_stored_and_for_what_is_given_back() -> None:
    plain = BilinearAlgorithm(m=1, r=1, at=[[1]], g=[[1]], bt=[[1]])
    experiment = Experiment("16 bits", storage="float16", interface="bfloat16")
    stored = (1 + 2.0**-11) ** 2 - 1  # their product is exact in float32, and so is the sum of one
    expected = stored + 2.0**-8 * (1 + stored)
    assert error_bound(plain, experiment=experiment).norm_factor == pytest.approx(expected, rel=2.0**-27)
