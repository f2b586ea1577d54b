from __future__ import annotations

import json
from dataclasses import fields, replace

from tests.benching.made_up import benchmark, measurement
from winograd.benching.result import LayerMeasurement, StackMeasurement

FAST = measurement("fast", (8.0, 8.0, 8.0), (2.0, 2.0, 2.0), count=2)
DIRECT = measurement("plain", (4.0, 4.0, 4.0), (4.0, 4.0, 4.0), measured_error=2e-5, is_direct=True)
BOTH = benchmark(FAST, DIRECT)


def test_rates_of_a_layer() -> None:
    assert (FAST.effective_gflops, FAST.executed_gflops, FAST.direct_gflops) == (1000.0, 300.0, 250.0)


def test_the_stack_sums_up_as_often_as_counted() -> None:
    stack = BOTH.stack
    assert (stack.direct_ms, stack.ours_ms) == (2 * 8.0 + 4.0, 2 * 2.0 + 4.0)
    assert (stack.ratio.low, stack.ratio.value, stack.ratio.high) == (2.5, 2.5, 2.5)
    assert stack.effective_gflops == 2 * 3 * 10**9 / 8.0e6
    assert stack.executed_gflops == 2 * (2 * 3 * 10**8 + 10**9) / 8.0e6
    assert stack.worst_error == 2e-5
    assert stack.convolutions == 3
    assert (stack.filter_bytes, stack.workspace_bytes) == (2 * 2**20, 3 * 2**20)


def test_layers_above_the_tolerance_are_named() -> None:
    assert BOTH.above_tolerance == ("plain",)
    assert benchmark(FAST, DIRECT, tolerance=2e-5).above_tolerance == ()


def test_json_has_every_figure_and_the_time_of_every_round() -> None:
    figures = json.loads(json.dumps(BOTH.as_dict(), allow_nan=False))
    assert set(figures) == {
        *("suite", "batch", "tolerance", "repeats", "seed", "threads", "machine", "environment"),
        *(
            "intervals",
            "layers",
            "stack",
            "parts",
            "above_tolerance",
            "fall_short",
            "most_added_us",
            "dtype",
            "filters",
        ),
    }
    assert set(figures["layers"][0]) == {
        *(field.name for field in fields(LayerMeasurement)),
        *("direct_ms", "ours_ms", "ratio", "effective_gflops", "executed_gflops", "direct_gflops"),
        *("of_bound", "added_us", "falls_short"),
    }
    assert set(figures["stack"]) == {field.name for field in fields(StackMeasurement)}
    assert figures["layers"][0]["rounds"] == {"direct_ms": [8.0, 8.0, 8.0], "ours_ms": [2.0, 2.0, 2.0]}
    assert figures["layers"][0]["ratio"] == {"value": 4.0, "low": 4.0, "high": 4.0}
    assert figures["layers"][1]["predicted_error"] is None


def test_the_parts_sum_up_to_the_stack() -> None:
    both = benchmark(FAST, replace(DIRECT, part="pointwise"))
    assert list(both.parts) == ["stride1", "pointwise"]
    assert sum(part.ours_ms for part in both.parts.values()) == both.stack.ours_ms
    assert BOTH.parts["stride1"] == BOTH.stack


def test_how_much_of_the_roofline_was_reached() -> None:
    assert FAST.of_bound == 0.5


def test_what_falls_short_is_named() -> None:
    slower = measurement("slower", (2.0,) * 6, (2.1,) * 6)
    tiny, tinier = measurement("tiny", (0.1,) * 6, (0.13,) * 6), measurement("tinier", (0.05,) * 6, (0.06,) * 6)
    found = benchmark(FAST, slower, tiny, tinier)
    assert [layer.layer for layer in found.short] == ["slower", "tiny"]
    assert found.most_added is tiny
    assert BOTH.short == ()
    assert BOTH.most_added is None
