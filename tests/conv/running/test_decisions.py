"""Calls that were seen before: recognised by all that decides about them, with torch's results and torch's errors."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import winograd
from winograd.conv.calls import convolution
from winograd.conv.limits import set_memory_limits
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.running import decisions as remembered
from winograd.conv.running.decisions import MOST, OWN, Decisions
from winograd.conv.switch import set_enabled
from winograd.nn import Conv3d

IMAGE, WEIGHT, BIAS = torch.randn(1, 4, 4, 6, 6), torch.randn(4, 4, 3, 3, 3), torch.randn(4)
LARGE = torch.randn(1, 64, 12, 32, 32), torch.randn(64, 64, 3, 3, 3)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    convolution._decisions.forget()
    with torch.no_grad():
        yield


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Shapes that are read: what a recognised call does not do."""
    seen: list[object] = []
    read = convolution.read_shape
    monkeypatch.setattr(convolution, "read_shape", lambda *args, **more: seen.append(args) or read(*args, **more))
    return seen


def test_a_second_call_is_recognised(planned: list[object]) -> None:
    for _ in range(3):
        assert torch.equal(
            winograd.conv3d(IMAGE, WEIGHT, BIAS, padding=1), torch.conv3d(IMAGE, WEIGHT, BIAS, padding=1)
        )
    assert len(planned) == 1


def test_a_plan_is_recognised_too(planned: list[object]) -> None:
    first = winograd.conv3d(*LARGE, padding=1)
    assert torch.equal(winograd.conv3d(*LARGE, padding=1), first)
    assert len(planned) == 1
    (plan,) = convolution._decisions._made.values()
    assert plan.backend is Backend.NATIVE  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "other",
    [
        lambda: winograd.conv3d(IMAGE[:, :, :3], WEIGHT, BIAS, padding=1),
        lambda: winograd.conv3d(IMAGE[0], WEIGHT, BIAS, padding=1),
        lambda: winograd.conv3d(IMAGE.double(), WEIGHT.double(), BIAS.double(), padding=1),
        lambda: winograd.conv3d(IMAGE, WEIGHT, None, padding=1),
        lambda: winograd.conv3d(IMAGE, WEIGHT, BIAS, padding=(1, 1, 1)),
        lambda: winograd.conv3d(IMAGE, WEIGHT, BIAS, padding=1, stride=2),
        lambda: winograd.conv3d(IMAGE, WEIGHT, BIAS, padding=1, tolerance=1e-4),
        lambda: winograd.conv3d(IMAGE, WEIGHT, BIAS, padding=1, algorithm="direct"),
    ],
)
def test_other_facts_are_other_calls(other: object, planned: list[object]) -> None:
    winograd.conv3d(IMAGE, WEIGHT, BIAS, padding=1)
    other()  # type: ignore[operator]
    assert len(planned) == 2


def test_other_surroundings_are_other_calls(planned: list[object]) -> None:
    winograd.conv3d(IMAGE, WEIGHT, padding=1)
    with set_memory_limits(workspace=1 << 20):
        winograd.conv3d(IMAGE, WEIGHT, padding=1)
    with set_enabled(False):
        winograd.conv3d(IMAGE, WEIGHT, padding=1)
    with torch.backends.mkldnn.flags(enabled=False):
        winograd.conv3d(IMAGE, WEIGHT, padding=1)
    with torch.enable_grad():
        winograd.conv3d(IMAGE, WEIGHT.clone().requires_grad_(), padding=1)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        winograd.conv3d(IMAGE, WEIGHT, padding=1)
    finally:
        torch.set_num_threads(threads)
    assert len(planned) == 6


@pytest.mark.parametrize(
    ("function", "given"),
    [
        ("conv3d", {"stride": 1.0}),
        ("conv3d", {"padding": (1.0, 1.0, 1.0)}),
        ("conv3d", {"padding": 1, "groups": 1.0}),
        ("conv2d", {"padding": 1}),
        ("conv1d", {"padding": 1}),
    ],
)
@pytest.mark.parametrize("tensors", [(IMAGE, WEIGHT), LARGE], ids=["own", "planned"])
def test_errors_are_torchs_after_a_call_that_looks_alike(
    tensors: tuple[torch.Tensor, torch.Tensor], function: str, given: dict[str, object]
) -> None:
    for padding in (0, 1, (1, 1, 1)):
        winograd.conv3d(*tensors, padding=padding)
    with pytest.raises((RuntimeError, TypeError)) as torchs:
        getattr(torch, function)(*tensors, **given)
    with pytest.raises(type(torchs.value), match=re.escape(str(torchs.value)[:60])):
        getattr(winograd, function)(*tensors, **given)


