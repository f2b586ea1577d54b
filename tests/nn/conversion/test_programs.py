"""Compiled, scripted, exported, traced and quantised models: converted right, or refused before anything changes."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.ao import quantization as quantized

import winograd
from tests.nn.conversion.citizens import C, clip, conv
from tests.nn.conversion.forwards import Causal
from tests.nn.conversion.laws import assert_close, assert_equal, force, kinds, planned, snapshot
from tests.nn.conversion.subclasses import Conv3DSimple
from tests.torch_citizen.pairs import distance
from winograd.conv.choosing.prediction import default_tolerance


@pytest.fixture(autouse=True)
def _nothing_compiled_before() -> Iterator[None]:
    torch.compiler.reset()
    with warnings.catch_warnings(action="ignore"):  # of torch, on forms that it is about to drop
        yield
    torch.compiler.reset()


def network() -> nn.Sequential:
    torch.manual_seed(0)
    causal = Causal(C, C, 3, padding=(0, 1, 1))
    return nn.Sequential(conv(), nn.BatchNorm3d(C), nn.ReLU(), Conv3DSimple(C, C), causal).double().eval()


class Programs:
    """A backend of torch.compile that runs graphs as they are, and notes what they call."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, graph: fx.GraphModule, _inputs: list[Tensor]) -> Callable[..., Any]:
        self.calls.append([str(node.target) for node in graph.graph.nodes if node.op == "call_function"])
        return graph.forward

    @property
    def newest(self) -> set[str]:
        """Whose convolutions the newest graph calls."""
        return {"ours" if "winograd" in call else "torch's" for call in self.calls[-1] if "conv" in call}


def compile_whole(model: nn.Module, programs: Programs) -> nn.Module:
    whole: Any = torch.compile(model, backend=programs)
    return whole  # type: ignore[no-any-return]


def compile_in_place(model: nn.Module, programs: Programs) -> nn.Module:
    model.compile(backend=programs)
    return model


def compile_a_part(model: nn.Module, programs: Programs) -> nn.Module:
    return nn.Sequential(nn.Identity(), torch.compile(model, backend=programs))


COMPILED = {"torch.compile": compile_whole, "in place": compile_in_place, "a part": compile_a_part}


@pytest.mark.parametrize("way", COMPILED)
def test_a_compiled_model_is_compiled_anew_when_it_is_converted_and_when_it_is_reverted(way: str) -> None:
    plain, programs = network(), Programs()
    model = COMPILED[way](network(), programs)
    before, expected = kinds(model), model(clip())
    assert programs.newest == {"torch's"}
    winograd.convert_(model)
    force(model)
    assert_close(model(clip()), expected)
    assert programs.newest == {"ours"}
    count = len(programs.calls)
    model(clip())
    assert len(programs.calls) == count
    with torch.no_grad():
        winograd.freeze(model, fold="all")
        assert_close(model(clip()), expected)
    winograd.revert_(model)
    assert kinds(model) == before
    assert_equal(model(clip()), expected)
    assert_equal(expected, plain(clip()))


def test_a_converted_model_is_compiled_and_reverted() -> None:
    plain, programs, inner = network(), Programs(), network()
    winograd.convert_(inner)
    force(inner)
    model = compile_whole(inner, programs)
    for one in (plain, model):
        one(clip()).square().sum().backward()
    assert programs.newest == {"ours"}
    for ours, torchs in zip(model.parameters(), plain.parameters(), strict=True):
        assert_close(ours.grad, torchs.grad)
    winograd.revert_(model)
    assert_equal(model(clip()), plain(clip()))
    assert planned(inner) == []


def test_a_compiled_model_is_converted_with_an_example() -> None:
    model = compile_whole(network(), Programs())
    report = winograd.convert_(model, example=clip())
    assert [len(layer.plans) for layer in report.layers] == [1, 1, 1]
    assert_close(model(clip()), network()(clip()))


def test_a_compiled_model_that_failed_to_convert_runs_as_before() -> None:
    model = compile_whole(network(), Programs())
    before, expected = snapshot(model), model(clip())
    with pytest.raises(RuntimeError):
        winograd.convert_(model, example=clip(1, C + 1, 3, 3, 3))
    assert snapshot(model) == before
    assert_equal(model(clip()), expected)


