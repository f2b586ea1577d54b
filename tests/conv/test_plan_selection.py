"""What a plan selects: no candidate is faster, tolerated and left out; few errors are predicted for it."""

from __future__ import annotations

from itertools import pairwise, product

import pytest

from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing import selection
from winograd.conv.choosing.candidates import Candidate, axis_choices
from winograd.conv.choosing.prediction import float32_error, float32_tolerance
from winograd.conv.choosing.selection import Filters, best_timing, select
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.limits import MemoryLimits
from winograd.conv.planning.make import make_plan
from winograd.conv.roofline import filter_ms

NO_LIMITS = MemoryLimits(None, None)


def layer(channels: int, outputs: int, *sizes: int, taps: tuple[int, ...] | None = None) -> ConvShape:
    counts = taps or (3,) * len(sizes)
    padding = tuple(count // 2 for count in counts)
    return ConvArguments(padding=padding).shape((1, channels, *sizes), (outputs, channels, *counts), dtype="float32")


def every_candidate(shape: ConvShape) -> list[Candidate]:
    axes = [axis_choices(taps, outputs) for taps, outputs in zip(shape.taps, shape.output, strict=True)]
    return [Candidate(choice) for choice in product(*axes) if any(axis.m > 1 for axis in choice)]


SMALL = [
    layer(64, 64, 14, 14),
    layer(16, 32, 4, 7, 7),
    layer(256, 256, 3, 9),
    layer(3, 64, 30, 31),
    layer(40, 24, 200, taps=(5,)),
    layer(64, 144, 2, 14, 14, taps=(1, 3, 3)),
]


@pytest.mark.parametrize("shape", SMALL, ids=str)
@pytest.mark.parametrize("filters", Filters)
def test_no_candidate_is_faster_and_tolerated(shape: ConvShape, filters: Filters) -> None:
    times = {one: best_timing(shape, one, filters, NO_LIMITS, 2).milliseconds for one in every_candidate(shape)}
    for tolerance in (3e-7, 1e-6, 1e-5):
        selected = select(shape, tolerance, filters, NO_LIMITS, 2)
        tolerated = [
            ms
            for one, ms in times.items()
            if float32_error(shape, one.algorithm) <= float32_tolerance(shape, tolerance)
        ]
        assert selected.error <= tolerance
        # Other algorithms on other axes have to gain 3 % each, larger blocks 2 %.
        assert min(tolerated) <= selected.timing.milliseconds <= 1.08 * min(tolerated)


def test_a_looser_tolerance_is_never_slower() -> None:
    shape = layer(128, 256, 8, 28, 28)
    tolerances = [3e-7, 5e-7, 1e-6, 1.5e-6, 2e-6, 4e-6, 1e-5]
    plans = [make_plan(shape, tolerance=tolerance, filters=Filters.FROZEN) for tolerance in tolerances]
    for tight, loose in pairwise(plans):
        assert loose.predicted_ms <= 1.08 * tight.predicted_ms
    assert all(plan.predicted_error <= tolerance for plan, tolerance in zip(plans, tolerances, strict=True))
    assert plans[-1].predicted_ms < plans[0].predicted_ms


@pytest.mark.parametrize("sizes", [(64, 128, 16, 56, 56), (3, 64, 16, 112, 112), (512, 512, 2, 7, 7)], ids=str)
def test_few_errors_are_predicted_for_a_plan(sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Candidate] = []

    def counted(shape: ConvShape, algorithm: Candidate) -> float:
        asked.append(algorithm)
        return float32_error(shape, algorithm)

    monkeypatch.setattr(selection, "float32_error", counted)
    for tolerance in (1e-6, 2e-6, 1e-5):
        asked.clear()
        assert select(layer(*sizes), tolerance, Filters.FROZEN, NO_LIMITS, 2) is not None
        assert len(asked) <= 32  # of some thousand candidates


def test_an_estimate_that_is_off_loses_the_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = layer(64, 128, 16, 56, 56)
    right = select(shape, 2e-6, Filters.FROZEN, NO_LIMITS, 2)
    monkeypatch.setattr(selection, "error_ratios", lambda _channels: (9.0, 16.0))
    wrong = select(shape, 2e-6, Filters.FROZEN, NO_LIMITS, 2)
    assert wrong.timing.milliseconds > right.timing.milliseconds


def test_live_filters_favour_fewer_products() -> None:
    shape = layer(256, 256, 8, 28, 28)
    frozen, live = (select(shape, 1e-5, filters, NO_LIMITS, 2) for filters in (Filters.FROZEN, Filters.LIVE))
    assert live.candidate.rank < frozen.candidate.rank
    assert live.timing.milliseconds >= filter_ms(shape, live.candidate)
