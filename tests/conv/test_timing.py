from __future__ import annotations

import re

import pytest

from winograd.conv.measuring import timing
from winograd.conv.measuring.timing import contenders, fastest, interleaved, measured_on, median_ratio


def test_callables_take_turns_and_the_first_round_is_not_counted() -> None:
    calls: list[str] = []
    times = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=3)
    assert "".join(calls) == "ab" + 3 * "abba"
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3}


def test_of_two_neither_gains_by_running_after_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs after itself finds its data in the cache and takes 1 instead of 3: both do so once a round."""
    clock, last = [0.0], [""]
    monkeypatch.setattr(timing, "perf_counter", lambda: clock[0])

    def run(name: str) -> None:
        clock[0] += 1.0 if last[0] == name else 3.0
        last[0] = name

    times = interleaved({name: lambda name=name: run(name) for name in "ab"}, repeats=5)  # type: ignore[misc]
    assert median_ratio(times["a"], times["b"]) == 1.0


def test_more_than_two_have_other_neighbours_in_every_round() -> None:
    calls: list[str] = []
    interleaved({name: lambda name=name: calls.append(name) for name in "abc"}, repeats=40)  # type: ignore[misc]
    rounds = ["".join(calls[start : start + 3]) for start in range(0, len(calls), 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert set(rounds) == {"abc", "acb", "bac", "bca", "cab", "cba"}
    again: list[str] = []
    interleaved({name: lambda name=name: again.append(name) for name in "abc"}, repeats=40)  # type: ignore[misc]
    assert again == calls  # seeded


def test_no_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="repeats is 0"):
        interleaved({}, repeats=0)


def test_choices_go_by_medians_which_an_outlier_does_not_move() -> None:
    times = {"good": [1.0, 1.0, 90.0], "fair": [1.2, 1.2, 1.2], "bad": [9.0, 9.0, 0.1]}
    assert fastest(times) == "good"
    assert contenders(times) == ["good", "fair"]
    assert contenders(times, within=1.0) == ["good"]


def test_ratios_are_taken_round_by_round() -> None:
    assert median_ratio([2.0, 20.0, 200.0], [1.0, 10.0, 100.0]) == 2.0
    with pytest.raises(ValueError, match="shorter"):
        median_ratio([1.0, 2.0], [1.0])


def test_the_machine_is_described_without_naming_it() -> None:
    described = measured_on()
    assert set(described) == {"processor", "cores", "system", "python", "winograd", "torch", "numpy", "date"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", str(described["date"]))
    assert described["cores"] >= 1