def test_lists_are_recognised_as_tuples(planned: list[object]) -> None:
    for sides in ([1, 1, 1], (1, 1, 1), torch.Size([1, 1, 1])):
        output = winograd.conv3d(IMAGE, WEIGHT, stride=sides, padding=sides)
        assert torch.equal(output, torch.conv3d(IMAGE, WEIGHT, stride=sides, padding=sides))
    assert len(planned) == 1
    with pytest.raises(TypeError):
        winograd.conv3d(IMAGE, WEIGHT, stride=[1.0, 1.0, 1.0], padding=[1, 1, 1])  # type: ignore[list-item]


def test_things_that_are_no_tensors_are_torchs_to_refuse() -> None:
    for wrong in (None, 3, "text"):
        with pytest.raises(TypeError):
            winograd.conv3d(IMAGE, wrong)  # type: ignore[type-var]


def test_a_tolerance_is_refused_after_a_call_that_looks_alike() -> None:
    winograd.conv3d(IMAGE, WEIGHT, padding=1)
    winograd.conv3d(IMAGE, WEIGHT, padding=1, tolerance=1.0)
    with pytest.raises(ValueError, match="must be above 0"):
        winograd.conv3d(IMAGE, WEIGHT, padding=1, tolerance=0)
    for wrong in (True, "x", [1e-5]):
        with pytest.raises(TypeError, match=r"tolerance is .*, must be a number above 0 or None"):
            winograd.conv3d(IMAGE, WEIGHT, padding=1, tolerance=wrong)  # type: ignore[arg-type]


def test_gradients_and_transforms_pass_through_a_recognised_call() -> None:
    own, ours = (lambda x, w, f=f: f(x, w, None, 1, 1) for f in (torch.conv3d, winograd.conv3d))
    ours(IMAGE, WEIGHT)
    with torch.enable_grad():
        for function in (own, ours):
            weight = WEIGHT.clone().requires_grad_()
            function(IMAGE, weight).square().sum().backward()
            assert weight.grad is not None
        batch = torch.stack([IMAGE, 2 * IMAGE])
        mapped = [torch.func.vmap(function, (0, None))(batch, WEIGHT) for function in (own, ours)]
        torch.testing.assert_close(*mapped)
        pushed = [torch.func.jvp(function, (IMAGE, WEIGHT), (IMAGE, WEIGHT))[1] for function in (own, ours)]
        torch.testing.assert_close(*pushed)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ours(IMAGE, WEIGHT).dtype == own(IMAGE, WEIGHT).dtype == torch.bfloat16
        for algorithm in (None, "direct"):
            mixed = winograd.conv3d(IMAGE.bfloat16(), WEIGHT, padding=1, algorithm=algorithm)  # type: ignore[arg-type]
            assert torch.equal(mixed, own(IMAGE.bfloat16(), WEIGHT))


