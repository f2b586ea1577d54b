"""Quantisation of converted models: torch leaves our layers as they are, and what cannot run so says what to do."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.ao import quantization as quantized
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

import winograd
from tests.nn.conversion.citizens import C, clip, conv
from tests.nn.conversion.laws import assert_equal, force, kinds, planned
from tests.torch_citizen.pairs import distance
from winograd.conv.choosing.prediction import default_tolerance

COARSE = 2.0**-3
"""Relative L2 error of 8 bits, two roundings after each other of 256 steps over a range of some 8 deviations."""


@pytest.fixture(autouse=True)
def _nothing_said() -> Iterator[None]:
    with warnings.catch_warnings(action="ignore"):  # of torch, on forms that it is about to drop
        yield


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(conv(), nn.BatchNorm3d(C), nn.ReLU(), nn.Flatten(), nn.Linear(C * 120, 3)).eval()


def image() -> torch.Tensor:
    return clip().float()


def trained_to_be_quantised(*, fused: bool) -> nn.Module:
    model = network()[:3].train()
    if fused:
        model = quantized.fuse_modules_qat(model, ["0", "1", "2"])
    model.qconfig = quantized.get_default_qat_qconfig("fbgemm")
    quantized.prepare_qat(model, inplace=True)
    model(image())
    model.apply(quantized.disable_observer)
    return model.eval()


@pytest.mark.parametrize("fused", [False, True])
def test_layers_that_train_to_be_quantised_are_converted(fused: bool) -> None:
    model = trained_to_be_quantised(fused=fused)
    before, expected = kinds(model), model(image())
    report = winograd.convert_(model)
    assert report.converted == 1
    force(model)
    layer = model.get_submodule(report.layers[0].name)
    layer.activation_post_process.apply(quantized.disable_fake_quant)  # whose steps hide small errors
    got = model(image())
    winograd.revert_(model)
    assert kinds(model) == before
    assert distance(got, model(image())) <= 2 * default_tolerance("float32")
    layer.activation_post_process.apply(quantized.enable_fake_quant)
    assert_equal(model(image()), expected)


def test_quantised_layers_are_none_of_ours() -> None:
    model = quantized.QuantWrapper(network()[:3])
    model.qconfig = quantized.get_default_qconfig("fbgemm")
    quantized.prepare(model, inplace=True)
    model(image())
    quantized.convert(model, inplace=True)
    expected = model(image())
    with pytest.warns(UserWarning, match="no convolution was converted"):
        winograd.convert_(model)
    assert_equal(model(image()), expected)


def statically(model: nn.Module) -> nn.Module:
    """Quantise in eager mode."""
    wrapped = quantized.QuantWrapper(model)
    wrapped.qconfig = quantized.get_default_qconfig("fbgemm")
    quantized.prepare(wrapped, inplace=True)
    wrapped(image())
    return quantized.convert(wrapped, inplace=True)


def test_a_converted_layer_between_quantised_ones_says_what_to_do_and_that_works() -> None:
    whole = statically(winograd.convert(network()))
    with pytest.raises(RuntimeError, match=r"input is torch.quint8, .* give it winograd\.revert_\(model\)"):
        whole(image())
    back = statically(winograd.revert_(winograd.convert(network())))
    assert distance(back(image()), network()(image())) <= COARSE


@pytest.mark.parametrize("kind", [winograd.nn.Conv3d, winograd.nn.ConvTranspose3d])
def test_quantised_tensors_are_refused_by_every_kind_of_layer(kind: type[nn.Module]) -> None:
    steps = torch.quantize_per_tensor(image(), 0.05, 128, torch.quint8)
    with torch.no_grad(), pytest.raises(RuntimeError, match="the convolution is not quantised"):
        kind(C, C, 3)(steps)


def test_a_converted_layer_without_a_qconfig_runs_winograd_beside_quantised_ones() -> None:
    model = network()
    winograd.convert_(model)
    force(model)
    expected = model[:3](image())
    parts = nn.Sequential(model[:3], quantized.QuantWrapper(model[3:]))
    parts[1].qconfig = quantized.get_default_qconfig("fbgemm")
    quantized.prepare(parts, inplace=True)
    parts(image())
    quantized.convert(parts, inplace=True)
    assert planned(parts) == ["0.0"]
    assert_equal(parts[0](image()), expected)
    assert distance(parts(image()), network()(image())) <= COARSE


def test_dynamic_quantisation_leaves_converted_layers_to_winograd() -> None:
    model = network()
    winograd.convert_(model)
    force(model)
    winograd.freeze(model, fold="all")
    with torch.no_grad():
        expected = model[:3](image())
        small = quantized.quantize_dynamic(model, {nn.Linear})
        assert planned(small) == ["0"]
        assert_equal(small[:3](image()), expected)
        assert distance(small(image()), network()(image())) <= COARSE


def test_quantisation_of_graphs_leaves_converted_layers_to_winograd() -> None:
    model = network()
    winograd.convert_(model)
    force(model)
    mapping = quantized.get_default_qconfig_mapping("fbgemm")
    prepared = prepare_fx(model, mapping, (image(),))
    prepared(image())
    graph = convert_fx(prepared)
    assert planned(graph) == ["0"]
    assert distance(graph(image()), network()(image())) <= COARSE
