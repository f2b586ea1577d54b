"""Graphs of torch.fx: a converted model that is traced, traced again, copied, pickled and cut runs Winograd in each."""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

import winograd
from tests.nn.conversion.citizens import C, clip, conv
from tests.nn.conversion.forwards import Causal, OwnInside
from tests.nn.conversion.laws import assert_close, assert_equal, assert_gradients_close, force
from tests.nn.conversion.subclasses import Conv3DSimple
from winograd.nn import traced
from winograd.nn.convolving import ConvolutionState


def network() -> nn.Sequential:
    """Return a model whose layers are nodes of a graph, and some that are traced through, as torch does with both."""
    torch.manual_seed(0)
    nodes = (conv(), nn.BatchNorm3d(C), nn.ReLU(), conv(padding_mode="replicate"), nn.ConvTranspose3d(C, C, 2))
    through = (Conv3DSimple(C, C), Causal(C, C, 3, padding=(0, 1, 1)), OwnInside(C, C, 3, padding="same"))
    return nn.Sequential(*nodes, *through, nn.Conv3d(C, C, 1)).double().eval()


def converted(model: nn.Module) -> nn.Module:
    winograd.convert_(model)
    force(model)
    return model


def used(graph: fx.GraphModule) -> list[tuple[str, str]]:
    """Return what a graph does, without attributes that nobody reads."""
    return [(node.op, str(node.target)) for node in graph.graph.nodes if node.users or node.op == "output"]


def assert_runs_winograd(graph: nn.Module, model: nn.Module, plain: nn.Module) -> None:
    """Compare with the converted model bit for bit: a layer left to torch's own is close, and not equal."""
    with torch.no_grad():
        assert_equal(graph(clip()), model(clip()))
        assert_close(graph(clip()), plain(clip()))
        assert not torch.equal(graph(clip()), plain(clip()))


def test_a_graph_has_the_nodes_of_the_plain_model_and_ours_where_torchs_function_was() -> None:
    graph = fx.symbolic_trace(converted(network()))
    theirs = used(fx.symbolic_trace(network()))
    ours = [(op, "conv3d" if op == "call_function" and "convolution" in name else name) for op, name in used(graph)]
    plain = [(op, "conv3d" if op == "call_function" and "conv3d" in name else name) for op, name in theirs]
    assert ours == plain
    assert sum(node.target is traced.convolution for node in graph.graph.nodes) == 3


def without_dead_code(graph: fx.GraphModule) -> fx.GraphModule:
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


AGAIN: dict[str, Callable[[fx.GraphModule], nn.Module]] = {
    "as it is": lambda graph: graph,
    "traced again": fx.symbolic_trace,
    "copied": copy.deepcopy,
    "pickled": lambda graph: pickle.loads(pickle.dumps(graph)),
    "pickled and traced": lambda graph: fx.symbolic_trace(pickle.loads(pickle.dumps(graph))),
    "transformed": lambda graph: fx.Transformer(graph).transform(),
    "without dead code": without_dead_code,
}


@pytest.mark.parametrize("way", AGAIN)
@pytest.mark.parametrize("frozen", [False, True])
def test_a_graph_runs_winograd(way: str, frozen: bool) -> None:
    model = converted(network())
    if frozen:
        winograd.freeze(model)
    graph = AGAIN[way](fx.symbolic_trace(model))
    assert_runs_winograd(graph, model, network())


def test_a_graph_that_lost_winograd_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = converted(network())
    own: Any = lambda _, layer, *tensors: winograd.nn.convolving._torch_own(layer, *tensors)  # noqa: E731
    monkeypatch.setattr(ConvolutionState, "_trace", own)
    with pytest.raises(AssertionError):
        assert_runs_winograd(fx.symbolic_trace(model), model, network())


def test_a_pickled_graph_brings_its_import_along() -> None:
    assert b"from winograd.nn.traced import convolution" in pickle.dumps(fx.symbolic_trace(converted(network())))


def test_shapes_are_propagated_and_a_pass_may_put_other_operations_in() -> None:
    model = nn.Sequential(conv(), nn.ReLU(), Conv3DSimple(C, C)).double().eval()
    plain = copy.deepcopy(model)
    graph = fx.symbolic_trace(converted(model))
    ShapeProp(graph).propagate(clip())
    shapes = [tuple(node.meta["tensor_meta"].shape) for node in graph.graph.nodes if node.op.startswith("call_")]
    assert shapes == 3 * [tuple(clip().shape)]
    relu = next(node for node in graph.graph.nodes if node.target == "1")
    with graph.graph.inserting_after(relu):
        double = graph.graph.call_function(operator.mul, (relu, 2.0))
    relu.replace_all_uses_with(double, lambda user: user is not double)
    graph.recompile()
    plain[1].register_forward_hook(lambda _layer, _given, output: 2 * output)
    assert_close(graph(clip()), plain(clip()))


def test_a_graph_trains_as_the_plain_model_does() -> None:
    plain, graph = network(), fx.symbolic_trace(converted(network()))
    for one in (plain, graph):
        one(clip()).square().sum().backward()
    ours = {name: parameter for name, parameter in graph.named_parameters() if parameter.grad is not None}
    assert list(ours) == [name for name, _ in plain.named_parameters()]
    assert_gradients_close(graph, plain)


