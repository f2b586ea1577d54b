"""Tuning on a card, with a clock that is told what to say: what is timed, chosen, kept and read again."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

from triton.runtime.errors import OutOfResources

import winograd
from winograd import nest, toom_cook
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.selection import Filters
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu import measuring, trial, tuning
from winograd.conv.gpu.card import card_named
from winograd.conv.gpu.device import pretending
from winograd.conv.gpu.form import Form
from winograd.conv.gpu.loading import gpu_module
from winograd.conv.gpu.run import module_of
from winograd.conv.gpu.schedule import Products
from winograd.conv.gpu.tuning import tuned_on_card
from winograd.conv.measuring import tuning_cache
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.planning.make import make_plan
from winograd.conv.switch import SWITCHED_OFF
from winograd.conv.tuning import forget, tuned_plan

pytestmark = pytest.mark.usefixtures("settable_flags")

H100 = card_named("h100")
F2 = toom_cook(2, 3)


def conv4(dtype: str = "float32") -> ConvShape:
    return ConvArguments(padding=1).shape((32, 256, 14, 14), (256, 256, 3, 3), dtype=dtype, card=H100)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WINOGRAD_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(trial, "drawn", lambda *_: (torch.zeros(0), torch.zeros(0)))
    monkeypatch.setattr(trial, "try_pack_on_card", lambda *_: None)
    monkeypatch.setattr(trial.Trial, "_is_right", lambda *_: True)
    with pretending(H100):
        yield


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    seen: list[Plan] = []
    monkeypatch.setattr(trial, "try_on_card", lambda plan, *_, **__: seen.append(plan) or plan)
    monkeypatch.setattr(trial, "convolve_direct", lambda *_: None)
    return seen


def planned() -> Plan:
    return make_plan(conv4(), filters=Filters.FROZEN)


def clock(says: Callable[[Plan], float], direct: float) -> Callable[[Callable[[], object]], float]:
    def timer(call: Callable[[], object]) -> float:
        plan = call()
        return direct if plan is None else says(plan)

    return timer


def test_the_fastest_form_and_settings_are_taken_and_kept(calls: list[Plan]) -> None:
    def says(plan: Plan) -> float:
        is_other = dict(plan.gpu.config).get("stages", 0) != 0
        return (1.0 if plan.gpu.kind == "staged" else 2.0) - 0.2 * is_other

    plan = tuned_on_card(planned(), clock(says, 5.0))
    assert plan.backend is Backend.GPU
    assert (plan.gpu.kind, plan.measured_ms) == ("staged", 0.8)
    module = module_of(plan)
    assert dict(plan.gpu.config)["stages"] in set(module.SPACE["stages"]) - {module.DEFAULTS["stages"]}
    assert plan.terms == planned().terms
    assert dict(plan.measured)["direct"] == 5.0
    assert plan.reason.startswith("measured on NVIDIA H100")
    timed = len(calls)
    assert tuned_on_card(planned(), clock(says, 5.0)) == plan
    assert len(calls) == timed


def test_direct_convolution_stays_unless_it_is_beaten(calls: list[Plan]) -> None:
    plan = tuned_on_card(planned(), clock(lambda _: 1.0, 1.02))
    assert plan.backend is Backend.DIRECT
    assert plan.measured
    assert calls


def test_settings_that_a_card_refuses_are_passed_over(calls: list[Plan]) -> None:
    def says(plan: Plan) -> float:
        if "stages" in dict(plan.gpu.config):
            raise OutOfResources(300_000, 232_448, "shared memory")
        return 1.0

    assert dict(tuned_on_card(planned(), clock(says, 5.0)).gpu.config).get("stages") is None


def takes_tf32() -> bool:
    cudnn = torch.backends.cudnn
    return cudnn.conv.fp32_precision == "tf32" if hasattr(cudnn, "conv") else cudnn.allow_tf32


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="this torch has no precision of convolutions")
def test_who_sets_the_precision_of_convolutions_is_not_disturbed(calls: list[Plan]) -> None:
    """Torch refuses to say whether TF32 is allowed where it is for some operations and not for others."""
    conv = torch.backends.cudnn.conv
    before = conv.fp32_precision
    conv.fp32_precision = "ieee"
    try:
        with pytest.raises(RuntimeError, match="legacy and new APIs"):
            _ = torch.backends.cudnn.allow_tf32
        assert tuned_on_card(planned(), clock(lambda _: 1.0, 5.0)).measured
        assert conv.fp32_precision == "ieee"
    finally:
        conv.fp32_precision = before


def test_autocast_does_not_reach_what_is_measured(calls: list[Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    """Direct convolution in 16 bits would seem fast, and stay so in later processes."""
    seen = []
    monkeypatch.setattr(trial, "convolve_direct", lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        tuned_on_card(planned(), clock(lambda _: 1.0, 5.0))
    assert set(seen) == {False}


@pytest.mark.parametrize(("tolerance", "tf32"), [(5e-6, False), (1e-2, True)])
def test_direct_convolution_is_timed_with_tf32_only_where_it_is_tolerated(
    tolerance: float, tf32: bool, calls: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = torch.backends.cudnn
    before, seen = (flags.allow_tf32, flags.benchmark), []
    monkeypatch.setattr(trial, "convolve_direct", lambda *_: seen.append((takes_tf32(), flags.benchmark)))

    def with_tf32_direct_wins(call: Callable[[], object]) -> float:
        plan = call()
        return 1.0 if plan is not None else 0.2 if takes_tf32() else 5.0

    plan = tuned_on_card(make_plan(conv4(), tolerance=tolerance), with_tf32_direct_wins)
    assert plan.backend is (Backend.DIRECT if tf32 else Backend.GPU)
    assert set(seen[1:]) == {(tf32, True)}  # the first is in float64
    assert (flags.allow_tf32, flags.benchmark) == before


def test_forms_are_unlike_and_within_the_tolerance(calls: list[Plan]) -> None:
    tuned_on_card(planned(), clock(lambda _: 1.0, 5.0))
    first = {plan.label: plan for plan in calls[: 2 * measuring.FORMS]}  # to be checked, then timed
    assert len(first) == measuring.FORMS
    assert all(plan.predicted_error <= 1e-5 and plan.gpu.products != "tf32" for plan in calls)


@pytest.mark.parametrize(
    "broken",
    [
        {}, {"chosen": None}, {"chosen": 3, "measured": [["direct", 1.0]]},
        {"chosen": {"m": [9, 9]}, "measured": [["direct", 1.0]]}, {"measured": [["direct", "fast"]]},
        {"chosen": {"config": {"warps": -1}}, "measured": [["direct", 1.0]]},
    ],
)  # fmt: skip
def test_answers_that_name_no_plan_are_measured_again(
    broken: dict[str, object], calls: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tuning_cache.find
    answers = iter([broken, broken])
    monkeypatch.setattr(tuning_cache, "find", lambda question: next(answers, None) or real(question))
    assert tuned_on_card(planned(), clock(lambda _: 1.0, 5.0)).backend is Backend.GPU
    assert calls


def test_what_kernels_do_not_cover_is_not_timed(calls: list[Plan]) -> None:
    strided = replace(conv4(), stride=(2, 2))
    assert tuned_plan(strided).backend is Backend.DIRECT
    assert tuned_plan(conv4("float64")).backend is Backend.DIRECT
    assert not calls


def test_nothing_is_measured_where_winograd_is_switched_off(calls: list[Plan]) -> None:
    with winograd.set_enabled(False):
        assert tuned_plan(conv4(), filters=Filters.FROZEN).reason == SWITCHED_OFF
    assert tuned_plan(replace(conv4(), batch=0)).reason == "nothing to compute"
    assert not calls


def test_the_model_decides_where_memory_does_not_suffice(calls: list[Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried\nto")

    monkeypatch.setattr(trial, "drawn", refuse)
    with pytest.warns(RuntimeWarning, match="too little memory on NVIDIA H100.* Tried; the model decides$"):
        assert tuned_on_card(planned()) == planned()
    monkeypatch.setattr(trial, "drawn", lambda *_: (torch.zeros(0), torch.zeros(0)))
    with pytest.warns(RuntimeWarning, match="the model decides"):
        assert tuned_on_card(planned(), clock(refuse, 5.0)) == planned()  # not: direct convolution is fastest, for ever
    assert tuned_on_card(planned(), clock(lambda _: 1.0, 5.0)).measured  # another time


def test_the_model_decides_while_a_graph_is_captured(calls: list[Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    capturing = [True]
    monkeypatch.setattr(tuning, "device_like", lambda _: torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: capturing[0])
    assert tuned_on_card(planned()) == planned()
    assert not calls
    capturing[0] = False
    measured = tuned_on_card(planned(), clock(lambda _: 1.0, 5.0))
    capturing[0] = True
    assert tuned_on_card(planned()) == measured  # what was found before is known


def test_cards_that_are_elsewhere_are_not_measured_here(calls: list[Plan]) -> None:
    elsewhere = replace(planned(), shape=replace(conv4(), card=card_named("l40s")))
    with pytest.raises(ValueError, match="tuning is 'measure', there is no NVIDIA L40S here"):
        tuned_on_card(elsewhere)


def test_what_was_measured_is_forgotten(calls: list[Plan]) -> None:
    tuned_on_card(planned(), clock(lambda _: 1.0, 5.0))
    timed = len(calls)
    forget(conv4(), filters=Filters.FROZEN)
    tuned_on_card(planned(), clock(lambda _: 1.0, 5.0))
    assert len(calls) == 2 * timed


def test_another_limit_is_another_question() -> None:
    """64 MiB that somebody asked for are not what holds where nobody did."""
    asked = make_plan(conv4(), filters=Filters.FROZEN, workspace_cap=64 << 20)
    assert tuning._question(asked) != tuning._question(planned())


def test_only_settings_that_kernels_read_are_timed(calls: list[Plan]) -> None:
    """Filters of up to two blocks of channels stay in shared memory, by kernels with settings of their own."""
    seen = {}
    for channels in (64, 256):
        calls.clear()
        shape = replace(conv4(), channels=channels, sizes=(56, 56))
        tuned_on_card(make_plan(shape, filters=Filters.FROZEN), clock(lambda plan: 1 + (plan.gpu.kind == "fused"), 9.0))
        seen[channels] = {name for plan in calls if plan.gpu.kind == "staged" for name in dict(plan.gpu.config)}
    assert {"few_t", "few_run"} <= seen[64]
    assert "block_t" not in seen[64]
    assert {"block_t", "stages"} <= seen[256]
    assert not any(name.startswith("few_") for name in seen[256])


@pytest.mark.parametrize(
    ("axes", "padding", "channels", "products", "block_c", "keeps"),
    [
        ((F2, F2), (1, 1), 64, "tf32x3", 32, True),
        ((F2, F2), (1, 1), 65, "tf32x3", 32, False),
        ((F2, F2), (1, 1), 33, "tf32", 16, False),
        ((F2, F2), (1, 1), 32, "float16", 16, True),
        ((F2, F2), (1, 1), 8, "ieee", 32, False),
        ((toom_cook(1, 1), F2), (0, 1), 8, "tf32x3", 32, True),
        ((toom_cook(1, 1), F2), (1, 1), 8, "tf32x3", 32, False),  # rows of V are fewer than those of M
        ((toom_cook(1, 3), F2), (1, 1), 8, "tf32x3", 32, False),
    ],
    ids=str,
)
def test_kernels_keep_filters_where_the_model_says_so(
    axes: tuple[BilinearAlgorithm, ...],
    padding: tuple[int, ...],
    channels: int,
    products: Products,
    block_c: int,
    keeps: bool,
) -> None:
    nested = nest(*axes)
    shape = ConvArguments(padding=padding).shape(
        (1, channels, 3, 4), (2, channels, *nested.r), dtype="float32", card=H100
    )
    assert Form.of(nested, products).keeps_filters(shape, block_c) is keeps
    module = gpu_module(nested, "staged", interpreted=True)
    module._CALLS.clear()
    u = module.transform_filter(torch.ones(2, channels, *nested.r), products)
    module.run(torch.ones(1, channels, 3, 4), u, padding=padding, precision=products, config={"block_c": block_c})
    ((_, product, _),) = next(iter(module._CALLS.values())).steps
    assert (product.kernel is module.winograd_few_kernel) is keeps
