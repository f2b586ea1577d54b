"""Candidates: what is said of them before they are built holds for the algorithms that are built."""

from __future__ import annotations

from random import Random

import pytest

from winograd.accuracy.model import predict_relative_l2
from winograd.algebra.growth import kappa
from winograd.codegen.nested import count_passes, lower_nested
from winograd.codegen.targets.c import CHANNEL_BLOCK
from winograd.conv.choosing.candidates import Candidate, axis_choices, error_ratios, has_choices

TAPS = (1, 2, 3, 4, 5)
SIZES = (1, 2, 3, 4, 7, 8, 14, 28, 56, 112)


def drawn(count: int) -> list[Candidate]:
    random = Random(7)
    found = []
    while len(found) < count:
        taps = [random.choice((1, 2, 3, 3, 3, 5)) for _ in range(random.randint(1, 3))]
        candidate = Candidate(tuple(random.choice(axis_choices(one, random.choice(SIZES))) for one in taps))
        if max(candidate.m) > 1:
            found.append(candidate)
    return found


@pytest.mark.parametrize("taps", TAPS)
@pytest.mark.parametrize("outputs", SIZES)
def test_choices_fit_their_axis_and_none_beats_another(taps: int, outputs: int) -> None:
    choices = axis_choices(taps, outputs)
    assert all(choice.r == taps and choice.m <= max(outputs, 1) for choice in choices)
    assert (choices[0].m, choices[0].rank) == (1, taps)
    assert all(choice.rank < choice.m * taps for choice in choices[1:])
    costs = [(-(-outputs // one.m) * one.rank, one.rank, one.errors[2]) for one in choices[1:]]
    instructions = [-(-outputs // one.m) * (one.data + one.inverse) for one in choices[1:]]
    everything = [(*cost, count) for cost, count in zip(costs, instructions, strict=True)]
    for cost in everything:
        assert not any(other != cost and all(a <= b for a, b in zip(other, cost, strict=True)) for other in everything)


def test_seven_outputs_may_be_one_tile_and_two_are_one_of_two() -> None:
    assert {choice.m for choice in axis_choices(3, 7)} >= {4, 7}
    assert max(choice.m for choice in axis_choices(3, 2)) == 2
    assert {7} <= {choice.m for choice in axis_choices(3, 14)}


@pytest.mark.parametrize("candidate", drawn(40), ids=repr)
def test_counts_are_those_of_the_programs(candidate: Candidate) -> None:
    algorithm = candidate.algorithm
    assert (algorithm.m, algorithm.r, algorithm.tile, algorithm.ranks, algorithm.label) == (
        candidate.m,
        candidate.r,
        candidate.tile,
        candidate.ranks,
        candidate.label,
    )
    programs = lower_nested(algorithm)
    assert candidate.data_instructions == count_passes(programs.data).instructions
    assert candidate.inverse_instructions == count_passes(programs.inverse).instructions


@pytest.mark.parametrize("channels", [1, 3, 16, 17, 48, 63, 64, 512])
def test_errors_are_near_their_estimates(channels: int) -> None:
    least, most = error_ratios(channels)
    for candidate in drawn(60):
        error = predict_relative_l2(candidate.algorithm, channels=channels, channel_block=CHANNEL_BLOCK)
        # Padding and ragged edges raise errors by up to a third on top.
        assert least <= error / candidate.estimated_error <= most / 1.3, candidate


def test_the_estimate_tells_a_good_algorithm_from_a_bad_one() -> None:
    candidates = sorted(drawn(60), key=lambda one: one.estimated_error)
    assert kappa(candidates[0].algorithm.axes[0]) < kappa(candidates[-1].algorithm.axes[0])


@pytest.mark.parametrize(("taps", "has"), [((3,), True), ((1, 7), True), ((8,), False), ((1,), False), ((3, 9), False)])
def test_taps_of_the_catalogue_have_choices(taps: tuple[int, ...], has: bool) -> None:
    assert has_choices(taps) is has
