"""Converted models that are compiled, exported and loaded again: one graph, the same results, kept filters."""

from __future__ import annotations

import copy
import gc
import io
from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.export import Dim

import winograd
from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook
from winograd.conv.library import execution
from winograd.nn.compare import relative_l2

F23 = nest(*[toom_cook(2, 3)] * 3)

OPERATOR = torch.ops.winograd.convolution.default

# F(2,3) on three axes errs by less than 5e-7, its transposed forms in three layers by a few times that.
ERROR = 5e-6


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def c3d(*, forced: bool = True) -> nn.Module:
    """Return a small network in the manner of C3D, converted."""
    torch.manual_seed(0)
    widths = (3, 8, 16, 16)
    layers = [
        layer
        for before, after in pairwise(widths)
        for layer in (nn.Conv3d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool3d((1, 2, 2)))
    ]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(widths[-1], 5))
    winograd.convert_(model)
    for layer in convolutions(model):
        layer._winograd.change(algorithm=F23 if forced else None)
    return model.eval()


def convolutions(model: nn.Module) -> list[winograd.nn.Conv3d]:
    return [layer for layer in model.modules() if isinstance(layer, winograd.nn.Conv3d)]


def clip(batch: int = 2, size: int = 18) -> Tensor:
    return torch.randn(batch, 3, 5, size, 16, generator=torch.Generator().manual_seed(batch * size))


def gradients(model: nn.Module, x: Tensor) -> list[Tensor]:
    model.zero_grad(set_to_none=True)
    model(x).square().sum().backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


@pytest.mark.parametrize("forced", [True, False])
@pytest.mark.parametrize("backend", ["eager", "aot_eager", "inductor"])
def test_a_compiled_network_is_one_graph_with_the_same_results(backend: str, forced: bool) -> None:
    model = c3d(forced=forced)
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    with torch.no_grad():
        found, expected = compiled(clip()), model(clip())
    if backend == "inductor":  # it sums the linear layer in its own order
        assert relative_l2(found, expected.double()) < 1e-6
    else:
        assert torch.equal(found, expected)


def test_gradients_of_a_compiled_network_are_those_of_torch() -> None:
    model = c3d()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    plain = copy.deepcopy(model)
    winograd.revert_(plain)
    exact = gradients(plain.double(), clip().double())
    for found, expected in zip(gradients(compiled, clip()), exact, strict=True):
        assert relative_l2(found, expected) < ERROR


def test_sizes_that_change_compile_a_bounded_number_of_times() -> None:
    model, counter = c3d(), CompileCounterWithBackend("eager")
    compiled = torch.compile(model, backend=counter, fullgraph=True)
    with torch.no_grad():
        for size in range(14, 34):
            x = clip(2 + size % 3, size)
            assert torch.equal(compiled(x), model(x))
    assert counter.frame_count <= 2  # the first sizes, then any


def test_an_exported_network_is_saved_and_loaded_for_all_sizes() -> None:
    model = c3d()
    sizes = ({0: Dim.AUTO, 3: Dim.AUTO},)
    exported = torch.export.export(model, (clip(),), dynamic_shapes=sizes)
    assert [node.target for node in exported.graph.nodes].count(OPERATOR) == 3
    stream = io.BytesIO()
    torch.export.save(exported, stream)
    stream.seek(0)
    loaded = torch.export.load(stream).module()
    with torch.no_grad():
        for x in (clip(), clip(3, 23)):
            assert torch.equal(loaded(x), model(x))


def test_a_wrong_operator_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = c3d()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    run = execution.run_plan
    with torch.no_grad():
        expected = model(clip())
        monkeypatch.setattr(execution, "run_plan", lambda *given, **more: run(*given, **more) * (1 + 1e-4))
        assert not torch.equal(compiled(clip()), expected)


def test_layers_that_winograd_cannot_help_are_recorded_as_torchs_own() -> None:
    model = nn.Sequential(nn.Conv3d(8, 8, 1), nn.Conv3d(8, 8, 3, groups=8), nn.Conv3d(8, 16, 3))
    winograd.convert_(model)
    exported = torch.export.export(model, (torch.randn(1, 8, 5, 6, 7),))
    targets = [str(node.target) for node in exported.graph.nodes if "conv" in str(node.target)]
    assert targets == ["aten.conv3d.default", "aten.conv3d.default", "winograd.convolution.default"]


@pytest.fixture
def packings(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Weights that the operator transforms ahead."""
    seen: list[object] = []
    pack = execution.pack_for_plan
    monkeypatch.setattr(execution, "pack_for_plan", lambda plan, weight: seen.append(weight) or pack(plan, weight))
    return seen


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_a_frozen_network_transforms_its_weights_once(backend: str, packings: list[object]) -> None:
    model = c3d()
    winograd.freeze(model)
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    with torch.no_grad():
        for size in (18, 18, 20):
            torch.testing.assert_close(compiled(clip(size=size)), model(clip(size=size)))
        assert len(packings) == 3
        convolutions(model)[1].weight.mul_(2)
        torch.testing.assert_close(compiled(clip()), model(clip()))
        assert len(packings) == 4
    winograd.thaw(model)
    kept = len(execution.kept_filters)
    with torch.no_grad():
        torch.testing.assert_close(compiled(clip()), model(clip()))
    assert len(packings) == 4
    assert len(execution.kept_filters) == kept - 3


def test_kept_filters_go_with_their_weights(packings: list[object]) -> None:
    model = c3d()
    winograd.freeze(model)
    exported = torch.export.export(model, (clip(),)).module()
    with torch.no_grad():
        exported(clip())
    assert len(packings) == len({id(weight) for weight in packings}) == 3
    before = len(execution.kept_filters)
    del model, exported
    packings.clear()
    gc.collect()
    other = c3d()
    winograd.freeze(other)
    with torch.no_grad():
        torch.compile(other, backend="eager")(clip())
    assert len(execution.kept_filters) <= before


def test_switches_hold_for_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    model = c3d()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    backends: list[str] = []
    run = execution.run_plan
    monkeypatch.setattr(
        execution,
        "run_plan",
        lambda plan, *given, **more: backends.append(plan.backend.value) or run(plan, *given, **more),
    )
    with torch.no_grad():
        compiled(clip())
        with winograd.set_enabled(False):
            compiled(clip())
        compiled(clip())
    assert backends == ["native"] * 3 + ["direct"] * 3 + ["native"] * 3


def test_a_compiled_network_under_autocast_has_the_dtype_of_torch() -> None:
    model = c3d()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert compiled(clip()).dtype == model(clip()).dtype == torch.bfloat16


def test_training_layers_tell_how_gradients_are_computed() -> None:
    layer = winograd.nn.Conv3d(64, 64, 3, padding=1)
    x = torch.randn(1, 64, 8, 28, 28, requires_grad=True)
    layer(x).sum().backward()
    assert [plan.wanted.value for plan in layer.gradient_plans] == ["input", "weight"]
    assert {"native", "direct"} >= {plan.backend.value for plan in (*layer.plans, *layer.gradient_plans)} >= {"native"}
    exact = nn.functional.conv3d(x.detach().double(), layer.weight.double(), layer.bias.double(), padding=1)
    assert relative_l2(layer(x).detach(), exact.detach()) < 1e-5