@pytest.mark.parametrize("make", [torch.jit.script, lambda model: torch.jit.trace(model, (clip(),))])
@pytest.mark.parametrize("nested", [False, True])
def test_a_scripted_model_is_refused_or_its_layers_skipped_and_nothing_changes(make: Any, nested: bool) -> None:
    model = make(nn.Sequential(conv(), nn.ReLU()).double().eval())
    if nested:
        model = nn.Sequential(model, conv().double())
    expected, types = model(clip()), [type(one) for one in model.modules()]
    if nested:
        report = winograd.convert_(model)
        assert planned(model) == ["1"]
        assert all("scripted" in layer.reason for layer in report.layers if layer.state is None)
        assert_close(model(clip()), expected)
        winograd.revert_(model)
    else:
        with pytest.raises(TypeError, match="scripted"):
            winograd.convert_(model)
    assert [type(one) for one in model.modules()] == types
    assert_equal(model(clip()), expected)


def test_a_converted_model_is_not_scripted_and_the_error_says_what_to_do() -> None:
    model = nn.Sequential(conv())
    winograd.convert_(model)
    with pytest.raises(RuntimeError, match=r"winograd\.revert_"):
        torch.jit.script(model)
    assert torch.jit.script(winograd.revert_(copy.deepcopy(model))).code


@pytest.mark.parametrize("strict", [False, True])
def test_what_is_exported_holds_our_convolution_and_outlives_the_conversion(strict: bool) -> None:
    model = network()
    winograd.convert_(model)
    force(model)
    sizes = {"input": {0: torch.export.Dim("batch", min=1, max=8)}}
    program = torch.export.export(model, (clip(),), dynamic_shapes=sizes, strict=strict)
    assert any("winograd" in str(node.target) for node in program.graph.nodes)
    winograd.revert_(model)
    for size in (1, 2, 5):
        assert_close(program.module()(clip(size, C, 4, 6, 5)), model(clip(size, C, 4, 6, 5)))


def test_a_graph_is_converted() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(conv(), nn.ReLU(), conv())

        def forward(self, input: Tensor) -> Tensor:
            output: Tensor = self.inner(input)
            return output + input

    graph = fx.symbolic_trace(Outer().double().eval())
    expected = graph(clip())
    assert winograd.convert_(graph).converted == 2
    force(graph)
    winograd.freeze(graph, fold="all")
    with torch.no_grad():
        for one in (graph, copy.deepcopy(graph)):
            assert_close(one(clip()), expected)
            winograd.revert_(one)
            assert_equal(one(clip()), expected)


# Quantised models.


def trained_to_be_quantised(*, fused: bool) -> nn.Module:
    model = network()[:3].float().train()
    if fused:
        model = quantized.fuse_modules_qat(model, ["0", "1", "2"])
    model.qconfig = quantized.get_default_qat_qconfig("fbgemm")
    quantized.prepare_qat(model, inplace=True)
    model(clip().float())
    model.apply(quantized.disable_observer)
    return model.eval()


@pytest.mark.parametrize("fused", [False, True])
def test_layers_that_train_to_be_quantised_are_converted(fused: bool) -> None:
    model = trained_to_be_quantised(fused=fused)
    before, expected = kinds(model), model(clip().float())
    report = winograd.convert_(model)
    assert report.converted == 1
    force(model)
    layer = model.get_submodule(report.layers[0].name)
    layer.activation_post_process.apply(quantized.disable_fake_quant)  # whose steps hide small errors
    got = model(clip().float())
    winograd.revert_(model)
    assert kinds(model) == before
    assert distance(got, model(clip().float())) <= 2 * default_tolerance("float32")
    layer.activation_post_process.apply(quantized.enable_fake_quant)
    assert_equal(model(clip().float()), expected)


def test_quantised_layers_are_none_of_ours() -> None:
    model = quantized.QuantWrapper(network()[:3].float())
    model.qconfig = quantized.get_default_qconfig("fbgemm")
    quantized.prepare(model, inplace=True)
    model(clip().float())
    quantized.convert(model, inplace=True)
    expected = model(clip().float())
    with pytest.warns(UserWarning, match="no convolution was converted"):
        winograd.convert_(model)
    assert_equal(model(clip().float()), expected)


def test_a_stale_program_is_noticed() -> None:
    model, programs = network(), Programs()
    compiled = compile_whole(model, programs)
    expected = compiled(clip())
    with torch.no_grad():
        model[0].weight.mul_(1 + 1e-9)
    with pytest.raises(AssertionError):
        assert_close(compiled(clip()), expected)