def test_nodes_that_are_layers_follow_the_model_back() -> None:
    model = nn.Sequential(conv(), nn.ReLU(), conv()).double().eval()
    plain, graph = copy.deepcopy(model), fx.symbolic_trace(converted(model))
    winograd.revert_(model)
    assert_equal(graph(clip()), plain(clip()))


def test_a_graph_takes_one_image_and_what_it_is_told_of_memory() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(Conv3DSimple(C, C)).double().eval()
    plain = copy.deepcopy(model)
    winograd.convert_(model, workspace_cap=2**20, filter_cap=2**20)
    force(model)
    graph = fx.symbolic_trace(winograd.freeze(model))
    assert 2**20 in next(node for node in graph.graph.nodes if node.target is traced.convolution).args
    with torch.no_grad():
        assert_close(graph(clip()[0]), plain(clip()[0]))
        assert_equal(graph(clip()), model(clip()))
        model[0].weight.mul_(2)  # kept transformed, and transformed anew
        assert_equal(graph(clip()), model(clip()))


@pytest.mark.parametrize("fold", ["norms", "all"])
def test_a_folded_layer_is_no_node_so_that_a_graph_may_be_cut_behind_it(fold: Any) -> None:
    model = nn.Sequential(conv(), nn.BatchNorm3d(C), nn.ReLU()).double().eval()
    model[1].running_var.fill_(4.0)
    plain = copy.deepcopy(model)
    winograd.freeze(converted(model), fold=fold)
    graph = fx.symbolic_trace(model)
    with torch.no_grad():
        assert_close(graph(clip()), plain(clip()))
        norm = next(node for node in graph.graph.nodes if node.target == "1")
        norm.replace_all_uses_with(norm.args[0])
        graph.graph.erase_node(norm)
        graph.recompile()
        assert_close(graph(clip()), plain[2](plain[0](clip())))


def test_a_layer_that_is_hooked_is_traced_with_its_hook_and_computes_it_once() -> None:
    model = nn.Sequential(conv(), nn.ReLU()).double().eval()
    model[0].register_forward_hook(lambda _layer, _given, output: 2 * output)
    plain = copy.deepcopy(model)
    graph = fx.symbolic_trace(converted(model))
    assert_runs_winograd(graph, model, plain)


def test_a_tracer_without_leaves_gets_functions() -> None:
    class Through(fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return False

    model = converted(nn.Sequential(conv(), nn.ReLU()).double().eval())
    graph = fx.GraphModule(model, Through().trace(model))
    assert not any(node.op == "call_module" for node in graph.graph.nodes)
    assert_runs_winograd(graph, model, winograd.revert_(copy.deepcopy(model)))


def test_what_winograd_cannot_help_is_torchs_function() -> None:
    model = nn.Sequential(Conv3DSimple(C, C), Conv3DSimple(C, C)).double().eval()
    winograd.convert_(model)
    model[0]._winograd.change(algorithm="direct")
    model[1].kernel_size = (1, 1, 1)
    graph = fx.symbolic_trace(model)
    assert not any(node.target is traced.convolution for node in graph.graph.nodes)


RECORDED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "compiled": lambda graph: torch.compile(graph, backend="eager", fullgraph=True),
    "exported": lambda graph: torch.export.export(graph, (clip(),)).module(),
}


@pytest.mark.parametrize("way", RECORDED)
@pytest.mark.parametrize("frozen", [False, True])
def test_a_graph_with_forced_algorithms_is_recorded_as_a_whole(way: str, frozen: bool) -> None:
    model = nn.Sequential(Conv3DSimple(C, C), nn.ReLU(), conv()).double().eval()
    plain = copy.deepcopy(model)
    converted(model)
    graph = fx.symbolic_trace(winograd.freeze(model) if frozen else model)
    assert_runs_winograd(RECORDED[way](graph), graph, plain)
    torch.compiler.reset()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("forced", [False, True])
def test_what_jit_saves_of_a_graph_needs_nothing_of_ours(forced: bool) -> None:
    model = nn.Sequential(Conv3DSimple(C, C), nn.ReLU(), conv()).double().eval()
    plain = copy.deepcopy(model)
    winograd.convert_(model)
    if forced:
        force(model)
    graph = fx.symbolic_trace(winograd.freeze(model))
    with torch.no_grad():
        traced_by_jit = torch.jit.trace(graph, (clip(),))
    operations = [node.kind() for node in traced_by_jit.inlined_graph.nodes() if "prim::" not in node.kind()]
    assert operations == ["aten::_convolution", "aten::relu", "aten::_convolution"]
    assert_close(traced_by_jit(clip()), plain(clip()))


def test_hooks_of_all_modules_are_traced_once() -> None:
    model = nn.Sequential(conv(), nn.ReLU()).double().eval()
    converted(model)
    doubles = lambda layer, _, output: 2 * output if isinstance(layer, nn.Conv3d) else None  # noqa: E731
    hook = nn.modules.module.register_module_forward_hook(doubles)
    try:
        expected, graph = model(clip()), fx.symbolic_trace(model)
        assert_equal(graph(clip()), expected)
    finally:
        hook.remove()