@pytest.mark.parametrize("algorithm", [None, "direct"])
def test_symbolic_tracing_of_a_function_records_torchs_own_convolution(algorithm: str | None) -> None:
    class Called(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.bias = torch.nn.Parameter(WEIGHT.clone()), torch.nn.Parameter(BIAS.clone())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return winograd.conv3d(x, self.weight, self.bias, padding=1, algorithm=algorithm)  # type: ignore[arg-type]

    module = Called()
    traced = torch.fx.symbolic_trace(module)
    assert [node.target for node in traced.graph.nodes if node.op.startswith("call_")] == [torch.conv3d]
    assert torch.equal(traced(IMAGE), module(IMAGE))


def test_a_planned_call_gives_way_to_what_c_cannot_compute() -> None:
    large, weight = LARGE
    winograd.conv3d(large, weight, padding=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert winograd.conv3d(large, weight, padding=1).dtype == torch.bfloat16
    with torch.enable_grad():
        assert winograd.conv3d(large, weight.clone().requires_grad_(), padding=1).requires_grad
    mapped = torch.func.vmap(lambda x: winograd.conv3d(x, weight, padding=1))(torch.stack([large, large]))
    torch.testing.assert_close(mapped[1], torch.conv3d(large, weight, padding=1), rtol=1e-4, atol=1e-3)


def test_a_forked_child_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    decisions = Decisions()
    decisions.keep(OWN, IMAGE, WEIGHT, None, (1,))
    monkeypatch.setattr(remembered, "has_lost_threads", lambda: True)
    assert decisions.find(IMAGE, WEIGHT, None, (1,)) is None


def test_decisions_are_bounded() -> None:
    decisions = Decisions()
    for size in range(MOST + 1):
        decisions.keep(OWN, IMAGE, WEIGHT, None, (size,))
    assert len(decisions._made) == 1


SIZES = st.tuples(st.integers(1, 2), st.just(3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(1, 3), st.integers(0, 2), st.integers(1, 2))
def test_any_sequence_of_calls_is_that_of_torch(sizes: tuple[int, ...], taps: int, padding: int, stride: int) -> None:
    image, weight = torch.randn(sizes), torch.randn(2, 3, taps, taps, taps)
    for _ in range(2):
        try:
            expected = torch.conv3d(image, weight, None, stride, padding)
        except RuntimeError as error:
            with pytest.raises(RuntimeError, match=re.escape(str(error)[:40])):
                winograd.conv3d(image, weight, None, stride, padding)
        else:
            torch.testing.assert_close(winograd.conv3d(image, weight, None, stride, padding), expected)


def test_a_layer_recognises_a_shape_and_its_settings() -> None:
    layer = Conv3d(4, 4, 3, padding=1)
    layer(IMAGE)
    assert len(layer._winograd._own._made) == 1
    layer.tolerance = 1e-3
    assert not layer._winograd._own._made
    layer.stride = (2, 2, 2)
    assert torch.equal(layer(IMAGE), torch.conv3d(IMAGE, layer.weight, layer.bias, 2, 1))


def test_a_frozen_layer_keeps_watch_over_its_weight() -> None:
    model = torch.nn.Sequential(Conv3d(64, 64, 3, padding=1))
    winograd.freeze(model)
    layer = model[0]
    row = torch.randn(2, 64, 1, 1, 2000)  # many outputs: copying them costs more than reordering the weight
    layer(LARGE[0])
    layer(row)
    assert layer._winograd._own._made
    assert layer._winograd.packed_bytes
    layer.weight.grad = torch.zeros_like(layer.weight)  # a fused optimiser may write now, unseen
    layer(row)
    assert not layer._winograd.packed_bytes


def test_a_small_frozen_layer_is_recognised(planned: list[object]) -> None:
    model = torch.nn.Sequential(torch.nn.Conv3d(4, 4, 1))
    winograd.convert_(model)
    winograd.freeze(model)
    model(IMAGE.expand(2, -1, -1, -1, -1))
    assert list(model[0]._winograd._own._made.values()) == [OWN]


def test_a_frozen_layer_packs_for_the_memory_format_in_which_that_is_read() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(128, 128, 1))
    winograd.convert_(model)
    winograd.freeze(model)
    state, image = model[0]._winograd, torch.randn(2, 128, 9, 9)
    last = image.contiguous(memory_format=torch.channels_last)
    for x, kept in ((image, False), (last, True), (image, True)):
        torch.testing.assert_close(model(x), torch.conv2d(x, model[0].weight, model[0].bias))
        assert bool(state.packed_bytes) == kept
        assert len(state._own._made) == 1
    assert len(state.plans) == 1


def test_a_frozen_layer_recognises_calls_with_a_computed_weight() -> None:
    layer = Conv3d(64, 64, 3, padding=1)
    winograd.freeze(layer)
    tiny = torch.randn(1, 64, 1, 1, 2)
    for weight in (layer.weight * 1, layer.weight * 2):
        output = layer._conv_forward(tiny, weight, None)
        assert torch.equal(output, torch.conv3d(tiny, weight, padding=1))
        assert list(layer._winograd._own._made.values()) == [OWN]
    layer(LARGE[0])
    assert layer._winograd.packed_bytes
    layer._conv_forward(tiny, layer.weight * 3, None)
    assert not layer._winograd.packed_bytes


def test_a_key_without_the_sizes_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "_call_key", lambda *_: ())
    winograd.conv3d(*LARGE, padding=1)
    found = convolution._decisions.find(IMAGE, WEIGHT, None, (1, 1, 1, 1))
    assert isinstance(found, Plan)
    assert found.shape.channels != IMAGE.shape[1]
