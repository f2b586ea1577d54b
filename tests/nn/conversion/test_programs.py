"""Scripted, exported and traced models: converted right, or refused before anything changes."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

import winograd
from tests.nn.conversion.citizens import C, clip, conv
from tests.nn.conversion.forwards import Causal
from tests.nn.conversion.laws import assert_close, assert_equal, force, planned
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
