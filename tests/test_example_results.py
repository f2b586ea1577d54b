"""The committed logs of the training example: both sides learn equally well, and 16 bits change next to nothing."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

RESULTS = Path(__file__).parent.parent / "examples" / "training" / "results"
PAGE = Path(__file__).parent.parent / "docs" / "train-with-winograd.md"
LEAST = 0.95
HALF_A_POINT = 0.005


def trainings() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob("seed-*.json"))]


def finals(logs: list[dict[str, Any]], side: str) -> list[float]:
    return [list(log["sides"][side]["accuracies"].values())[-1] for log in logs]


def as_good(logs: list[dict[str, Any]]) -> bool:
    """Return whether all trainings are good, and both sides differ by less than the seeds of either do."""
    direct, ours = finals(logs, "direct"), finals(logs, "winograd")
    spread = max(max(each) - min(each) for each in (direct, ours))
    return min(*direct, *ours) > LEAST and abs(mean(ours) - mean(direct)) <= spread


def test_trainings_with_winograd_are_as_good_as_direct_ones() -> None:
    logs = trainings()
    assert len({log["seed"] for log in logs}) == len(logs) >= 5
    assert all(log["settings"] == logs[0]["settings"] for log in logs)
    assert as_good(logs)


def test_a_training_that_is_worse_is_noticed() -> None:
    worse = copy.deepcopy(trainings())
    for log in worse:
        steps = log["sides"]["winograd"]["accuracies"]
        steps[list(steps)[-1]] -= 0.02
    assert not as_good(worse)


def test_the_page_says_what_the_logs_say() -> None:
    told = re.findall(r"^\| (\d+) \| ([\d.]+)% \| ([\d.]+)% \|$", PAGE.read_text(), re.MULTILINE)
    logs = trainings()
    measured = zip(finals(logs, "direct"), finals(logs, "winograd"), strict=True)
    seeds = [str(log["seed"]) for log in logs]
    assert told == [
        (seed, f"{100 * one:.1f}", f"{100 * two:.1f}") for seed, (one, two) in zip(seeds, measured, strict=True)
    ]


def test_the_words_of_the_page_are_those_of_the_logs() -> None:
    logs, page = trainings(), PAGE.read_text()
    ends, halves, quarters = [], [], []
    for side in ("direct", "winograd"):
        ends.append([100 * right for right in finals(logs, side)])
        halves.append([100 * next(iter(log["sides"][side]["accuracies"].values())) for log in logs])
        curves = [log["sides"][side]["losses"] for log in logs]
        cut = len(curves[0]) // 4
        parts = (mean(mean(curve[part * cut : (part + 1) * cut]) for curve in curves) for part in range(4))
        quarters.append(", ".join(f"{loss:.2f}" for loss in parts))
    spreads = [f"{max(each) - min(each):.1f}" for each in ends]
    apart = abs(mean(ends[0]) - mean(ends[1]))
    assert (
        f"differ by {spreads[0]} points, those of Winograd by {spreads[1]}, the means of both sides by {apart:.1f}"
        in page
    )
    told = [f"{min(each):.0f} to {max(each):.0f} %" for each in halves]
    assert f"{told[0]} with torch's own, {told[1]} with Winograd" in page
    assert sum(two < one for one, two in zip(*halves, strict=True)) == 7  # "behind in seven seeds
    assert sum(two > one for one, two in zip(*halves, strict=True)) == 3  # and ahead in three"
    assert f"{quarters[0]} with torch's own and {quarters[1]} with Winograd" in page


def test_accuracies_are_those_of_the_confusion() -> None:
    for log in trainings():
        for name in ("direct", "winograd"):
            confused = log["sides"][name]["confusion"]
            right = sum(row[label] for label, row in enumerate(confused)) / log["settings"]["test_clips"]
            assert sum(map(sum, confused)) == log["settings"]["test_clips"]
            assert finals([log], name)[0] == pytest.approx(right, rel=1e-6)


def test_winograd_computes_something_in_most_layers_that_it_can() -> None:
    for log in trainings():
        layers = {layer["layer"] for layer in log["layers"] if not layer["layer"].endswith("downsample.0")}
        engaged = {layer["layer"] for layer in log["layers"] if layer["algorithm"] != "direct"}
        assert len(engaged) > len(layers) / 2


def inference() -> list[dict[str, Any]]:
    return json.loads((RESULTS / "inference.json").read_text())["rows"]


def within_half_a_point(rows: list[dict[str, Any]]) -> bool:
    """Return whether every network that saw all clips tells as many right as in float32 with torch's convolutions."""
    whole = max(row["clips"] for row in rows)
    reference = {
        (row["seed"], row["trained"]): row["right"]
        for row in rows
        if (row["runs"], row["dtype"]) == ("direct", "float32")
    }
    return all(
        abs(row["right"] - reference[row["seed"], row["trained"]]) <= HALF_A_POINT
        for row in rows
        if row["clips"] == whole
    )


def test_16_bits_are_within_half_a_point() -> None:
    rows = inference()
    told = {(row["seed"], row["trained"], row["dtype"]) for row in rows if row["runs"] == "winograd"}
    assert len(told) == len(trainings()) * 2 * 3
    assert within_half_a_point(rows)


def test_a_network_that_is_worse_in_16_bits_is_noticed() -> None:
    rows = copy.deepcopy(inference())
    next(row for row in rows if row["dtype"] == "float16" and row["runs"] == "winograd")["right"] -= 0.01
    assert not within_half_a_point(rows)
