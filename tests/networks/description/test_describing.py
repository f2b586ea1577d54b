"""`describe`: names, networks that were built, options and sizes; what is refused; how a description shows itself."""

from __future__ import annotations

import json
from functools import cache
from xml.etree import ElementTree

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import winograd
from winograd.networks import Description, create, describe
from winograd.networks.description.page import description_page
from winograd.networks.description.parameters import count_parameters
from winograd.networks.description.picture import picture_svg
from winograd.networks.description.plot import description_png, description_svg
from winograd.networks.description.showing import layer_rows
from winograd.networks.description.stages import stages
from winograd.networks.outline import outline
from winograd.networks.registry import UnknownNetworkError

NAMES = ["c3d", "i3d_two_stream", "r2plus1d_18", "ip_csn_50", "p3d_63", "eco_lite_add", "fused_two_stream"]


@cache
def described(name: str) -> Description:
    return describe(name)


@pytest.mark.parametrize("name", NAMES)
def test_torch_counts_the_same(name: str) -> None:
    model, one = outline(name), described(name)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        scores = model(torch.empty(1, *model.input_shape, device="meta"))
    assert 2 * one.macs == counter.get_total_flops()
    assert one.output == tuple(scores.shape)
    assert one.parameters.total == sum(parameter.numel() for parameter in model.parameters())
    assert one.weight_bytes == sum(4 * tensor.numel() for tensor in model.state_dict().values())


@pytest.mark.parametrize("name", NAMES)
def test_sums_are_those_of_the_layers(name: str) -> None:
    one = described(name)
    kinds = one.by_kind().values()
    assert sum(kind.macs for kind in kinds) == one.macs
    assert sum(kind.layers for kind in kinds) == len(one.layers)
    assert sum(kind.share for kind in kinds) == pytest.approx(1, abs=1e-12)
    listed = sum(layer.parameters for layer in one.layers)
    assert listed + one.parameters.normalisations == one.parameters.total
    assert one.multiplications(None) <= min(map(one.multiplications, range(1, 9))) <= one.macs
    assert one.filter_bytes(2) > 0


@pytest.mark.parametrize("name", NAMES)
def test_layers_have_the_channels_and_sizes_of_their_modules(name: str) -> None:
    model = outline(name)
    for layer in described(name).layers:
        module = model.get_submodule(layer.name)
        if isinstance(module, nn.Linear):
            assert (layer.input[-1], layer.output[-1]) == (module.in_features, module.out_features)
        if layer.shape is not None:
            assert layer.output == (layer.shape.batch, module.out_channels, *layer.shape.output)
            assert layer.input == (layer.shape.batch, module.in_channels, *layer.shape.sizes)


def test_a_network_that_was_built_is_described_and_left_as_it_is() -> None:
    model = create("r3d_10", num_classes=5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    one, named = describe(model), describe("r3d_10", num_classes=5)
    assert (one.layers, one.parameters, one.peak_bytes) == (named.layers, named.parameters, named.peak_bytes)
    assert one.network == "VideoResNet"
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_converted_network_is_the_same_in_numbers() -> None:
    model = create("r3d_10", num_classes=5)
    winograd.convert_(model)
    one, plain = describe(model), describe("r3d_10", num_classes=5)
    assert (one.macs, one.parameters, one.multiplications(4)) == (
        plain.macs,
        plain.parameters,
        plain.multiplications(4),
    )


def test_any_network_is_described_for_sizes_that_are_given() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 1)
    )
    one = describe(model, batch=2, input_shape=(3, 10, 12))
    assert (one.network, one.output, one.macs) == ("Sequential", (2, 4, 5, 6), 2 * (120 * 27 * 8 + 30 * 32))
    assert [layer.kind.value for layer in one.layers] == ["1x3x3", "pooling", "1x1x1"]
    assert picture_svg(one).count("<g>") == 4
    with pytest.raises(ValueError, match="input_shape is None, must be given for Sequential"):
        describe(model)


def test_batch_and_clips_of_other_sizes() -> None:
    one, two = described("c3d"), describe("c3d", batch=2)
    assert (two.macs, two.peak_bytes) == (2 * one.macs, 2 * one.peak_bytes)
    assert two.parameters == one.parameters
    long = describe("r3d_10", input_shape=(3, 32, 64, 64))
    assert long.input == (1, 3, 32, 64, 64)
    assert long.layer("fc").input == (1, 512)


def test_tensors_that_stay_alive_for_a_shortcut_count() -> None:
    """The first block of R3D holds what the stem gave beside what its two convolutions take and give."""
    one = described("r2plus1d_18")
    widest = max(layer.input[1] + layer.output[1] for layer in one.layers if layer.input[2:] == (16, 56, 56))
    assert one.peak_bytes >= 4 * (widest + 64) * 16 * 56 * 56


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"network": "c3d", "batch": 0}, "batch is 0, must be at least 1"),
        ({"network": "c3d", "tiles": ()}, "tiles are ()"),
        ({"network": "c3d", "tiles": (2, 0)}, "tiles are (2, 0)"),
        ({"network": "c3d", "input_shape": (3, 16, 64, 64)}, "input_shape is (3, 16, 64, 64), which the network"),
        ({"network": "i3d_rgb", "input_shape": (2, 16, 64, 64)}, "must be (N, 3, frames, height, width)"),
    ],
)
def test_what_is_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        describe(**arguments)  # type: ignore[arg-type]
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_other_refusals() -> None:
    with pytest.raises(UnknownNetworkError, match="nearest: c3d"):
        describe("c3")
    with pytest.raises(TypeError, match="options dropout are for a name of a network, VideoResNet is built"):
        describe(outline("r3d_10"), dropout=0.1)
    with pytest.raises(KeyError, match=r"c3d has no layer 'conv9'; nearest: conv"):
        described("c3d").layer("conv9")


