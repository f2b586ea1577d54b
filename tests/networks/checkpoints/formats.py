"""Checkpoints as public programs write them, made from the state of a network here: the names by hand, one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

State = Mapping[str, Tensor]


def named(rules: Sequence[tuple[str, str]]) -> Callable[[State], dict[str, Tensor]]:
    """Return a renaming in which every name must match exactly one rule."""

    def rename(state: State) -> dict[str, Tensor]:
        renamed = {}
        for name, value in state.items():
            (there,) = {re.sub(f"^{rule}$", new, name) for rule, new in rules if re.fullmatch(rule, name)}
            renamed[there] = value
        assert len(renamed) == len(state)
        return renamed

    return rename


def _mmaction2_residual(middle: Sequence[tuple[str, str]], numbers: str) -> Callable[[State], dict[str, Tensor]]:
    return named(
        [
            (r"stem\.0\.weight", "backbone.conv1.conv.weight"),
            (r"stem\.1\.(\w+)", r"backbone.conv1.bn.\1"),
            (rf"(layer\d\.\d+\.conv[{numbers}])\.0\.weight", r"backbone.\1.conv.weight"),
            (rf"(layer\d\.\d+\.conv[{numbers}])\.1\.(\w+)", r"backbone.\1.bn.\2"),
            (r"(layer\d\.\d+\.downsample)\.0\.weight", r"backbone.\1.conv.weight"),
            (r"(layer\d\.\d+\.downsample)\.1\.(\w+)", r"backbone.\1.bn.\2"),
            *middle,
            (r"fc\.(\w+)", r"cls_head.fc_cls.\1"),
        ]
    )


mmaction2_c3d = named(
    [
        (r"(conv[12])\.(\w+)", r"backbone.\1a.conv.\2"),
        (r"(conv[345][ab])\.(\w+)", r"backbone.\1.conv.\2"),
        (r"(fc[67])\.(\w+)", r"backbone.\1.\2"),
        (r"fc8\.(\w+)", r"cls_head.fc_cls.\1"),
    ]
)

mmaction2_r3d = _mmaction2_residual([], "123")

mmaction2_ir_csn = _mmaction2_residual(
    [
        (r"(layer\d\.\d+)\.conv2\.0\.weight", r"backbone.\1.conv2.0.conv.weight"),
        (r"(layer\d\.\d+)\.conv2\.1\.(\w+)", r"backbone.\1.conv2.0.bn.\2"),
    ],
    "13",
)

mmaction2_ip_csn = _mmaction2_residual(
    [
        (r"(layer\d\.\d+)\.conv2\.0\.0\.weight", r"backbone.\1.conv2.0.conv.weight"),
        (r"(layer\d\.\d+)\.conv2\.0\.1\.(\w+)", r"backbone.\1.conv2.0.bn.\2"),
        (r"(layer\d\.\d+)\.conv2\.0\.2\.weight", r"backbone.\1.conv2.1.conv.weight"),
        (r"(layer\d\.\d+)\.conv2\.1\.(\w+)", r"backbone.\1.conv2.1.bn.\2"),
    ],
    "13",
)

mmaction2_r2plus1d = named(
    [
        (r"stem\.0\.weight", "backbone.conv1.conv.conv_s.weight"),
        (r"stem\.1\.(\w+)", r"backbone.conv1.conv.bn_s.\1"),
        (r"stem\.3\.weight", "backbone.conv1.conv.conv_t.weight"),
        (r"stem\.4\.(\w+)", r"backbone.conv1.bn.\1"),
        (r"(layer\d\.\d+\.(?:conv\d|downsample))\.0\.0\.weight", r"backbone.\1.conv.conv_s.weight"),
        (r"(layer\d\.\d+\.(?:conv\d|downsample))\.0\.1\.(\w+)", r"backbone.\1.conv.bn_s.\2"),
        (r"(layer\d\.\d+\.(?:conv\d|downsample))\.0\.3\.weight", r"backbone.\1.conv.conv_t.weight"),
        (r"(layer\d\.\d+\.(?:conv\d|downsample))\.1\.(\w+)", r"backbone.\1.bn.\2"),
        (r"fc\.(\w+)", r"cls_head.fc_cls.\1"),
    ]
)

pytorchvideo = named(
    [
        (r"stem\.0\.weight", "blocks.0.conv.weight"),
        (r"stem\.1\.(\w+)", r"blocks.0.norm.\1"),
        (r"layer(\d)\.(\d+)\.downsample\.0\.weight", r"blocks.\1.res_blocks.\2.branch1_conv.weight"),
        (r"layer(\d)\.(\d+)\.downsample\.1\.(\w+)", r"blocks.\1.res_blocks.\2.branch1_norm.\3"),
        (r"layer(\d)\.(\d+)\.conv1\.0\.weight", r"blocks.\1.res_blocks.\2.branch2.conv_a.weight"),
        (r"layer(\d)\.(\d+)\.conv1\.1\.(\w+)", r"blocks.\1.res_blocks.\2.branch2.norm_a.\3"),
        (r"layer(\d)\.(\d+)\.conv2\.0\.weight", r"blocks.\1.res_blocks.\2.branch2.conv_b.weight"),
        (r"layer(\d)\.(\d+)\.conv2\.1\.(\w+)", r"blocks.\1.res_blocks.\2.branch2.norm_b.\3"),
        (r"layer(\d)\.(\d+)\.conv3\.0\.weight", r"blocks.\1.res_blocks.\2.branch2.conv_c.weight"),
        (r"layer(\d)\.(\d+)\.conv3\.1\.(\w+)", r"blocks.\1.res_blocks.\2.branch2.norm_c.\3"),
        (r"fc\.(\w+)", r"blocks.5.proj.\1"),
    ]
)

jfzhang95 = named(
    [
        (rf"{name}\.(\w+)", rf"{there}.\1")
        for name, there in {
            "conv1": "features.0",
            "conv2": "features.3",
            "conv3a": "features.6",
            "conv3b": "features.8",
            "conv4a": "features.11",
            "conv4b": "features.13",
            "conv5a": "features.16",
            "conv5b": "features.18",
            "fc6": "classifier.0",
            "fc7": "classifier.3",
            "fc8": "classifier.6",
        }.items()
    ]
)

kenshohara = named(
    [
        (r"stem\.0\.weight", "module.conv1.weight"),
        (r"stem\.1\.(\w+)", r"module.bn1.\1"),
        (r"(layer\d\.\d+)\.conv(\d)\.0\.weight", r"module.\1.conv\2.weight"),
        (r"(layer\d\.\d+)\.conv(\d)\.1\.(\w+)", r"module.\1.bn\2.\3"),
        (r"(layer\d\.\d+\.downsample\.\d\.\w+|fc\.\w+)", r"module.\1"),
    ]
)


def eco(state: State) -> dict[str, Tensor]:
    return {f"module.{'' if name.startswith('fc.') else 'base_model.'}{name}": value for name, value in state.items()}


def old(state: State) -> dict[str, Tensor]:
    """Before PyTorch 0.4.1, normalisations counted no batches."""
    return {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}


_BRANCHES = {
    "b0": "Branch_0/Conv3d_0a_1x1",
    "b1a": "Branch_1/Conv3d_0a_1x1",
    "b1b": "Branch_1/Conv3d_0b_3x3",
    "b2a": "Branch_2/Conv3d_0a_1x1",
    "b2b": "Branch_2/Conv3d_0b_3x3",
    "b3b": "Branch_3/Conv3d_0b_1x1",
}


def kinetics_i3d(state: State, stream: str = "RGB") -> dict[str, NDArray[np.float32]]:
    """Return arrays as TensorFlow has them, without scales."""
    arrays = {}
    for name, value in old(state).items():
        *layer, part, kind = name.split(".")
        place = f"{layer[0]}/{_BRANCHES[layer[1]]}" if len(layer) == 2 else layer[0]
        place = place.replace("logits", "Logits/Conv3d_0c_1x1").replace(
            "Mixed_5b/Branch_2/Conv3d_0b_3x3", "Mixed_5b/Branch_2/Conv3d_0a_3x3"
        )
        if part == "bn":
            if kind == "weight":
                continue
            there = {"bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}[kind]
            arrays[f"{stream}/inception_i3d/{place}/batch_norm/{there}"] = value.reshape(1, 1, 1, 1, -1).numpy()
        else:
            there = {"weight": "w", "bias": "b"}[kind]
            array = value.permute(2, 3, 4, 1, 0) if kind == "weight" else value
            arrays[f"{stream}/inception_i3d/{place}/conv_3d/{there}"] = array.numpy().copy()
    return arrays


def caffe2(state: State, convolutions: Mapping[str, str]) -> dict[str, NDArray[np.float32]]:
    """Return blobs; ``convolutions`` gives what a layer of a block is called behind ``comp_N_``, without ``_w``."""
    blocks = list(dict.fromkeys(".".join(name.split(".")[:2]) for name in state if name.startswith("layer")))
    paired = "stem.4.weight" in state
    stems = {
        "stem.0": "conv1_middle",
        "stem.1": "conv1_middle_spatbn_relu",
        "stem.3": "conv1",
        "stem.4": "conv1_spatbn_relu",
    }
    if not paired:
        stems = {"stem.0": "conv1", "stem.1": "conv1_spatbn_relu"}
    blobs = {}
    for name, value in old(state).items():
        layer, _, kind = name.rpartition(".")
        block = ".".join(layer.split(".")[:2])
        if layer in stems:
            there = stems[layer]
        elif layer == "fc":
            there = "last_out_L7"
        elif layer.endswith("downsample.0"):
            there = f"shortcut_projection_{blocks.index(block)}"
        elif layer.endswith("downsample.1"):
            there = f"shortcut_projection_{blocks.index(block)}_spatbn"
        else:
            there = f"comp_{blocks.index(block)}_{convolutions[layer.removeprefix(f'{block}.')]}"
        kinds = {"weight": "s" if "spatbn" in there else "w", "bias": "b", "running_mean": "rm", "running_var": "riv"}
        blobs[f"{there}_{kinds[kind]}"] = value.numpy().copy()
    return blobs
