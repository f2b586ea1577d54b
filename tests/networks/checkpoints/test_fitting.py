"""What is said of checkpoints that do not fit, in one line: what is missing, with the nearest that is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.networks.checkpoints import formats
from winograd.networks import create
from winograd.networks.checkpoints import load_state


def small() -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(4, 64, 3), nn.BatchNorm3d(64), nn.Flatten(), nn.Linear(64, 32))


def refusal(model: nn.Module, state: dict[str, Tensor], **options: Any) -> str:
    """Return the error, after seeing that it is one line and that nothing was loaded."""
    before = {name: value.clone() for name, value in model.state_dict().items() if not value.is_meta}
    with pytest.raises(ValueError, match=r"weights|skip") as caught:
        load_state(model, {name: value + 1 for name, value in state.items()}, source="file.pth", **options)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items() if name in before)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def on_meta(name: str, **options: Any) -> nn.Module:
    with torch.device("meta"):
        return create(name, **options)


def test_everything_that_does_not_fit_is_said_and_nothing_is_loaded() -> None:
    model = small()
    state = model.state_dict() | {"extra.weight": torch.zeros(1), "3.weight": torch.zeros(31, 64)}
    del state["0.bias"]
    assert refusal(model, state) == (
        "weights 'file.pth' do not fit the model: 1 missing: 0.bias (nearest there: extra.weight); "
        "1 unexpected: extra.weight; 1 of another shape: 3.weight (31, 64) for (32, 64)"
    )


def test_what_does_fit_is_loaded() -> None:
    model = small()
    state = {name: value + 1 for name, value in model.state_dict().items()}
    assert load_state(model, state) is model
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())


def test_the_nearest_has_the_same_shape_if_there_is_one() -> None:
    model = nn.ModuleDict({"conv1": nn.Conv3d(2, 2, 3), "conv2": nn.Conv3d(2, 2, 1)})
    there = {"konv.weight": "conv1.weight", "conv1_1.weight": "conv2.weight", "k": "conv1.bias", "z": "conv2.bias"}
    message = refusal(model, {name: model.state_dict()[ours] for name, ours in there.items()})
    assert "conv1.weight (nearest there: konv.weight)" in message
    assert "conv2.weight (nearest there: conv1_1.weight)" in message


@pytest.mark.parametrize(
    ("value", "oddity"),
    [
        (torch.zeros(64).to_sparse(), "torch.sparse_coo"),
        (torch.zeros(64, dtype=torch.complex64), "torch.complex64"),
        (torch.zeros(64, dtype=torch.float4_e2m1fn_x2), "torch.float4_e2m1fn_x2"),
        (torch.empty(64, device="meta"), "on the device meta"),
    ],
)
def test_values_that_cannot_be_copied_as_they_are_are_refused_before_any_is(value: Tensor, oddity: str) -> None:
    model = small()
    state = {name: there + 1 for name, there in model.state_dict().items()} | {"1.weight": value}
    before = {name: there.clone() for name, there in model.state_dict().items()}
    with pytest.raises(ValueError, match="do not fit") as caught:
        load_state(model, state)
    assert str(caught.value) == (
        f"weights 'state' do not fit the model: 1 no strided tensors of real numbers: 1.weight ({oddity})"
    )
    assert all(torch.equal(there, before[name]) for name, there in model.state_dict().items())
    load_state(model, state, skip=["1.weight"])  # what is left out may be anything
    assert torch.equal(model[0].bias, state["0.bias"])


def test_a_model_of_complex_numbers_takes_complex_numbers() -> None:
    model = nn.Linear(2, 2, dtype=torch.complex64)
    state = {name: value + 1j for name, value in model.state_dict().items()}
    load_state(model, state)
    assert torch.equal(model.weight, state["weight"])


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_refused() -> None:
    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    with pytest.raises(ValueError, match=r"weights '1.weight' is a nested tensor; strided"):
        load_state(small(), small().state_dict() | {"1.weight": nested})


@pytest.mark.filterwarnings("ignore:Casting complex values")
def test_without_the_refusal_a_sparse_tensor_leaves_half_of_a_state_and_a_complex_one_half_of_its_values() -> None:
    model = nn.ModuleDict({"first": nn.Linear(2, 2), "second": nn.Linear(2, 2)})
    state = {name: torch.full_like(value, 9) for name, value in model.state_dict().items()}
    with pytest.raises(RuntimeError):
        model.load_state_dict(state | {"second.weight": state["second.weight"].to_sparse()})
    assert (model["first"].weight == 9).all()  # changed, in spite of the error
    model.load_state_dict(state | {"second.weight": torch.full((2, 2), 1 + 2j)})
    assert (model["second"].weight == 1).all()


def test_arrays_may_have_their_bytes_in_the_other_order() -> None:
    model = small()
    state = {name: value + 1 for name, value in model.state_dict().items()}
    load_state(model, {name: value.numpy().astype(value.numpy().dtype.newbyteorder()) for name, value in state.items()})
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())


def test_five_names_of_each_kind_are_shown() -> None:
    model, state = on_meta("c3d"), on_meta("i3d_rgb").state_dict()
    message = refusal(model, state)
    assert "22 missing: conv1.weight (nearest there: logits.conv3d.weight)" in message
    assert message.count("nearest there") == 5
    assert "and 17 more; " in message


def test_names_are_given_as_they_are_in_the_file() -> None:
    model = on_meta("r3d_10")
    state = formats.mmaction2_r3d(model.state_dict())
    state["backbone.head.bias"] = state.pop("cls_head.fc_cls.bias")
    assert refusal(model, state) == (
        "weights 'file.pth' by mmaction2's names do not fit the model: "
        "1 missing: fc.bias (nearest there: backbone.head.bias); 1 unexpected: backbone.head.bias"
    )


def test_another_number_of_classes_is_told() -> None:
    message = refusal(on_meta("r3d_10", num_classes=3), on_meta("r3d_10", num_classes=400).state_dict())
    assert message.endswith(
        "2 of another shape: fc.weight (400, 512) for (3, 512), fc.bias (400,) for (3,); "
        "they have 400 classes, the model 3: num_classes=400 fits"
    )


def test_the_stem_of_kenshohara_s_own_networks_is_refused() -> None:
    model = on_meta("r3d_10")
    state = formats.kenshohara(model.state_dict())
    state = {name.removeprefix("module."): value for name, value in state.items()}
    state["conv1.weight"] = torch.empty(64, 3, 7, 7, 7, device="meta")
    assert "1 of another shape: stem.0.weight (64, 3, 7, 7, 7) for (64, 3, 3, 7, 7)" in refusal(model, state)


def test_the_channels_in_between_of_the_other_rule_are_refused() -> None:
    message = refusal(on_meta("r2plus1d_18"), on_meta("r2plus1d_18", mid_channels="torchvision").state_dict())
    assert "layer2.0.conv2.0.0.weight (230, 128, 1, 3, 3) for (288, 128, 1, 3, 3)" in message


def test_names_that_are_left_out_keep_the_model_s_values_and_may_be_too_much() -> None:
    model = small()
    state = {name: value + 1 for name, value in model.state_dict().items()} | {"head.weight": torch.zeros(3)}
    before = model[3].weight.detach().clone()
    load_state(model, state, skip=["3.*", "head.*"])
    assert torch.equal(model[3].weight, before)
    assert torch.equal(model[0].bias, state["0.bias"])


def test_a_pattern_that_nothing_has_is_refused() -> None:
    assert refusal(small(), small().state_dict(), skip=["fc.*"]) == (
        "skip has 'fc.*', which matches no name of the model or the weights"
    )


def test_two_names_for_one_layer_are_refused() -> None:
    model = on_meta("i3d_rgb")
    state = {f"Flow/{name[4:]}" if "Conv3d_1a" in name else name: value for name, value in there(model).items()}
    clash = "RGB/inception_i3d/Conv3d_1a_7x7/batch_norm/beta"
    state[clash] = torch.zeros(1, 1, 1, 1, 64)
    message = refusal(model, state)
    assert message == f"weights 'Flow/{clash[4:]}' and '{clash}' both stand for Conv3d_1a_7x7.bn.bias"


def there(model: nn.Module) -> dict[str, Tensor]:
    zeros = {name: torch.zeros(()).expand(value.shape) for name, value in model.state_dict().items()}
    return {name: torch.from_numpy(np.asarray(value)) for name, value in formats.kinetics_i3d(zeros).items()}


def test_counters_of_batches_may_be_missing_and_scales_only_where_the_program_has_none() -> None:
    model = small()
    state = model.state_dict()
    del state["1.num_batches_tracked"]
    load_state(model, state)
    del state["1.weight"]
    assert "1 missing: 1.weight" in refusal(model, state)


def test_the_frame_network_of_eco_lite_takes_the_first_layers_of_inception_v3() -> None:
    model = on_meta("eco_lite_add").get_submodule("net2d").to_empty(device="cpu")
    state = {name: torch.ones(()).expand(value.shape) for name, value in model.state_dict().items()}
    more = ["Mixed_5d.branch1x1.conv.weight", "Mixed_5d.branch_pool.bn.bias", "Mixed_6a.branch3x3.conv.weight"]
    skip = ["Mixed_5d.branch1x1*", "Mixed_5d.branch_pool*", "Mixed_6*"]
    load_state(model, state | {name: torch.zeros(1) for name in more}, skip=skip)
    assert all((value == 1).all() for value in model.state_dict().values())
