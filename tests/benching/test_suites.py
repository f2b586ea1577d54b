"""The suites against the published counts of their networks, which the convolutions add up to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from winograd.benching.layers import Part
from winograd.benching.suites import SUITES, make_suite, suite_names
from winograd.networks import list_networks

C3D_LINEAR = 8192 * 4096 + 4096 * 4096 + 4096 * 487
LINEAR = 512 * 400


def giga(count: int) -> float:
    return round(count / 1e9, 3)


def test_c3d_is_the_whole_network_and_its_stack_each_shape_once() -> None:
    whole, stack = make_suite("c3d"), make_suite("c3d_stack")
    names = ["conv1", "conv2", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a"]
    assert [layer.name for layer in whole.layers] == names
    assert [layer.count for layer in whole.layers] == [1] * 6 + [2]
    assert [layer.name for layer in stack.layers] == names[1:]
    assert {layer.count for layer in stack.layers} == {1}
    assert all(layer.has_bias for layer in whole.layers)
    assert giga(whole.macs + C3D_LINEAR) == 38.549


@pytest.mark.parametrize(
    ("name", "published", "stride_1_share"),
    [("r3d_18", 40.697, 0.903), ("r2plus1d_18", 41.496, 0.896), ("i3d_rgb", 111.153, 0.696), ("mc3_18", 43.343, 0.896)],
)
def test_networks_add_up_to_the_published_counts(name: str, published: float, stride_1_share: float) -> None:
    suite = make_suite(name)
    linear = 0 if name == "i3d_rgb" else LINEAR
    assert giga(suite.macs + linear) == published
    assert round(suite.only(Part.STRIDE_1).macs / (suite.macs + linear), 3) == stride_1_share
    least = min(layer.macs for layer in suite.layers)
    assert giga(suite.macs + linear - least) != published  # a convolution less would be seen


def test_stride_1_layers_have_the_names_of_the_public_checkpoints() -> None:
    found = [(layer.name, layer.count) for layer in make_suite("r3d_18").only(Part.STRIDE_1).layers]
    assert found == [(f"layer{n}.0.conv{2 if n > 1 else 1}.0", 3 if n > 1 else 4) for n in range(1, 5)]


def test_stems_are_the_first_layers_and_those_of_stride_2() -> None:
    suite = make_suite("stems")
    assert [layer.shape.taps for layer in suite.layers] == [(3, 3, 3), (7, 7, 7), (3, 7, 7), *[(3, 3, 3)] * 3]
    assert [layer.shape.stride for layer in suite.layers] == [(1,) * 3, (2,) * 3, (1, 2, 2), *[(2,) * 3] * 3]
    assert [layer.shape.channels for layer in suite.layers] == [3, 3, 3, 64, 128, 256]


def test_vgg16_has_the_published_count() -> None:
    suite = make_suite("vgg16")
    assert giga(suite.macs + 25088 * 4096 + 4096 * 4096 + 4096 * 1000) == 15.470
    assert sum(layer.count for layer in suite.layers) == 13


@pytest.mark.parametrize("name", [*SUITES, "c3d", "eco_lite_conv3d", "ip_csn_50", "p3d_63", "i3d_two_stream"])
def test_every_shape_comes_once_and_scales_with_the_batch(name: str) -> None:
    suite, twice = make_suite(name), make_suite(name, 2)
    assert len({(layer.shape, layer.has_bias) for layer in suite.layers}) == len(suite.layers)
    assert len({layer.name for layer in suite.layers}) == len(suite.layers)
    assert twice.macs == 2 * suite.macs
    assert {layer.shape.dtype for layer in suite.layers} == {"float32"}


def test_names_are_those_of_the_networks_and_a_few_more() -> None:
    assert suite_names() == (*list_networks(), *SUITES, "random")
    assert len(make_suite("random", number=3).layers) == 3


def test_unknown_names_and_batches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^'r3d_17' is unknown; nearest: r3d_1"):
        make_suite("r3d_17")
    with pytest.raises(ValueError, match="batch is 0, must be at least 1"):
        make_suite("r3d_18", 0)


def test_suites_of_no_network_need_no_torch() -> None:
    code = "import sys; from winograd.benching.suites import make_suite as make; make('vgg16'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "winograd.benching.suites" in done.stdout.split()
    assert "torch" not in done.stdout.split()
