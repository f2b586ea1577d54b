"""Checkpoints in the formats of public programs, written here and loaded: the same tensors, and the same outputs."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.networks.checkpoints import formats
from winograd.networks import VideoNetwork, create, load_weights, pretrained
from winograd.networks.checkpoints import load_state
from winograd.networks.resnet3d import r2plus1d

CLASSES = 7


def drawn(model: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Return a state with other values in every tensor and row, that takes little space in a file."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, value in model.state_dict().items():
        rows = torch.rand(value.shape[:1], generator=generator)
        scale = 1 if value.ndim < 2 else 1 / value[0].numel()
        state[name] = (rows * scale).reshape(-1, *[1] * (value.ndim - 1)).expand(value.shape) if value.ndim else value
    return state


def built(name: str, **options: Any) -> VideoNetwork:
    with torch.device("meta"):
        model = create(name, num_classes=CLASSES, **options)
    return model.to_empty(device="cpu").eval()


def save_torch(state: Mapping[str, Any], path: Path) -> None:
    torch.save(state, path)


def wrapped(key: str) -> Callable[[Mapping[str, Any], Path], None]:
    return lambda state, path: torch.save({"meta": {"epoch": 3}, key: state}, path)


def save_safetensors(state: Mapping[str, Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    save_file({name: value.contiguous() for name, value in state.items()}, path)


def save_arrays(state: Mapping[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, **state)


def save_blobs(state: Mapping[str, Any], path: Path) -> None:
    path.write_bytes(pickle.dumps({"blobs": state}, protocol=2))


SIMPLE = {
    f"conv{number}.{part}": f"{kind}_{number}" for number in (1, 2) for part, kind in ((0, "conv"), (1, "spatbn"))
}
PAIRED = {
    f"conv{number}.{layer}": f"{there[0]}_{number}{there[1]}"
    for number in (1, 2)
    for layer, there in {
        "0.0": ("conv", "_middle"),
        "0.1": ("spatbn", "_middle"),
        "0.3": ("conv", ""),
        "1": ("spatbn", ""),
    }.items()
}
BOTTLENECK = {"conv1.0": "conv_1", "conv1.1": "spatbn_1"}
IR = BOTTLENECK | {"conv2.0": "conv_3", "conv2.1": "spatbn_3", "conv3.0": "conv_4", "conv3.1": "spatbn_4"}
IP = BOTTLENECK | {
    "conv2.0.0": "conv_2_middle",
    "conv2.0.1": "spatbn_2_middle",
    "conv2.0.2": "conv_2",
    "conv2.1": "spatbn_2",
    "conv3.0": "conv_3",
    "conv3.1": "spatbn_3",
}

LITTLE = (1, 3, 4, 32, 32)


@dataclass(frozen=True)
class Format:
    """How a program writes a network: its options here, the names there, the file, a name in it, and a small clip."""

    network: str
    key: str
    rename: Callable[..., Mapping[str, Any]] = dict
    save: Callable[..., None] = save_torch
    options: Mapping[str, Any] = field(default_factory=dict)
    clip: tuple[int, ...] = LITTLE


FORMATS = {
    "torchvision": Format("r3d_10", "layer1.0.conv1.0.weight"),
    "ig65m": Format("r3d_10", "layer2.0.downsample.0.weight", options={"norm_eps": 1e-3}),
    "VMZ, PyTorch": Format("ip_csn_50", "layer1.0.conv2.0.2.weight", save=wrapped("model")),
    "older than PyTorch 0.4.1": Format("r3d_10", "stem.1.running_var", formats.old),
    "safetensors": Format("r3d_10", "fc.bias", save=save_safetensors),
    "VMZ, Caffe2, R3D": Format(
        "r3d_10",
        "comp_3_spatbn_2_riv",
        lambda state: formats.caffe2(state, SIMPLE),
        save_blobs,
        options={"norm_eps": 1e-3},
    ),
    "VMZ, Caffe2, ir-CSN": Format("ir_csn_50", "comp_15_conv_4_w", lambda state: formats.caffe2(state, IR), save_blobs),
    "VMZ, Caffe2, ip-CSN": Format(
        "ip_csn_50", "shortcut_projection_3_spatbn_rm", lambda state: formats.caffe2(state, IP), save_blobs
    ),
    "mmaction2, R3D": Format(
        "r3d_10", "backbone.layer1.0.conv1.conv.weight", formats.mmaction2_r3d, wrapped("state_dict")
    ),
    "mmaction2, ir-CSN": Format(
        "ir_csn_50", "backbone.layer1.0.conv2.0.bn.bias", formats.mmaction2_ir_csn, wrapped("state_dict")
    ),
    "mmaction2, ip-CSN": Format(
        "ip_csn_50", "backbone.layer1.0.conv2.1.conv.weight", formats.mmaction2_ip_csn, wrapped("state_dict")
    ),
    "pytorchvideo": Format(
        "ir_csn_50",
        "blocks.1.res_blocks.0.branch2.norm_b.running_mean",
        formats.pytorchvideo,
        wrapped("model_state"),
        options={"norm_eps": 1e-5},
    ),
    "kenshohara": Format("r3d_10", "module.layer1.0.bn1.weight", formats.kenshohara, wrapped("state_dict")),
    "piergiaj": Format("i3d_rgb", "Mixed_3b.b1b.conv3d.weight", clip=(1, 3, 9, 193, 193)),
    "kinetics-i3d": Format(
        "i3d_flow",
        "Flow/inception_i3d/Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w",
        lambda state: formats.kinetics_i3d(state, "Flow"),
        save_arrays,
        clip=(1, 2, 9, 193, 193),
    ),
    "qijiezhao": Format(
        "p3d_63",
        "layer4.0.conv_normal.weight",
        formats.old,
        wrapped("state_dict"),
        options={"form": "port"},
        clip=(1, 3, 16, 32, 32),
    ),
    "ECO's prefix": Format(
        "eco_lite_add",
        "module.base_model.net2d.Mixed_5b.branch1x1.conv.weight",
        formats.eco,
        wrapped("state_dict"),
        clip=(1, 3, 4, 115, 115),
    ),
}


def written(name: str, folder: Path) -> tuple[VideoNetwork, Path]:
    """Return the network that a checkpoint in the format was written of, with its values, and the file."""
    written_as = FORMATS[name]
    model, path = built(written_as.network, **written_as.options), folder / "weights"
    state = drawn(model)
    if name == "kinetics-i3d":
        state |= {scale: torch.ones_like(state[scale]) for scale in state if scale.endswith("bn.weight")}
    model.load_state_dict(state)
    there = written_as.rename(state)
    assert written_as.key in there
    written_as.save(there, path)
    return model, path


@pytest.mark.parametrize("name", FORMATS)
def test_weights_of_every_format_load_and_give_the_same_outputs(name: str, tmp_path: Path) -> None:
    expected, path = written(name, tmp_path)
    written_as = FORMATS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_weights(built(written_as.network, **written_as.options), path)
    for key, value in expected.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(model.state_dict()[key], value), key
    clip = torch.rand(written_as.clip)
    with torch.no_grad():
        assert torch.equal(model(clip), expected(clip))


@pytest.mark.parametrize("rename", [dict, formats.jfzhang95, formats.mmaction2_c3d])
def test_c3d_has_the_names_of_three_programs(rename: Callable[[Any], Any], tmp_path: Path) -> None:
    with torch.device("meta"):
        model = create("c3d", num_classes=487)
    state = drawn(model)
    torch.save(rename(state), tmp_path / "c3d.pickle")
    loaded = load_weights(built_c3d(), tmp_path / "c3d.pickle").state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


def built_c3d() -> nn.Module:
    with torch.device("meta"):
        model = create("c3d", num_classes=487)
    return model.to_empty(device="cpu")


def test_r2plus1d_has_caffe2_s_names(tmp_path: Path) -> None:
    with torch.device("meta"):
        meta = r2plus1d(CLASSES, depth=10)
    model = meta.to_empty(device="cpu")
    state = drawn(model)
    save_blobs(formats.caffe2(state, PAIRED), tmp_path / "r2plus1d.pkl")
    loaded = load_weights(model, tmp_path / "r2plus1d.pkl").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in formats.old(state).items())


def test_r2plus1d_of_mmaction2_is_built_in_its_own_form(tmp_path: Path) -> None:
    model = built("r2plus1d_18", mid_channels="mmaction2")
    state = drawn(model)
    model.load_state_dict(state)
    torch.save({"meta": {}, "state_dict": formats.mmaction2_r2plus1d(state)}, tmp_path / "r2plus1d.pth")
    loaded = pretrained("r2plus1d_18", tmp_path / "r2plus1d.pth")
    clip = torch.rand(1, 3, 2, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded(clip), model(clip))
    with torch.device("meta"):
        paper = create("r2plus1d_18", num_classes=CLASSES)
    with pytest.raises(
        ValueError, match=r"by mmaction2's names .* stem.0.weight \(83, 3, 1, 7, 7\) for \(45, 3, 1, 7, 7\)"
    ):
        load_weights(paper, tmp_path / "r2plus1d.pth")


def test_r2plus1d_of_mmaction2_has_its_sizes_and_epsilons() -> None:
    with torch.device("meta"):
        model = create("r2plus1d_34", mid_channels="mmaction2")
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert shapes["stem.0.weight"] == (83, 3, 1, 7, 7)
    assert shapes["layer2.0.conv1.0.0.weight"] == (230, 64, 1, 3, 3)
    assert shapes["layer2.0.downsample.0.0.weight"] == (54, 64, 1, 1, 1)
    assert shapes["layer2.0.downsample.0.3.weight"] == (128, 54, 1, 1, 1)
    eps = {name.rpartition(".")[0] or name: layer.eps for name, layer in model.named_modules() if hasattr(layer, "eps")}
    assert eps["layer1.0.conv1.0"] == 1e-5
    assert eps["layer1.0.conv1"] == 1e-3
    assert model(torch.empty(1, *model.input_shape, device="meta")).shape == (1, 400)


def test_both_streams_of_i3d_come_from_arrays_in_one_dict() -> None:
    streams = {"RGB": built("i3d_rgb"), "Flow": built("i3d_flow")}
    states = {name: drawn(model, seed) for seed, (name, model) in enumerate(streams.items())}
    arrays = formats.kinetics_i3d(states["RGB"], "RGB") | formats.kinetics_i3d(states["Flow"], "Flow")
    model = load_state(built("i3d_two_stream"), arrays)
    for name, state in states.items():
        loaded = getattr(model, name.lower()).state_dict()
        for key, value in formats.old(state).items():
            expected = torch.ones_like(value) if key.endswith("bn.weight") else value
            assert torch.equal(loaded[key], expected), key


def test_a_layer_under_another_layer_s_name_is_noticed(tmp_path: Path) -> None:
    model = built("r3d_10")
    state = drawn(model)
    first, second = "layer1.0.conv1.0.weight", "layer1.0.conv2.0.weight"
    there = formats.mmaction2_r3d(state | {first: state[second], second: state[first]})
    torch.save(there, tmp_path / "weights.pth")
    loaded = load_weights(model, tmp_path / "weights.pth").state_dict()
    assert not torch.equal(loaded[first], state[first])
    assert torch.equal(loaded[first], state[second])


def test_the_checkpoint_decides_on_the_number_of_classes_and_on_the_epsilon(tmp_path: Path) -> None:
    expected, path = written("pytorchvideo", tmp_path)
    model = pretrained("ir_csn_50", path)
    assert model.get_submodule("fc").weight.shape == (CLASSES, 2048)
    assert {layer.eps for layer in model.modules() if isinstance(layer, nn.BatchNorm3d)} == {1e-5}
    assert not model.training
    clip = torch.rand(LITTLE)
    with torch.no_grad():
        assert torch.equal(model(clip), expected(clip))


def test_another_epsilon_than_that_of_the_program_is_warned_of(tmp_path: Path) -> None:
    _, path = written("pytorchvideo", tmp_path)
    with pytest.warns(
        UserWarning, match=r"pytorchvideo's weights were trained with norm_eps 1e-05, the model has 0.001"
    ):
        load_weights(built("ir_csn_50"), path)


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d])
def test_normalisations_of_any_number_of_axes_are_warned_of(kind: type[nn.Module]) -> None:
    model = nn.ModuleDict({"stem": nn.Sequential(nn.Identity(), kind(4, eps=1e-3))})
    state = {f"blocks.0.norm.{name}": value for name, value in kind(4).state_dict().items()}
    with pytest.warns(UserWarning, match=r"trained with norm_eps 1e-05, the model has 0.001"):
        load_state(model, state)


def test_a_last_layer_for_other_classes_can_be_kept(tmp_path: Path) -> None:
    _, path = written("mmaction2, R3D", tmp_path)
    model = create("r3d_10", num_classes=3)
    before = model.get_submodule("fc").weight.detach().clone()
    load_weights(model, path, skip=["fc.*"])
    assert torch.equal(model.get_submodule("fc").weight, before)
    assert (
        model.get_submodule("stem.0").weight.std(dim=(1, 2, 3, 4)).max() < 1e-8
    )  # rows of equal values, as in the file
