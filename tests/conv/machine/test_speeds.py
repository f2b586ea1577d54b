"""Machines as JSON: what is written is read, what is no machine is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from winograd.conv.machine import NOMINAL, Machine

Changed = Callable[[dict[str, Any]], Any]


def test_what_is_written_is_read() -> None:
    other = replace(NOMINAL, wait_ms=0.125, peaks=replace(NOMINAL.peaks, memory_gbs=17.5))
    assert Machine.from_json(other.to_json()) == other
    assert Machine.from_json(other.to_json().encode()) == other


def test_peaks_alone_scale_the_nominal_machine() -> None:
    peaks = replace(NOMINAL.peaks, core_gflops=3 * NOMINAL.peaks.core_gflops)
    machine = Machine.from_json(json.dumps({"peaks": asdict(peaks)}))
    assert machine.peaks == peaks
    assert machine.core_gflops == pytest.approx(3 * NOMINAL.core_gflops)
    assert machine.instruction_ns == pytest.approx(NOMINAL.instruction_ns / 3)
    assert machine.stream_gbs == NOMINAL.stream_gbs


REFUSED: dict[str, Changed] = {
    "machine has unknown field 'cores'": lambda found: found | {"cores": 2},
    "machine has missing field 'wait_ms'": lambda found: {name: found[name] for name in found if name != "wait_ms"},
    "machine has missing field 'peaks'": lambda found: {name: found[name] for name in found if name != "peaks"},
    "peaks has missing field 'core_gflops'": lambda found: found | {"peaks": {}},
    "peaks has unknown field 'x'": lambda found: {"peaks": found["peaks"] | {"x": 1}},
    "wait_ms is -1, must be finite and above 0": lambda found: found | {"wait_ms": -1},
    "wait_ms is nan, must be finite and above 0": lambda found: found | {"wait_ms": float("nan")},
    "wait_ms is inf, must be finite and above 0": lambda found: found | {"wait_ms": float("inf")},
    "memory_gbs is 0, must be finite and above 0": lambda found: {"peaks": found["peaks"] | {"memory_gbs": 0}},
    "overlap is 'True', must be a number": lambda found: found | {"overlap": True},
    "overlap is '2', must be a number": lambda found: found | {"overlap": "2"},
    "peaks is list, must be a JSON object": lambda found: found | {"peaks": []},
    "machine is list, must be a JSON object": lambda _: [],
}


@pytest.mark.parametrize("message", REFUSED)
def test_no_machine_is_refused_in_one_line(message: str) -> None:
    text = json.dumps(REFUSED[message](json.loads(NOMINAL.to_json())))
    with pytest.raises((TypeError, ValueError)) as caught:
        Machine.from_json(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, b"\xff"])
def test_no_json_is_refused_in_one_line(text: str | bytes) -> None:
    with pytest.raises(ValueError, match="machine is no JSON") as caught:
        Machine.from_json(text)
    assert "\n" not in str(caught.value)


def test_a_ratio_is_a_number_above_zero() -> None:
    with pytest.raises(ValueError, match="flops_per_byte is 0, must be finite and above 0"):
        NOMINAL.with_ratio(0)
