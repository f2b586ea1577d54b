"""Names and sizes of parameters, as the public checkpoints have them."""

from __future__ import annotations

import re

import pytest
import torch

from winograd.networks import create

NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"

CHECKPOINTS = {
    "r3d_18": rf"(stem\.|layer\d\.\d\.(conv[12]|downsample)\.)(0\.weight|1\.{NORM})|fc\.(weight|bias)",
    "r2plus1d_18": rf"stem\.([03]\.weight|[14]\.{NORM})|layer\d\.\d\.conv[12]\.(0\.([03]\.weight|1\.{NORM})|1\.{NORM})"
    rf"|layer\d\.0\.downsample\.(0\.weight|1\.{NORM})|fc\.(weight|bias)",
    "ir_csn_152": rf"(stem\.|layer\d\.\d+\.(conv[123]|downsample)\.)(0\.weight|1\.{NORM})|fc\.(weight|bias)",
    "ip_csn_152": rf"(stem\.|layer\d\.\d+\.(conv[13]|downsample)\.)(0\.weight|1\.{NORM})"
    rf"|layer\d\.\d+\.conv2\.(0\.([02]\.weight|1\.{NORM})|1\.{NORM})|fc\.(weight|bias)",
    "i3d_rgb": rf"(Conv3d_(1a_7x7|2b_1x1|2c_3x3)|Mixed_\d[b-f]\.(b0|b1a|b1b|b2a|b2b|b3b))\.(conv3d\.weight|bn\.{NORM})"
    r"|logits\.conv3d\.(weight|bias)",
    "p3d_199": rf"conv1_custom\.weight|bn1\.{NORM}|layer[1-3]\.\d+\.(conv[1-4]\.weight|bn[1-4]\.{NORM})"
    rf"|layer4\.\d\.((conv[14]|conv_normal)\.weight|(bn[14]|bn_normal)\.{NORM})"
    rf"|layer\d\.0\.downsample\.(0\.weight|1\.{NORM})|fc\.(weight|bias)",
}
"""Every name of the state: torchvision, VMZ's PyTorch networks, and the PyTorch ports of I3D and P3D."""

SHAPES = [
    ("r3d_18", "stem.0.weight", (64, 3, 3, 7, 7)),
    ("r3d_18", "layer2.0.downsample.0.weight", (128, 64, 1, 1, 1)),
    ("mc3_18", "layer2.0.conv1.0.weight", (128, 64, 1, 3, 3)),
    ("r2plus1d_18", "stem.0.weight", (45, 3, 1, 7, 7)),
    ("r2plus1d_18", "layer2.0.conv2.0.0.weight", (288, 128, 1, 3, 3)),
    ("ir_csn_152", "layer1.0.conv2.0.weight", (64, 1, 3, 3, 3)),
    ("ip_csn_152", "layer1.0.conv2.0.0.weight", (64, 64, 1, 1, 1)),
    ("ip_csn_152", "layer1.0.conv2.0.2.weight", (64, 1, 3, 3, 3)),
    ("i3d_flow", "Conv3d_1a_7x7.conv3d.weight", (64, 2, 7, 7, 7)),
    ("i3d_rgb", "Mixed_4f.b1b.conv3d.weight", (320, 160, 3, 3, 3)),
    ("i3d_rgb", "logits.conv3d.weight", (400, 1024, 1, 1, 1)),
    ("i3d_two_stream", "flow.Mixed_3b.b0.conv3d.weight", (64, 192, 1, 1, 1)),
    ("p3d_199", "layer1.2.conv3.weight", (64, 64, 3, 1, 1)),
    ("p3d_199", "layer4.0.conv_normal.weight", (512, 512, 3, 3)),
    ("eco_lite_conv3d", "net2d.Mixed_5b.branch5x5_2.conv.weight", (64, 48, 5, 5)),
    ("eco_lite_conv3d", "net2d.Mixed_5d.branch3x3dbl_3.bn.running_mean", (96,)),
]


def state(name: str, **options: object) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return create(name, **options).state_dict()


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_names_are_those_of_the_public_checkpoints(name: str) -> None:
    assert [key for key in state(name) if not re.fullmatch(CHECKPOINTS[name], key)] == []


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_no_name_of_another_family_is_taken(name: str) -> None:
    other = "p3d_63" if name != "p3d_199" else "i3d_rgb"
    assert any(not re.fullmatch(CHECKPOINTS[name], key) for key in state(other))


@pytest.mark.parametrize(("name", "key", "shape"), SHAPES)
def test_weights_have_the_shapes_of_the_public_checkpoints(name: str, key: str, shape: tuple[int, ...]) -> None:
    assert tuple(state(name)[key].shape) == shape


def test_the_rule_for_channels_in_between_decides_on_the_second_convolution_of_a_block() -> None:
    second = [f"layer{layer}.0.conv2.0.0.weight" for layer in (2, 3, 4)]
    paper, torchvision = state("r2plus1d_18"), state("r2plus1d_18", mid_channels="torchvision")
    assert [len(paper[key]) for key in second] == [288, 576, 1152]
    assert [len(torchvision[key]) for key in second] == [230, 460, 921]
    assert list(paper) == list(torchvision)


@pytest.mark.parametrize(
    ("name", "options", "eps"),
    [
        ("r3d_18", {}, 1e-5),
        ("r3d_18", {"norm_eps": 1e-3}, 1e-3),
        ("r2plus1d_18", {}, 1e-3),
        ("r2plus1d_18", {"mid_channels": "torchvision"}, 1e-5),
        ("ip_csn_50", {}, 1e-3),
        ("i3d_rgb", {}, 1e-3),
        ("p3d_63", {}, 1e-5),
    ],
)
def test_normalisations_have_the_epsilon_that_the_public_weights_need(
    name: str, options: dict[str, object], eps: float
) -> None:
    with torch.device("meta"):
        model = create(name, **options)
    assert {module.eps for module in model.modules() if hasattr(module, "running_mean")} == {eps}
