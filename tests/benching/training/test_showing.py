from __future__ import annotations

import json

from tests.benching.training.made_up import network, step, training
from winograd.benching.training.showing import training_text


def test_every_error_stands_beside_its_time() -> None:
    lines = training_text(training(step("conv2"))).splitlines()
    row = next(line for line in lines if line.startswith("conv2"))
    expected = "conv2  y, dX F(4x4x4,3x3x3); dW direct 8.0 4.0 2.00 2.00-2.00 1.0e-06 2.0e-06 3.0e-06 4.0e-07 5.6e-06"
    assert row.split() == expected.split()


def test_the_heading_says_on_what_it_was_measured() -> None:
    text = training_text(training(step("conv2")))
    assert "training steps, batch 4, float32, tolerance 5e-06, weights transformed within each step" in text
    assert "a processor, 2 threads, torch 2.0, 2026-11-22, seed 0; medians of 3 interleaved rounds" in text
    assert "environment: OMP_NUM_THREADS=2" in text


def test_parts_and_networks_are_shown_where_there_are_any() -> None:
    text = training_text(training(step("conv2"), networks=(network(),)))
    assert any(line.split() == ["conv2", "output", "2.0", "1.0", "2.00"] for line in text.splitlines())
    assert "torch 3000.0 ms (channels_last), ours 2000.0 ms (contiguous), ratio 1.50 (1.50-1.50)" in text
    assert "ours 4.0e-06, torch's own 3.0e-06; worst parameter: ours 9.0e-06 (fc.weight)" in text
    assert "stem.0  direct  2.0e-07" in text


def test_what_is_above_the_tolerance_is_named() -> None:
    assert training_text(training(step("conv2"))).endswith("above the tolerance: none")
    excess = training(step("conv2", weight_error=5.1e-6))
    assert excess.above_tolerance == ("conv2 weight_gradient",)
    assert training_text(excess).endswith("above the tolerance: conv2 weight_gradient")


def test_json_has_every_round_and_comes_back_as_it_was() -> None:
    found = training(step("conv2"), networks=(network(),)).as_dict()
    read = json.loads(json.dumps(found, allow_nan=False))
    assert read["layers"][0]["rounds"] == {"direct_ms": [6.0, 8.0, 10.0], "ours_ms": [3.0, 4.0, 5.0]}
    assert read["layers"][0]["ratio"]["value"] == 2.0
    assert read["networks"][0]["gradients"]["worst"] == ["fc.weight", 9e-6]
    assert read["above_tolerance"] == []
    assert (read["machine"]["date"], read["seed"], read["threads"]) == ("2026-11-22", 0, 2)
