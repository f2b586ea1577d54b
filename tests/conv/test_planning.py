"""`plan_conv` and what its plans explain: from sizes or tensors, with or without torch, a verdict for everything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import winograd
from winograd.conv.choosing import ranking
from winograd.conv.choosing.prediction import DEFAULT_TOLERANCE
from winograd.conv.choosing.selection import Filters
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.plan.verdict import CHOSEN, MEASURED_GAIN, REQUIRED_GAIN
from winograd.conv.planning import explanation as explaining
from winograd.conv.planning.make import make_plan
from winograd.conv.switch import ASKED_FOR

C3D = ((1, 64, 16, 56, 56), (128, 64, 3, 3, 3))
F43 = winograd.nest(*[winograd.toom_cook(4, 3)] * 3)


def test_sizes_arrays_and_tensors_give_the_same_plan() -> None:
    input, weight = (1, 32, 14, 14), (32, 32, 3, 3)
    plans = {
        winograd.plan_conv(input, weight, padding=1, threads=2),
        winograd.plan_conv(list(input), torch.Size(weight), padding=(1, 1), threads=2),
        winograd.plan_conv(np.zeros(input, "float32"), np.zeros(weight, "float32"), padding="same", threads=2),
        winograd.plan_conv(torch.zeros(input), torch.zeros(weight), padding=1, threads=2),
        winograd.plan_conv(input[1:], weight, padding=1, threads=2, dtype=torch.float32),
    }
    assert len(plans) == 1


def test_the_dtype_is_that_of_the_input_or_the_one_given() -> None:
    assert winograd.plan_conv(torch.zeros(1, 2, 5, dtype=torch.float16), (2, 2, 3)).shape.dtype == "float16"
    assert winograd.plan_conv(np.zeros((1, 2, 5)), (2, 2, 3)).shape.dtype == "float64"
    assert winograd.plan_conv(np.zeros((1, 2, 5)), (2, 2, 3), dtype=np.dtype("int8")).shape.dtype == "int8"


def test_plans_know_their_terms() -> None:
    plan = winograd.plan_conv(*C3D, padding=1, tolerance=2e-6, frozen=False, threads=3, workspace_cap=1 << 22)
    assert plan.terms is not None
    terms = plan.terms
    assert (terms.tolerance, terms.filters, terms.threads) == (2e-6, Filters.LIVE, 3)
    assert terms.limits.workspace == 1 << 22
    assert plan.workspace_bytes <= 1 << 22
    assert winograd.plan_conv(*C3D).terms == replace(terms, tolerance=DEFAULT_TOLERANCE, filters=Filters.FROZEN,
        threads=torch.get_num_threads(), limits=winograd.conv.limits.memory_limits())  # fmt: skip


def test_a_plan_is_what_layers_take() -> None:
    layer = winograd.nn.Conv3d(64, 64, 3, padding=1)
    image = torch.randn(1, 64, 8, 20, 20)
    with torch.inference_mode():
        layer(image)
    assert layer.plans[-1] == winograd.plan_conv(image, layer.weight, padding=1, frozen=False)


@pytest.mark.parametrize(
    ("input", "weight", "more", "error", "message"),
    [
        ((1, 2), (3,), {}, ValueError, "weight has 1 axes, must have 3 to 5"),
        ((1, 2, 3, 4, 5, 6), (3, 2, 1, 1, 1, 1), {}, ValueError, "weight has 6 axes"),
        ((1, 2, 5, 5), (3, 2, 3), {}, ValueError, "input has 4 axes, must have 2 .* or 3"),
        ((1, 2, 5), (3, 4, 3), {}, ValueError, "input has 2 channels, must have 4: 1 group of 4"),
        ((1, 2, 2), (3, 2, 3), {}, ValueError, "smaller than the kernel"),
        ((1, 2, 5), (3, 2, 3), {"stride": 0}, ValueError, "stride is"),
        ((1, 2, 5), (3, 2, 3), {"stride": 1.5}, TypeError, "stride is 1.5, must be one integer or 1"),
        (
            (1, 2, 5, 5),
            (3, 2, 3, 3),
            {"padding": ((1, 0), (1, 1))},
            TypeError,
            r"padding is \(\(1, 0\), \(1, 1\)\), must",
        ),
        ((1, 2, 5), (3, 2, 3), {"padding": -1}, ValueError, "padding is"),
        ((1, 2, 5), (3, 2, 3), {"padding": "some"}, ValueError, "padding is 'some'"),
        ((1, 2, 5), (3, 2, 3), {"tolerance": 0}, ValueError, "tolerance is 0"),
        ((1, 2, 5), (3, 2, 3), {"threads": 0}, ValueError, "threads"),
        ((1, 2, 5), (3, 2, 3), {"tuning": "guess"}, ValueError, "tuning is 'guess', must be 'model' or 'measure'"),
        ((1, 2, 5), (3, 2, 3), {"dtype": "float31"}, ValueError, "dtype is 'float31', must be one of"),
        ((1, 2, 5), (3, 2, 3), {"workspace_cap": 0}, ValueError, "workspace"),
        ((1, 2.0, 5), (3, 2, 3), {}, TypeError, "must be integers"),
        ("1,2,5", (3, 2, 3), {}, TypeError, "input is a str"),
        (None, (3, 2, 3), {}, TypeError, "input is a NoneType"),
        ((2**61, 2, 5), (3, 2, 3), {}, ValueError, r"more than 2\*\*62 elements"),
        ((1, 2, 5), (3, 2, 3), {"algorithm": "F(2,3)"}, TypeError, "or 'direct'"),
        ((1, 2, 5), (3, 2, 3), {"algorithm": F43}, ValueError, "3 axes, must have 1"),
    ],
)
def test_what_makes_no_plan_is_refused_in_one_line(
    input: object, weight: object, more: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as raised:
        winograd.plan_conv(input, weight, **more)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def test_planning_and_explaining_need_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; import winograd;"
        "print(winograd.plan_conv((1, 64, 56, 56), (64, 64, 3, 3), padding=1).explain().text())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "chosen: native" in found.stdout


def test_an_explanation_has_one_choice_and_a_reason_for_everything_else() -> None:
    plan = winograd.plan_conv(*C3D, padding=1, tolerance=2e-6, threads=2)
    found = plan.explain().candidates
    (chosen,) = [one for one in found if one.is_chosen]
    assert plan.algorithm is not None
    assert chosen.label == plan.algorithm.label
    assert (chosen.schedule, chosen.predicted_ms) == (plan.schedule_label, plan.predicted_ms)
    assert (chosen.filter_bytes, chosen.workspace_bytes) == (plan.filter_bytes, plan.workspace_bytes)
    assert chosen.multiplications == plan.multiplications
    above = [one for one in found if "above the tolerance 2e-06" in one.verdict]
    assert above
    assert all(one.predicted_error is not None and one.predicted_error > 1.9e-6 for one in above)
    assert all(one.verdict for one in found)
    assert {one.schedule.split(" ")[0] for one in found if one.label == chosen.label} == {"fused", "staged"}
    assert found[-1].label == "direct"
    assert found[-1].verdict.startswith("slower")


@pytest.mark.parametrize(
    ("given", "weight", "more", "chosen", "verdicts"),
    [
        ((1, 4, 4, 6, 6), (4, 4, 3, 3, 3), {"padding": 1}, "direct", f"not faster than direct by {REQUIRED_GAIN}"),
        (C3D[0], C3D[1], {"padding": 1, "tolerance": 1e-8}, "direct", "above the tolerance 1e-08"),
        ((1, 256, 4, 14, 14), (256, 256, 3, 3, 3), {"filter_cap": 1 << 20}, None, "U above the cap"),
        (
            (1, 256, 4, 14, 14),
            (256, 256, 3, 3, 3),
            {"workspace_cap": 1 << 18, "tolerance": 1},
            None,
            "not one tile fits",
        ),
        (C3D[0], C3D[1], {"algorithm": "direct"}, "direct", ""),
        ((1, 4, 9), (4, 4, 1), {}, "direct", ""),
        ((0, 4, 9), (4, 4, 3), {}, "direct", ""),
        ((1, 4, 9), (4, 4, 3), {"dtype": "int64"}, "direct", ""),
    ],
)
def test_verdicts(
    given: tuple[int, ...], weight: tuple[int, ...], more: dict[str, object], chosen: str | None, verdicts: str
) -> None:
    plan = winograd.plan_conv(given, weight, threads=2, **more)  # type: ignore[arg-type]
    found = plan.explain().candidates
    (one,) = [row for row in found if row.is_chosen]
    assert chosen in (None, one.label)
    assert any(verdicts in row.verdict for row in found if not row.is_chosen) or not verdicts
    assert len(found) == 1 or verdicts


def test_a_forced_algorithm_is_explained() -> None:
    plan = winograd.plan_conv(*C3D, padding=1, algorithm=F43, threads=2)
    (one,) = [row for row in plan.explain().candidates if row.is_chosen]
    assert one.label == F43.label
    forced = winograd.plan_conv(*C3D, padding=1, algorithm=F43, dtype="float64", threads=2)
    assert [row.label for row in forced.explain().candidates if row.is_chosen] == [F43.label]


def test_a_plan_without_terms_explains_what_it_knows() -> None:
    shape = ConvShape(1, 2, 2, (9,), (3,), (1,), (1,), ((0, 0),), 1, "float32")
    explained = Plan(shape, Backend.DIRECT, None, "by hand").explain()
    assert [one.verdict for one in explained.candidates] == [CHOSEN]
    assert "by hand" in explained.text()


def test_text_html_and_json_say_the_same() -> None:
    plan = winograd.plan_conv((1, 3, 8, 32, 32), (16, 3, 3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), threads=2)
    explained = plan.explain()
    text, html = explained.text(), explained._repr_html_()
    assert text == str(explained)
    assert "stride 1,2,2" in text
    data = json.loads(json.dumps(explained.as_dict(), allow_nan=False))
    assert data["chosen"]["label"] == plan.label
    assert len(data["candidates"]) == len(explained.candidates)
    for one in explained.candidates:
        assert one.label in text
        assert one.label in html
    assert repr(explained).count("\n") == 0
    assert re.fullmatch("(<[^<>]*>|[^<>]+)*", html)


def test_margins_are_in_order() -> None:
    assert 1 < MEASURED_GAIN < REQUIRED_GAIN


def test_the_reason_for_direct_convolution_is_kept() -> None:
    assert winograd.plan_conv(*C3D, algorithm="direct").reason == ASKED_FOR


SIZES = st.tuples(st.integers(0, 2), st.integers(1, 64), st.integers(1, 20), st.integers(1, 20))


@settings(max_examples=25, deadline=None)
@given(SIZES, st.integers(1, 64), st.integers(1, 5), st.integers(1, 3), st.sampled_from([1e-3, 1e-5, 1e-7]))
def test_every_plan_explains_itself(
    sizes: tuple[int, ...], outputs: int, taps: int, stride: int, tolerance: float
) -> None:
    plan = winograd.plan_conv(sizes, (outputs, sizes[1], taps, taps), padding=taps // 2, stride=stride,
        tolerance=tolerance, threads=2)  # fmt: skip
    explained = plan.explain()
    assert sum(one.is_chosen for one in explained.candidates) == 1
    allowed = [one for one in explained.candidates if one.verdict.startswith(("slower", "not faster", CHOSEN))]
    assert all(one.predicted_error is None or one.predicted_error <= tolerance for one in allowed)
    json.dumps(explained.as_dict(), allow_nan=False)
    assert make_plan(plan.shape, tolerance=tolerance, filters=Filters.FROZEN, threads=2) == plan


def test_a_ranking_that_forgets_errors_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = winograd.plan_conv(*C3D, padding=1, tolerance=2e-6, threads=2)
    monkeypatch.setattr(ranking, "error_obstacle", lambda *_: "")
    monkeypatch.setattr(ranking, "_is_surely_above", lambda *_: False)
    found = explaining.explain_plan(plan).candidates
    assert any(one.predicted_error is not None and one.predicted_error > 2e-6 for one in found)
    assert not any("above the tolerance" in one.verdict for one in found)
