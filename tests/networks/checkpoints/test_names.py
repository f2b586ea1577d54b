"""Names as they are in files of public programs, typed out by hand: each must be found in the network it is of.

Nothing here shares a rule with the loader, nor with the tests that write whole checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from winograd.networks import create
from winograd.networks.checkpoints import read_weights
from winograd.networks.checkpoints.fitting import fit


@dataclass(frozen=True)
class Names:
    """Of a network here: from the names in a program's file to those of the network, and what the file has around."""

    network: str
    names: Mapping[str, str]
    program: str = ""
    under: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def own(*names: str) -> dict[str, str]:
    return {name: name for name in names}


RESNET = own(
    "stem.0.weight",
    "stem.1.weight",
    "stem.1.bias",
    "stem.1.running_mean",
    "stem.1.running_var",
    "stem.1.num_batches_tracked",
    "layer1.0.conv1.0.weight",
    "layer1.0.conv1.1.weight",
    "layer3.1.conv2.0.weight",
    "layer3.1.conv2.1.running_var",
    "layer2.0.downsample.0.weight",
    "layer2.0.downsample.1.bias",
    "fc.weight",
    "fc.bias",
)

PAIRS = own(
    "stem.0.weight",
    "stem.1.running_mean",
    "stem.3.weight",
    "stem.4.running_mean",
    "layer1.0.conv1.0.0.weight",
    "layer1.0.conv1.0.1.weight",
    "layer1.0.conv1.0.3.weight",
    "layer1.0.conv1.1.bias",
    "layer4.1.conv2.0.3.weight",
    "layer4.0.downsample.0.weight",
    "fc.weight",
)

BOTTLENECK = ("stem.0.weight", "layer1.0.conv1.0.weight", "layer1.0.conv1.1.weight", "layer1.0.conv2.1.bias")

