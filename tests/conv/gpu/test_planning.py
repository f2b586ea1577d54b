"""Cards, their cost model and plans for them, none of which needs a card or Triton."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import winograd
from winograd import emit, nest, toom_cook
from winograd.benching.suites import make_suite
from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.selection import Filters
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu import device
from winograd.conv.gpu.card import CARDS, Card, card_named, card_of_driver
from winograd.conv.gpu.device import card_asked_for
from winograd.conv.gpu.explained import stages_of
from winograd.conv.gpu.form import CHANNEL_BLOCK, Form, extent_of
from winograd.conv.gpu.planning import WORKSPACE_SHARE, direct_on_card_ms
from winograd.conv.gpu.products import OFFERED, form_error, product_error
from winograd.conv.gpu.roofline import Instructions, gpu_ms, gpu_stages, library_ms
from winograd.conv.gpu.schedule import GpuSchedule
from winograd.conv.gpu.selection import instructions_of
from winograd.conv.gpu.stage import ATTAINED, GpuStage
from winograd.conv.limits import set_memory_limits
from winograd.conv.plan.record import Backend
from winograd.conv.planning.make import make_plan

F444 = nest(*[toom_cook(4, 3)] * 3)

CONV2 = (32, 64, 16, 56, 56), (128, 64, 3, 3, 3)


def conv2(card: str = "h200", dtype: str = "float32", **more: object) -> ConvShape:
    return ConvArguments(padding=1, **more).shape(*CONV2, dtype=dtype, card=card_named(card))


@pytest.mark.parametrize("name", CARDS)
def test_cards_are_found_by_name_and_driver(name: str) -> None:
    card = card_named(name.upper())
    facts = {"l2_bytes": card.l2_bytes, "shared_bytes": card.shared_bytes}
    clocks = {"clock_khz": 1, "memory_clock_khz": 1, "memory_bus_bits": 1}
    assert (
        card_of_driver(card.name, card.capability, card.multiprocessors, card.memory_bytes, **facts, **clocks) == card
    )


def test_unknown_cards_are_computed_from_their_clocks() -> None:
    h100 = card_named("h100")
    found = card_of_driver(
        "NVIDIA H100 of another kind", (9, 0), 132, h100.memory_bytes, l2_bytes=h100.l2_bytes,
        shared_bytes=h100.shared_bytes, clock_khz=1_830_000, memory_clock_khz=2_619_000, memory_bus_bits=5120,
    )  # fmt: skip
    for field in ("float32_tflops", "tf32_tflops", "half_tflops", "memory_gbs"):
        assert getattr(found, field) == pytest.approx(getattr(h100, field), rel=0.1)
    silent = card_of_driver(
        "a card", (8, 6), 10, 2**30, l2_bytes=0, shared_bytes=0, clock_khz=0, memory_clock_khz=0, memory_bus_bits=0
    )
    assert silent.memory_gbs > 0
    assert silent.l2_bytes > 0


def test_names_that_are_no_card_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be one of cpu, cuda, .*; nearest: h100$"):
        card_named("h1000")
    with pytest.raises(ValueError, match="memory_gbs of H100 is 0"):
        replace(card_named("h100"), name="H100", memory_gbs=0)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="there is no such GPU here"):
            winograd.plan_conv(*CONV2, device="cuda")


def test_a_device_is_read_as_the_driver_describes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = SimpleNamespace(
        name="NVIDIA H200", major=9, minor=0, multi_processor_count=132, total_memory=150 * 10**9,
        L2_cache_size=62914560, shared_memory_per_block_optin=232448,
    )  # fmt: skip
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    device.card_of_device.cache_clear()
    try:
        card = card_asked_for("cuda:1")
        assert isinstance(card, Card)
        assert (card.name, card.memory_bytes, card.tf32_tflops) == ("NVIDIA H200", 150 * 10**9, 494.7)
        with pytest.raises(ValueError, match="device is 'cuda:2', there is no such GPU here"):
            card_asked_for("cuda:2")
        assert device.card_of_tensor(SimpleNamespace(device=torch.device("cuda", 0))) == card
    finally:
        device.card_of_device.cache_clear()
    assert card_asked_for(torch.device("cpu")) is None


def test_the_stack_is_planned_with_products_within_the_tolerance() -> None:
    plan = winograd.plan_conv(*CONV2, padding=1, device="h200", tolerance=5e-6)
    assert plan.backend is Backend.GPU
    assert plan.gpu.products == "tf32x3"
    assert plan.predicted_error <= 5e-6
    assert plan.workspace_bytes <= card_named("h200").memory_bytes // WORKSPACE_SHARE
    assert plan.direct_ms / plan.predicted_ms > 4
    assert [stage.name for stage in stages_of(plan)] == ["data", "products", "inverse"]
    assert next(stage.name for stage in stages_of(replace(plan, filters=Filters.LIVE))) == "filter"


def test_tf32_is_planned_only_where_its_error_is_tolerated() -> None:
    for tolerance in (1e-6, 1e-5, 1e-4):
        plan = winograd.plan_conv(*CONV2, padding=1, device="h200", tolerance=tolerance)
        assert plan.gpu is None or plan.gpu.products != "tf32"
    rough = winograd.plan_conv(*CONV2, padding=1, device="h200", tolerance=1e-2)
    assert rough.gpu is None or product_error(rough.shape, rough.algorithm, rough.gpu.products) <= 1e-2
    assert direct_on_card_ms(conv2(), 1e-5) == library_ms(conv2())
    assert direct_on_card_ms(conv2(), 1e-2) == library_ms(conv2(), tf32=True)


def test_tensors_of_float16_are_never_multiplied_in_float16() -> None:
    for tolerance in (1e-5, 1e-2, 1.0):
        shape = conv2(dtype="float16")
        plan = make_plan(shape, tolerance=tolerance, filters=Filters.FROZEN)
        assert plan.gpu is None or plan.gpu.products != "float16"
        assert all("float16" not in offered for offered in OFFERED.values())


@pytest.mark.parametrize(("outputs", "kind"), [((2,), "fused"), ((4,), "fused"), ((2, 2), "fused"), ((4, 4), "staged")])
def test_an_error_is_that_of_the_blocks_that_a_file_has(outputs: tuple[int, ...], kind: str) -> None:
    nested = nest(*(toom_cook(m, 3) for m in outputs))
    text = emit(nested, "triton", schedule=kind).source
    block = int(re.search(r"DEFAULTS = {.*?[\"']block_c[\"']: (\d+)", text, re.DOTALL)[1])
    axes = len(outputs)
    sizes = (2, 64, *(16,) * axes), (64, 64, *(3,) * axes)
    shape = ConvArguments(padding=1).shape(*sizes, dtype="float32", card=card_named("h100"))
    form = Form.of(nested, "tf32x3", kind)
    assert form_error(shape, nested, form) == product_error(shape, nested, "tf32x3", block)
    assert kind == "fused" or block == CHANNEL_BLOCK
    other = form_error(shape, nested, form, (("block_c", 3 * block),))
    assert other == product_error(shape, nested, "tf32x3", 3 * block) != form_error(shape, nested, form)


def test_errors_grow_with_coarser_products() -> None:
    errors = [product_error(conv2(), F444, products) for products in OFFERED["float32"]]
    assert errors[0] < 4e-6
    assert errors[1] < 4e-6
    assert errors[2] > 1e-4


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"stride": 2}, "stride"), ({"groups": 64}, "groups 64"), ({"dilation": 2}, "dilation"),
        ({"dtype": "float64"}, "dtype float64"),
    ],
)  # fmt: skip
def test_what_kernels_do_not_cover_is_torchs_own(more: dict[str, object], why: str) -> None:
    dtype = more.pop("dtype", "float32") if "dtype" in more else "float32"
    groups = more.get("groups", 1)
    weight = (128, 64 // groups, 3, 3, 3)
    shape = ConvArguments(padding=1, **more).shape(CONV2[0], weight, dtype=dtype, card=card_named("h200"))
    plan = make_plan(shape)
    assert plan.backend is Backend.DIRECT
    assert plan.reason.startswith(why)
    assert plan.direct_ms > 0


def test_old_cards_and_thin_layers_are_torchs_own() -> None:
    old = replace(card_named("a100"), name="NVIDIA V100", capability=(7, 0))
    assert "compute capability 8.0" in make_plan(replace(conv2(), card=old)).reason
    assert "3 channels" in make_plan(replace(conv2(), channels=3)).reason
    assert "taps" in make_plan(replace(conv2(), taps=(1, 1, 1), padding=((0, 0),) * 3)).reason
    assert "not faster" in winograd.plan_conv((1, 8, 4, 4, 4), (8, 8, 3, 3, 3), padding=1, device="h200").reason


def test_limits_hold() -> None:
    free = winograd.plan_conv(*CONV2, padding=1, device="h200")
    small = winograd.plan_conv(*CONV2, padding=1, device="h200", workspace_cap=32 << 20)
    assert small.workspace_bytes <= 32 << 20 < free.workspace_bytes
    assert small.predicted_ms > free.predicted_ms
    with pytest.raises(ValueError, match="not one column"):
        winograd.plan_conv(*CONV2, padding=1, device="h200", workspace_cap=100, algorithm=F444)
    for cap in (64 << 20, 65 << 20):  # the first is what holds on the CPU where nobody set a limit
        assert winograd.plan_conv(*CONV2, padding=1, device="h200", workspace_cap=cap).workspace_bytes <= cap
        with set_memory_limits(workspace=cap):
            assert winograd.plan_conv(*CONV2, padding=1, device="h200").workspace_bytes <= cap
    with set_memory_limits(filters=1 << 30):
        assert winograd.plan_conv(*CONV2, padding=1, device="h200").workspace_bytes == free.workspace_bytes
    anew = winograd.plan_conv(*CONV2, padding=1, device="h200", filter_cap=1 << 20)
    assert anew.filters is Filters.LIVE or anew.filter_bytes <= 1 << 20


def test_a_forced_algorithm_is_taken_and_its_error_said() -> None:
    plan = winograd.plan_conv(*CONV2, padding=1, device="a100", algorithm=F444, tolerance=1e-7)
    assert plan.algorithm == F444
    assert plan.gpu.products == "tf32x3"
    assert "above the tolerance 1e-07" in plan.reason


def test_plans_of_a_card_explain_themselves() -> None:
    plan = winograd.plan_conv(*CONV2, padding=1, device="h200", tolerance=2e-6)
    explained = plan.explain()
    chosen = [one for one in explained.candidates if one.is_chosen]
    assert len(chosen) == 1
    assert chosen[0].predicted_ms == plan.predicted_ms
    assert any("not within the tolerance" in one.verdict for one in explained.candidates)
    axes = [("".join(sorted(one.label)), one.schedule) for one in explained.candidates if not one.is_chosen]
    assert len(set(axes)) == len(axes)  # of mirrored ones the fastest
    assert all(one.multiplications > 0 for one in explained.candidates)
    assert {"direct", *(one.label for one in chosen)} <= {one.label for one in explained.candidates}
    assert "H200" in explained.text()


def test_more_bytes_more_rows_more_time() -> None:
    instructions = Instructions(1296, 912)
    whole, half = conv2(), replace(conv2(), batch=16)
    form = Form.of(F444, "tf32x3")
    assert gpu_ms(half, form, instructions, live=False) < gpu_ms(whole, form, instructions, live=False)
    assert gpu_ms(whole, form, instructions, live=False) < gpu_ms(whole, form, instructions, live=True)
    slow = replace(whole, card=replace(card_named("h200"), memory_gbs=1000))
    assert gpu_ms(whole, form, instructions, live=False) < gpu_ms(slow, form, instructions, live=False)
    assert (
        extent_of(whole, form).column_bytes
        == 2 * extent_of(whole, Form.of(F444, "float16")).column_bytes - 216 * 128 * 4
    )


def test_a_stage_is_limited_by_its_longest_part() -> None:
    for name in ("arithmetic", "memory", "cache", "launches"):
        parts = {f"{one}_ms": 2.0 if one == name else 1.0 for one in ("arithmetic", "memory", "cache", "launches")}
        stage = GpuStage("products", **parts)
        assert (stage.limit, stage.milliseconds) == (name, 2.0)


def test_the_table_of_the_page_is_what_the_model_expects() -> None:
    page = (Path(__file__).parents[3] / "docs" / "gpu.md").read_text(encoding="utf-8")
    for layer in make_suite("c3d_stack", 32).layers:
        shape = replace(layer.shape, card=card_named("h200"))
        plan = make_plan(shape, tolerance=5e-6, filters=Filters.FROZEN)
        stages = stages_of(plan)
        times = " | ".join(f"{stage.milliseconds:.2f}" for stage in stages)
        limits = ", ".join(dict.fromkeys(stage.limit for stage in stages))
        row = f"| {layer.name} | {plan.algorithm.label}, {plan.gpu.kind} | {times} | {plan.predicted_ms:.2f} |"
        assert f"{row} {limits} | {plan.direct_ms:.2f} | {library_ms(shape, tf32=True):.2f} |" in page


def test_the_page_names_the_layers_that_lose_to_tf32() -> None:
    page = (Path(__file__).parents[3] / "docs" / "gpu.md").read_text(encoding="utf-8")
    layer = make_suite("r3d_18", 32).matching("layer1.0.conv1.0").layers[0]
    shape = replace(layer.shape, card=card_named("h200"))
    plan = make_plan(shape, tolerance=5e-6, filters=Filters.FROZEN)
    assert f"take {plan.predicted_ms:.1f} ms against {library_ms(shape, tf32=True):.1f};" in page
    assert plan.algorithm is not None
    held = replace(Form.of(plan.algorithm, "tf32x3"), batch_bytes=36 << 20)
    quick = replace(ATTAINED, launch_us=4.0)
    stages = gpu_stages(shape, held, instructions_of(plan.algorithm), live=False, attained=quick)
    milliseconds = sum(stage.milliseconds for stage in stages)
    assert f"batches of 36 MiB would take {milliseconds:.1f} ms if a launch took 4 microseconds" in page
    assert f"instead of the {ATTAINED.launch_us:.0f} that the model assumes" in page
    held = int(ATTAINED.cache_held * shape.card.l2_bytes)
    form, quick = Form.of(F444, "tf32x3", batch_bytes=held), replace(ATTAINED, launch_us=4.0)
    stages = gpu_stages(shape, form, instructions_of(F444), live=False, attained=quick)
    took = sum(stage.milliseconds for stage in stages)
    assert took < library_ms(shape, tf32=True)
    assert f"of {held >> 20} MiB would take {took:.1f} ms if a launch took 4 microseconds instead of the 8" in page


@pytest.mark.parametrize("tolerance", [1e-12, 1.5e-7])
def test_what_no_form_is_exact_enough_for_is_said_to_be_so_however_slow(tolerance: float) -> None:
    plan = winograd.plan_conv((8, 64, 16, 56, 56), (128, 64, 3, 3, 3), padding=1, device="h100", tolerance=tolerance)
    assert plan.backend is Backend.DIRECT
    assert plan.reason.startswith("Winograd's least error 2e-07 is not within the tolerance")


def test_schedules_refuse_other_words() -> None:
    with pytest.raises(ValueError, match="kind is 'tiled'"):
        GpuSchedule("tiled", "ieee")
    with pytest.raises(ValueError, match="products is 'fp8'"):
        GpuSchedule("staged", "fp8")


def test_an_explanation_names_the_card_and_its_limit() -> None:
    plan = winograd.plan_conv(*CONV2, padding=1, device="h200", tolerance=5e-6)
    asked = str(plan.explain()).splitlines()[0]
    assert ", on NVIDIA H200 (sm_90), workspace up to " in asked
    assert "thread" not in asked
    figures = plan.explain().as_dict()["asked"]
    assert (figures["threads"], figures["workspace_cap"]) == (None, plan.shape.card.memory_bytes // WORKSPACE_SHARE)
    assert "64.0 MiB" not in asked
