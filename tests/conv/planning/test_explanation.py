"""What explanations say: errors of the dtype, forced algorithms, all that was timed, unlike candidates, short lines."""

from __future__ import annotations

from dataclasses import replace

import pytest

import winograd
from winograd.conv.choosing import ranking
from winograd.conv.choosing.ranking import kinds_of_schedule, ranked
from winograd.conv.choosing.task import core_task
from winograd.conv.plan.record import Backend, Plan, label_of
from winograd.conv.plan.verdict import ANOTHER_GIVEN, CHOSEN
from winograd.conv.planning import considered
from winograd.conv.planning.explanation import headline

LAYER = ((1, 64, 8, 28, 28), (64, 64, 3, 3, 3))
F23 = winograd.nest(*[winograd.toom_cook(2, 3)] * 3)


def planned(**more: object) -> Plan:
    return winograd.plan_conv(*LAYER, padding=1, threads=2, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_errors_and_verdicts_agree_in_every_dtype(dtype: str) -> None:
    plan = planned(dtype=dtype)
    assert plan.terms is not None
    for one in plan.explain().candidates:
        if one.predicted_error is not None:
            assert ("above the tolerance" in one.verdict) == (one.predicted_error > plan.terms.tolerance)


def test_a_row_with_an_error_of_float32_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winograd.conv.choosing.ranking.scaled_to", lambda _, error: error)
    plan = planned(dtype="float64")
    assert plan.terms is not None
    rows = [one for one in plan.explain().candidates if one.predicted_error is not None]
    above = ["above the tolerance" in one.verdict for one in rows]
    assert above != [(one.predicted_error or 0) > plan.terms.tolerance for one in rows]


def test_16_bits_say_which_error_the_tolerance_is_for() -> None:
    text = planned(dtype="float16").explain().text()
    assert "tolerance 1e-05 before rounding to float16" in text
    assert "predicted before rounding to float16, 2.1e-04 after" in text


def test_nothing_is_said_to_be_slower_than_a_forced_algorithm() -> None:
    plan = planned(algorithm=F23, tolerance=1e-9)
    rows = plan.explain().candidates
    assert {one.verdict for one in rows if one.label != F23.label} == {ANOTHER_GIVEN}
    assert plan.reason.startswith("algorithm given: ")
    for words in ("ms predicted, direct ", ", error ", ", above the tolerance 1e-09"):
        assert words in plan.reason
    assert "above the tolerance" not in planned(algorithm=F23).reason


def timed(count: int) -> Plan:
    """Return a plan as if many candidates had been timed, by each schedule, the last one the fastest."""
    plan = planned(tolerance=2e-6)
    assert plan.terms is not None
    task = core_task(plan.shape, plan.terms)
    labels = [
        replace(plan, algorithm=one.candidate.algorithm, schedule=schedule).label
        for one in ranked(task, allowed=count)
        for schedule in kinds_of_schedule(task, one.candidate)
    ]
    pairs = [(label, 1.0 + place) for place, label in enumerate(dict.fromkeys([plan.label, *labels]))]
    direct = [("direct unfolded", 90.0), ("direct onednn", 80.0), ("direct", 85.0)]
    return replace(plan, reason=f"measured: {plan.label} 1 ms", measured=(*pairs, *direct))


def test_all_that_was_timed_has_a_row_before_what_was_not() -> None:
    plan = timed(16)
    rows = plan.explain().candidates
    measured = [one.measured_ms for one in rows if one.measured_ms is not None]
    assert measured == sorted(ms for _, ms in plan.measured)
    assert all(one.measured_ms is not None for one in rows[: len(measured)])
    assert rows[0].verdict == CHOSEN
    assert headline(plan).endswith("; direct 85 ms")


def test_what_is_not_ranked_any_more_is_listed_by_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = replace(timed(1), measured=(("native F(99x1x1,3x3x3), fused blocks of 3 tiles", 7.0), *timed(1).measured))
    (row,) = [one for one in plan.explain().candidates if one.label == "F(99x1x1,3x3x3)"]
    assert (row.measured_ms, row.predicted_ms, row.schedule) == (7.0, None, "fused blocks of 3 tiles")


def test_a_direct_plan_chose_no_variant() -> None:
    made = timed(4)
    plan = replace(made, backend=Backend.DIRECT, algorithm=None, schedule=None, predicted_ms=made.direct_ms)
    (row,) = [one for one in plan.explain().candidates if one.is_chosen]
    assert row.label == "direct"


def test_axes_in_another_order_are_listed_once() -> None:
    plan = planned(tolerance=2e-6)
    labels = {one.label for one in plan.explain().candidates}
    assert plan.terms is not None
    found = ranked(core_task(plan.shape, plan.terms), allowed=24, rejected=12)
    sets = {label_of(one.candidate): tuple(sorted((axis.m, axis.rank) for axis in one.candidate.axes)) for one in found}
    listed = [sets[label] for label in labels if label in sets]
    assert len(listed) == len(set(listed)) > considered.MOST_ALLOWED


def test_tables_are_narrow() -> None:
    for more in ({"tolerance": 2e-6}, {"dtype": "float16"}, {"stride": 2}, {"filter_cap": 1 << 20}):
        table = planned(**more).explain().text().partition("\n\n")[2]
        assert max(map(len, table.split("\n"))) <= 150


def test_small_caps_are_not_shown_as_nothing() -> None:
    assert "workspace up to 48.8 KiB" in planned(workspace_cap=50_000).explain().text()


@pytest.mark.parametrize(
    ("more", "label"),
    [
        ({"stride": 2}, "stride (2, 2) by 4 phases"),
        ({"stride": (2, 1)}, "stride (2, 1) by 2 phases"),
        ({"dilation": 2}, "dilation (2, 2) by 4 phases"),
        ({"stride": 2, "dilation": 2}, "every second input"),
        ({"stride": (1, 4), "dilation": (1, 4)}, "one input of (1, 4)"),
        ({"stride": (2, 2), "dilation": (1, 2)}, "stride (2, 1) by 2 phases"),
    ],
)
def test_phases_that_are_one_are_not_named(more: dict[str, object], label: str) -> None:
    plan = winograd.plan_conv((1, 64, 28, 28), (64, 64, 3, 3), padding=1, threads=2, **more)  # type: ignore[arg-type]
    assert label in plan.reason
    assert plan.backend is not Backend.DIRECT or plan.reason.startswith(f"Winograd with {label} would take")


def test_errors_are_predicted_of_rows_only_where_not_one_tile_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = winograd.plan_conv((1, 10**6, 4, 8), (10**6, 10**6, 3, 3), padding=1, threads=2)
    asked = []
    predict = ranking.float32_error
    monkeypatch.setattr(ranking, "float32_error", lambda *given: asked.append(given) or predict(*given))
    found = ranked(core_task(plan.shape, plan.terms), allowed=4, rejected=5)
    assert len(found) == len(asked) == 5
    assert all(one.timing is None and one.obstacle for one in found)
