"""Compiled models: converted in place and turned back, since compiled code is bound to the classes of modules."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

import winograd
from tests.nn.conversion.citizens import C, clip, conv
from tests.nn.conversion.forwards import Causal
from tests.nn.conversion.laws import assert_close, assert_equal, force, kinds, planned, snapshot
from tests.nn.conversion.subclasses import Conv3DSimple


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


class Two(nn.Module):
    """Of a class of its own: torch compiles no forward of torch's in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv3d(4, 4, 3, padding=1), nn.Conv3d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu())


def two() -> Two:
    torch.manual_seed(0)
    return Two().double().eval()


def small_clip() -> Tensor:
    return clip(1, C, 4, 6, 6)


def compile_a_layer(model: nn.Module, programs: Programs) -> nn.Module:
    model.second = torch.compile(model.second, backend=programs)
    return model


LAYERWISE = {"whole": compile_whole, "in place": compile_in_place, "a layer": compile_a_layer}


@pytest.mark.parametrize("way", LAYERWISE)
@pytest.mark.parametrize("inlined", [True, False])
def test_compiled_code_follows_conversion_and_reversion(way: str, inlined: bool) -> None:
    programs = Programs()
    with torch._dynamo.config.patch(inline_inbuilt_nn_modules=inlined), torch.no_grad():
        model = LAYERWISE[way](two(), programs)
        expected = model(small_clip())
        before = snapshot(model)
        report = winograd.convert_(model, example=small_clip())
        assert (report.converted, report.skipped) == (2, 0)
        assert all(row.input for row in report.rows)
        assert len(programs.calls) == 1  # the example compiles nothing
        force(model)
        output = model(small_clip())
        assert_close(output, expected)
        assert not torch.equal(output, expected)
        assert "winograd.convolution.default" in programs.calls[-1]
        assert len(planned(model)) == 2
        winograd.revert_(model)
        assert torch.equal(model(small_clip()), expected)
        assert snapshot(model) == before
        assert len(programs.calls) == 2  # the first one is still right


def test_a_stale_program_is_noticed() -> None:
    model, programs = network(), Programs()
    compiled = compile_whole(model, programs)
    expected = compiled(clip())
    with torch.no_grad():
        model[0].weight.mul_(1 + 1e-9)
    with pytest.raises(AssertionError):
        assert_close(compiled(clip()), expected)