def test_a_parameter_of_another_role_is_noticed() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    counts = count_parameters(module)
    module.register_parameter("scale", nn.Parameter(torch.zeros(7)))
    assert counts.other == 0
    assert count_parameters(module).other == 7
    module[0].weight = module.scale
    assert count_parameters(module).total == 7 + 3 + 6  # shared, counted once


def test_text_says_the_sums_and_every_layer() -> None:
    text = str(described("c3d"))
    assert "c3d, clips 1x3x16x112x112, scores 1x400, float32" in text
    assert "parameters: 79,634,576 (convolutions 27,653,184, linear layers 51,970,048, biases 11,344)" in text
    assert "3.33" in text
    assert "7.06" in text
    assert all(f"\n{layer.name} " in text for layer in described("c3d").layers)


def test_a_notebook_shows_the_first_layers_and_escapes() -> None:
    html = described("ip_csn_50")._repr_html_()
    assert f"and {len(described('ip_csn_50').layers) - 20} more" in html
    assert repr(described("c3d")) == "<c3d: 79,634,576 parameters, 38.549 GMACs>"


def test_json_has_all_of_it() -> None:
    figures = json.loads(json.dumps(described("r2plus1d_18").as_dict(), allow_nan=False))
    one = described("r2plus1d_18")
    assert figures["macs"] == one.macs == sum(layer["macs"] for layer in figures["layers"])
    assert figures["parameters"]["total"] == one.parameters.total
    assert figures["tiles"]["4"]["multiplications"] == one.multiplications(4)
    assert figures["tiles"]["best"]["multiplications"] == one.multiplications(None)
    assert figures["memory"]["peak_bytes"] == one.peak_bytes
    assert figures["layers"][0]["taps"] == [1, 7, 7]


def test_stages_go_from_the_clip_to_the_scores() -> None:
    found = stages(described("p3d_63"))
    assert [stage.label for stage in found] == [
        "3x16x160x160", "64x16x80x80", "64x8x40x40", "256x8x40x40", "256x4x40x40", "512x4x20x20", "512x2x20x20",
        "1024x2x10x10", "1024x1x10x10", "2048x1x5x5", "2048", "400",
    ]  # fmt: skip
    assert [stage.type for stage in found[:3]] == ["clip", "Conv3d", "MaxPool3d"]
    folded = stages(described("eco_lite_add"))[1]
    assert folded.sizes == (32, 16, 121, 121)  # frames in the batch are time


SHAPES = {
    "c3d": "3x16x112x112 64x16x112x112 64x16x56x56 128x16x56x56 128x8x28x28 256x8x28x28 256x4x14x14 512x4x14x14 "
    "512x2x7x7 512x2x7x7 512x1x4x4 4096 400",
    "r3d_18": "3x16x112x112 64x16x56x56 128x8x28x28 256x4x14x14 512x2x7x7 512 400",
    "mc3_18": "3x16x112x112 64x16x56x56 128x16x28x28 256x16x14x14 512x16x7x7 512 400",
    "r2d_18": "3x16x112x112 64x1x56x56 128x1x28x28 256x1x14x14 512x1x7x7 512 400",
    "r2plus1d_18": "3x16x112x112 45x16x56x56 64x16x56x56 128x8x28x28 256x4x14x14 512x2x7x7 512 400",
    "ir_csn_50": "3x8x224x224 64x8x112x112 64x8x56x56 256x8x56x56 512x4x28x28 1024x2x14x14 2048x1x7x7 2048 400",
    "i3d_rgb": "3x64x224x224 64x32x112x112 64x32x56x56 64x32x56x56 192x32x56x56 192x32x28x28 256x32x28x28 480x32x28x28 "
    "480x16x14x14 512x16x14x14 528x16x14x14 832x16x14x14 832x8x7x7 832x8x7x7 1024x8x7x7 1024x7x1x1 400x7x1x1",
}
"""Channels, time, height and width as the papers and ports have them."""


@pytest.mark.parametrize("name", SHAPES)
def test_features_have_the_sizes_of_the_literature(name: str) -> None:
    assert " ".join(stage.label for stage in stages(described(name))) == SHAPES[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_is_a_document_with_every_stage(name: str) -> None:
    text = picture_svg(described(name))
    assert text.isascii()
    root = ElementTree.fromstring(text)
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    assert len(root.findall("{*}g")) == len(stages(described(name)))
    faces = list(root.iter("{http://www.w3.org/2000/svg}polygon"))
    assert len(faces) == 3 * len(stages(described(name)))
    points = [tuple(map(float, point.split(","))) for face in faces for point in face.attrib["points"].split()]
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
    assert picture_svg(describe(name)) == text


def test_plots_and_pages_are_the_same_every_time() -> None:
    one = described("c3d")
    assert description_png(one).startswith(b"\x89PNG")
    assert description_svg(one) == description_svg(one)
    page = description_page(one)
    assert page.count(b"<table>") == 3
    assert page.count(b"<figure>") == 2
    assert f"<td>{layer_rows(one)[-1][0]}</td>".encode() in page
