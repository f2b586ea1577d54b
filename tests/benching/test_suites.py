"""The suites against the published counts of their networks, which they must add up to with the layers left out."""

from __future__ import annotations

import subprocess
import sys
from math import prod

import pytest

from winograd.benching.published import middle_channels
from winograd.benching.suites import SUITES, make_suite

C3D_LINEAR = 8192 * 4096 + 4096 * 4096 + 4096 * 487
WIDTHS = ((64, 128), (128, 256), (256, 512))
"""Channels of the strided convolutions that begin layers 2 to 4 of the residual networks."""

OUTPUTS = [prod(sizes) for sizes in ((16, 56, 56), (8, 28, 28), (4, 14, 14), (2, 7, 7))]
SHORTCUTS = sum(channels * outputs * count for (channels, outputs), count in zip(WIDTHS, OUTPUTS[1:], strict=True))
LINEAR = 512 * 400


def giga(count: int) -> float:
    return round(count / 1e9, 3)


def r3d_18_total(stride_1: int) -> int:
    stem = 64 * 3 * (3 * 7 * 7) * OUTPUTS[0]
    return stride_1 + stem + 27 * SHORTCUTS + SHORTCUTS + LINEAR


def r2plus1d_18_total(stride_1: int) -> int:
    strided = 0
    for (channels, outputs), count in zip(WIDTHS, OUTPUTS[1:], strict=True):
        middle = middle_channels(channels, outputs)
        strided += channels * middle * 9 * (2 * count) + middle * outputs * 3 * count  # time is halved by the second
    stem = 45 * 3 * 49 * OUTPUTS[0]
    return stride_1 + stem + strided + SHORTCUTS + LINEAR


def test_c3d_is_the_network_s_stack_and_its_stem() -> None:
    stack, stem = make_suite("c3d"), make_suite("c3d_stem")
    assert [layer.name for layer in stack.layers] == ["conv2", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a"]
    assert [layer.name for layer in stem.layers] == ["conv1"]
    assert {layer.count for layer in (*stack.layers, *stem.layers)} == {1}
    assert all(layer.has_bias for layer in stack.layers)
    conv5b = stack.layers[-1].macs
    assert giga(stem.macs + stack.macs + conv5b + C3D_LINEAR) == 38.549


def test_r3d_18_adds_up_to_the_published_count() -> None:
    suite = make_suite("r3d_18")
    assert giga(r3d_18_total(suite.macs)) == 40.697
    assert round(suite.macs / r3d_18_total(suite.macs), 3) == 0.903
    assert {layer.shape.taps for layer in suite.layers} == {(3, 3, 3)}


def test_r2plus1d_18_adds_up_to_the_published_count_by_the_paper_s_rule() -> None:
    suite = make_suite("r2plus1d_18")
    assert giga(r2plus1d_18_total(suite.macs)) == 41.496
    assert {layer.shape.taps for layer in suite.layers} == {(1, 3, 3), (3, 1, 1)}
    assert sum(layer.count for layer in suite.layers) == 1 + 2 * 13


def test_i3d_has_the_published_share() -> None:
    suite = make_suite("i3d_rgb")
    assert round(suite.macs / 111.153e9, 3) == 0.696
    assert sum(layer.count for layer in suite.layers) == 19
    assert {layer.shape.taps for layer in suite.layers} == {(3, 3, 3)}


def test_a_convolution_less_would_be_seen() -> None:
    for name, total, published in (("r3d_18", r3d_18_total, 40.697), ("r2plus1d_18", r2plus1d_18_total, 41.496)):
        suite = make_suite(name)
        least = min(layer.macs for layer in suite.layers)
        assert giga(total(suite.macs - least)) != published


@pytest.mark.parametrize("name", SUITES)
def test_every_shape_comes_once_keeps_its_sizes_and_scales_with_the_batch(name: str) -> None:
    suite, twice = make_suite(name), make_suite(name, 2)
    assert len({layer.shape for layer in suite.layers}) == len({layer.name for layer in suite.layers})
    assert twice.macs == 2 * suite.macs
    assert (suite.batch, twice.batch) == (1, 2)
    for layer in suite.layers:
        assert layer.shape.output == layer.shape.sizes
        assert set(layer.shape.stride) == set(layer.shape.dilation) == {1}
        assert layer.shape.dtype == "float32"


def test_unknown_names_and_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="suite 'r3d_17' is unknown, must be one of r3d_18"):
        make_suite("r3d_17")
    with pytest.raises(ValueError, match="batch is 0, must be at least 1"):
        make_suite("r3d_18", 0)


def test_published_suites_need_no_torch() -> None:
    code = "import sys; from winograd.benching.suites import make_suite as make; make('i3d_rgb'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "winograd.benching.published" in done.stdout.split()
    assert "torch" not in done.stdout.split()