C3D = ("conv1", "conv2", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b", "fc6", "fc7", "fc8")

PUBLIC = {
    "torchvision, R3D": Names("r3d_18", RESNET),
    "torchvision, MC3": Names("mc3_18", RESNET),
    "torchvision, R(2+1)D": Names("r2plus1d_18", PAIRS, options={"mid_channels": "torchvision"}),
    "ig65m": Names("r2plus1d_34", PAIRS),
    "VMZ, ir-CSN": Names(
        "ir_csn_152",
        own(*BOTTLENECK, "layer1.0.conv2.0.weight", "layer3.35.conv3.0.weight", "layer3.35.conv3.1.running_var"),
    ),
    "VMZ, ip-CSN": Names(
        "ip_csn_152",
        own(
            *BOTTLENECK,
            "layer1.0.conv2.0.0.weight",
            "layer1.0.conv2.0.1.running_mean",
            "layer1.0.conv2.0.2.weight",
            "layer1.0.conv3.0.weight",
        ),
    ),
    "VMZ, Caffe2, R(2+1)D": Names(
        "r2plus1d_18",
        {
            "conv1_middle_w": "stem.0.weight",
            "conv1_w": "stem.3.weight",
            "comp_0_conv_1_middle_w": "layer1.0.conv1.0.0.weight",
            "comp_0_conv_1_w": "layer1.0.conv1.0.3.weight",
            "comp_0_spatbn_1_s": "layer1.0.conv1.1.weight",
            "comp_0_spatbn_1_b": "layer1.0.conv1.1.bias",
            "comp_0_spatbn_1_rm": "layer1.0.conv1.1.running_mean",
            "comp_0_spatbn_1_riv": "layer1.0.conv1.1.running_var",
            "shortcut_projection_4_w": "layer3.0.downsample.0.weight",
            "last_out_L400_w": "fc.weight",
            "last_out_L400_b": "fc.bias",
        },
        "VMZ's Caffe2",
        "blobs",
    ),
    "VMZ, Caffe2, R3D": Names(
        "r3d_18",
        {
            "conv1_w": "stem.0.weight",
            "comp_0_conv_1_w": "layer1.0.conv1.0.weight",
            "comp_5_conv_1_w": "layer3.1.conv1.0.weight",  # convolutions are counted within a block
            "comp_5_conv_2_w": "layer3.1.conv2.0.weight",
            "shortcut_projection_6_w": "layer4.0.downsample.0.weight",
        },
        "VMZ's Caffe2",
        "blobs",
    ),
    "piergiaj": Names(
        "i3d_rgb",
        own(
            "Conv3d_1a_7x7.conv3d.weight",
            "Conv3d_1a_7x7.bn.running_mean",
            "Mixed_3b.b0.conv3d.weight",
            "Mixed_3b.b1a.conv3d.weight",
            "Mixed_3b.b1b.bn.weight",
            "Mixed_4f.b2a.conv3d.weight",
            "Mixed_5b.b2b.conv3d.weight",
            "Mixed_5c.b3b.bn.bias",
            "logits.conv3d.weight",
            "logits.conv3d.bias",
        ),
    ),
    "kinetics-i3d": Names(
        "i3d_rgb",
        {
            "RGB/inception_i3d/Conv3d_1a_7x7/conv_3d/w": "Conv3d_1a_7x7.conv3d.weight",
            "RGB/inception_i3d/Conv3d_1a_7x7/batch_norm/beta": "Conv3d_1a_7x7.bn.bias",
            "RGB/inception_i3d/Conv3d_1a_7x7/batch_norm/moving_mean": "Conv3d_1a_7x7.bn.running_mean",
            "RGB/inception_i3d/Conv3d_1a_7x7/batch_norm/moving_variance": "Conv3d_1a_7x7.bn.running_var",
            "RGB/inception_i3d/Mixed_3b/Branch_1/Conv3d_0b_3x3/conv_3d/w": "Mixed_3b.b1b.conv3d.weight",
            "RGB/inception_i3d/Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w": "Mixed_5b.b2b.conv3d.weight",
            "RGB/inception_i3d/Logits/Conv3d_0c_1x1/conv_3d/w": "logits.conv3d.weight",
            "RGB/inception_i3d/Logits/Conv3d_0c_1x1/conv_3d/b": "logits.conv3d.bias",
        },
        "kinetics-i3d",
    ),
    "kinetics-i3d, both": Names(
        "i3d_two_stream",
        {
            "Flow/inception_i3d/Conv3d_1a_7x7/conv_3d/w": "flow.Conv3d_1a_7x7.conv3d.weight",
            "RGB/inception_i3d/Conv3d_1a_7x7/conv_3d/w": "rgb.Conv3d_1a_7x7.conv3d.weight",
        },
        "kinetics-i3d",
    ),
    "DavideA": Names("c3d", own(*(f"{layer}.{kind}" for layer in C3D for kind in ("weight", "bias")))),
    "jfzhang95": Names(
        "c3d",
        {
            "features.0.weight": "conv1.weight",
            "features.3.weight": "conv2.weight",
            "features.6.weight": "conv3a.weight",
            "features.8.weight": "conv3b.weight",
            "features.11.weight": "conv4a.weight",
            "features.13.weight": "conv4b.weight",
            "features.16.bias": "conv5a.bias",
            "features.18.bias": "conv5b.bias",
            "classifier.0.weight": "fc6.weight",
            "classifier.3.weight": "fc7.weight",
            "classifier.6.bias": "fc8.bias",
        },
        "jfzhang95",
    ),
    "jfzhang95, training": Names("c3d", own("conv1.weight", "conv5b.bias", "fc8.weight"), under="state_dict"),
    "mmaction2, C3D": Names(
        "c3d",
        {
            "backbone.conv1a.conv.weight": "conv1.weight",
            "backbone.conv2a.conv.bias": "conv2.bias",
            "backbone.conv3a.conv.weight": "conv3a.weight",
            "backbone.conv5b.conv.weight": "conv5b.weight",
            "backbone.fc6.weight": "fc6.weight",
            "backbone.fc7.bias": "fc7.bias",
            "cls_head.fc_cls.weight": "fc8.weight",
        },
        "mmaction2",
        "state_dict",
    ),
    "mmaction2, ir-CSN": Names(
        "ir_csn_152",
        {
            "backbone.conv1.conv.weight": "stem.0.weight",
            "backbone.conv1.bn.running_mean": "stem.1.running_mean",
            "backbone.layer1.0.conv1.conv.weight": "layer1.0.conv1.0.weight",
            "backbone.layer1.0.conv2.0.conv.weight": "layer1.0.conv2.0.weight",
            "backbone.layer1.0.conv2.0.bn.weight": "layer1.0.conv2.1.weight",
            "backbone.layer1.0.conv3.conv.weight": "layer1.0.conv3.0.weight",
            "backbone.layer1.0.downsample.conv.weight": "layer1.0.downsample.0.weight",
            "backbone.layer1.0.downsample.bn.bias": "layer1.0.downsample.1.bias",
            "cls_head.fc_cls.bias": "fc.bias",
        },
        "mmaction2",
        "state_dict",
    ),
    "mmaction2, ip-CSN": Names(
        "ip_csn_152",
        {
            "backbone.layer1.0.conv2.0.conv.weight": "layer1.0.conv2.0.0.weight",
            "backbone.layer1.0.conv2.0.bn.weight": "layer1.0.conv2.0.1.weight",
            "backbone.layer1.0.conv2.1.conv.weight": "layer1.0.conv2.0.2.weight",
            "backbone.layer1.0.conv2.1.bn.weight": "layer1.0.conv2.1.weight",
        },
        "mmaction2",
        "state_dict",
    ),
    "mmaction2, R(2+1)D": Names(
        "r2plus1d_34",
        {
            "backbone.conv1.conv.conv_s.weight": "stem.0.weight",
            "backbone.conv1.conv.bn_s.weight": "stem.1.weight",
            "backbone.conv1.conv.conv_t.weight": "stem.3.weight",
            "backbone.conv1.bn.weight": "stem.4.weight",
            "backbone.layer1.0.conv1.conv.conv_s.weight": "layer1.0.conv1.0.0.weight",
            "backbone.layer1.0.conv1.conv.bn_s.bias": "layer1.0.conv1.0.1.bias",
            "backbone.layer1.0.conv1.conv.conv_t.weight": "layer1.0.conv1.0.3.weight",
            "backbone.layer1.0.conv1.bn.running_var": "layer1.0.conv1.1.running_var",
            "cls_head.fc_cls.weight": "fc.weight",
        },
        "mmaction2",
        "state_dict",
        {"mid_channels": "mmaction2"},
    ),
    "pytorchvideo": Names(
        "ir_csn_101",
        {
            "blocks.0.conv.weight": "stem.0.weight",
            "blocks.0.norm.weight": "stem.1.weight",
            "blocks.1.res_blocks.0.branch1_conv.weight": "layer1.0.downsample.0.weight",
            "blocks.1.res_blocks.0.branch1_norm.bias": "layer1.0.downsample.1.bias",
            "blocks.1.res_blocks.0.branch2.conv_a.weight": "layer1.0.conv1.0.weight",
            "blocks.1.res_blocks.0.branch2.norm_a.weight": "layer1.0.conv1.1.weight",
            "blocks.1.res_blocks.0.branch2.conv_b.weight": "layer1.0.conv2.0.weight",
            "blocks.1.res_blocks.0.branch2.norm_b.running_mean": "layer1.0.conv2.1.running_mean",
            "blocks.1.res_blocks.0.branch2.conv_c.weight": "layer1.0.conv3.0.weight",
            "blocks.3.res_blocks.22.branch2.norm_c.bias": "layer3.22.conv3.1.bias",
            "blocks.5.proj.weight": "fc.weight",
            "blocks.5.proj.bias": "fc.bias",
        },
        "pytorchvideo",
        "model_state",
    ),
    "qijiezhao": Names(
        "p3d_199",
        own(
            "conv1_custom.weight",
            "bn1.weight",
            "layer1.0.conv1.weight",
            "layer1.0.bn1.bias",
            "layer1.0.conv2.weight",
            "layer1.0.conv3.weight",
            "layer1.0.bn4.running_var",
            "layer1.0.conv4.weight",
            "layer1.0.downsample.0.weight",
            "layer1.0.downsample.1.weight",
            "layer4.0.conv_normal.weight",
            "layer4.2.bn_normal.weight",
        ),
        under="state_dict",
        options={"form": "port"},
    ),
    "kenshohara": Names(
        "r3d_18",
        {
            "module.conv1.weight": "stem.0.weight",
            "module.bn1.running_mean": "stem.1.running_mean",
            "module.layer1.0.conv1.weight": "layer1.0.conv1.0.weight",
            "module.layer1.0.bn1.weight": "layer1.0.conv1.1.weight",
            "module.layer2.0.downsample.0.weight": "layer2.0.downsample.0.weight",
            "module.layer2.1.bn2.bias": "layer2.1.conv2.1.bias",
        },
        "kenshohara",
        "state_dict",
    ),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_names_of_public_files_are_found_in_the_network(name: str, tmp_path: Path) -> None:
    public = PUBLIC[name]
    with torch.device("meta"):
        expected = create(public.network, **public.options).state_dict()
    state = {there: torch.tensor(float(number)) for number, there in enumerate(public.names)}
    torch.save({public.under: state} if public.under else state, tmp_path / "weights")
    fitted = fit(read_weights(tmp_path / "weights"), expected)
    assert fitted.convention.program == public.program
    assert fitted.tensors.keys() <= expected.keys()
    found = {ours: int(value) for ours, value in fitted.tensors.items()}
    assert found == {ours: number for number, ours in enumerate(public.names.values())}


def test_eco_s_prefix_of_eighteen_characters_goes(tmp_path: Path) -> None:
    names = ("res3a_2.weight", "res3a_bn.running_mean", "inception_3c_double_3x3_1.weight")
    torch.save({"state_dict": {f"module.base_model.{name}": torch.zeros(1) for name in names}}, tmp_path / "weights")
    assert tuple(read_weights(tmp_path / "weights")) == names
