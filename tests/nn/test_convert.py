"""Conversion changes classes and nothing else, and what is converted goes on as it was used."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import winograd
from tests.nn.converted_models import Conv3DSimple, clip, network, planned, snapshot
from winograd.conv.choosing.prediction import default_tolerance
from winograd.nn.compare import relative_l2


def test_only_classes_change_and_reverting_restores_them_bit_for_bit() -> None:
    model = network()
    before = list(snapshot(model))
    expected = model(clip())
    report = winograd.convert_(model)
    assert planned(model) == ["0", "2.0", "3"]
    assert (report.converted, report.skipped) == (3, 0)
    assert list(snapshot(model)) != before
    torch.testing.assert_close(model(clip()), expected)
    assert winograd.revert_(model) is model
    assert list(snapshot(model)) == before
    assert torch.equal(model(clip()), expected)


def test_converting_twice_is_converting_once() -> None:
    model = network()
    winograd.convert_(model, tolerance=1e-5)
    with torch.inference_mode():
        model(clip())
    once, plans = list(snapshot(model)), model[0].plans
    report = winograd.convert_(model, tolerance=1e-5)
    assert list(snapshot(model)) == once
    assert model[0].plans == plans
    assert len(plans) == 1
    assert report.converted == 3
    winograd.convert_(model, tolerance=1e-4)
    assert model[0].tolerance == 1e-4
    winograd.revert_(winograd.revert_(model))
    assert planned(model) == []


def test_a_layer_built_as_planned_keeps_its_tolerance_and_class() -> None:
    model = nn.Sequential(winograd.nn.Conv3d(3, 4, 3, tolerance=1e-7))
    assert winograd.convert_(model).converted == 1
    assert model[0].tolerance == 1e-7
    winograd.revert_(model)
    assert type(model[0]) is winograd.nn.Conv3d


def test_checkpoints_pass_both_ways() -> None:
    plain, model = network(), network()
    keys = list(plain.state_dict())
    winograd.convert_(model)
    winograd.freeze(model)
    with torch.inference_mode():
        model(clip())
    assert list(model.state_dict()) == keys
    model.load_state_dict(plain.state_dict(), strict=True)
    plain.load_state_dict(model.state_dict(), strict=True)


def test_a_model_without_convolutions_is_left_alone_with_a_warning() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    before = list(snapshot(model))
    with pytest.warns(UserWarning, match="no convolution was converted"):
        report = winograd.convert_(model)
    assert report.converted == 0
    assert list(snapshot(model)) == before
    with pytest.warns(UserWarning, match="no layer to freeze"):
        winograd.freeze(model)


def test_shared_modules_are_converted_once_and_ties_stay() -> None:
    layer, other = nn.Conv3d(4, 4, 3, padding=1), nn.Conv3d(4, 4, 3, padding=1)
    other.weight = layer.weight
    model = nn.Sequential(layer, layer, other)
    report = winograd.convert_(model)
    assert [entry.name for entry in report.layers] == ["0", "2"]
    assert model[0] is model[1] is layer
    assert model[2].weight is layer.weight


def test_hooks_buffers_attributes_and_flags_stay_in_force() -> None:
    model = network()
    calls = []
    model[0].register_forward_hook(lambda *_: calls.append("forward"))
    model[0].register_forward_pre_hook(lambda *_: calls.append("pre"))
    model[0].register_full_backward_hook(lambda *_: calls.append("backward"))
    model[0].register_buffer("extra", torch.ones(1))
    model[0].note = "mine"
    model[0].bias.requires_grad_(False)
    winograd.convert_(model)
    model(clip()).sum().backward()
    assert calls == ["pre", "forward", "backward"]
    assert model[0].note == "mine"
    assert "0.extra" in model.state_dict()
    assert model[0].bias.grad is None
    assert model[0].weight.grad is not None


@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda model: pickle.loads(pickle.dumps(model)),
        lambda model: torch.load(saved(model), weights_only=False),
    ],
)
def test_converted_models_are_copied_and_pickled_without_caches(copied: object) -> None:
    model = network()
    winograd.convert_(model, tolerance=1e-6)
    winograd.freeze(model)
    with torch.inference_mode():
        expected = model(clip())
        twin = copied(model)  # type: ignore[operator]
        assert planned(twin) == planned(model)
        assert all(twin.get_submodule(name).plans == () for name in planned(twin))
        assert twin[0].tolerance == 1e-6
        torch.testing.assert_close(twin(clip()), expected)
    winograd.revert_(twin)
    assert [type(twin.get_submodule(name)) for name in ("0", "2.0")] == [nn.Conv3d, Conv3DSimple]
    assert planned(model) == ["0", "2.0", "3"]


def saved(model: nn.Module) -> io.BytesIO:
    stream = io.BytesIO()
    torch.save(model, stream)
    stream.seek(0)
    return stream


def test_moves_to_another_dtype_are_followed() -> None:
    plain, model = network(), network()
    winograd.convert_(model)
    winograd.freeze(model)
    with torch.inference_mode():
        model(clip())
        ours, torchs = (module.double()(clip().double()) for module in (model, plain))
        assert relative_l2(ours, torchs) <= 4 * default_tolerance("float64")  # of three layers and of torch's own
        assert model.bfloat16()(clip().bfloat16()).dtype == torch.bfloat16
        torch.testing.assert_close(model.float()(clip()), plain.bfloat16().float()(clip()))


def test_weight_norm_is_followed_after_freezing() -> None:
    model = nn.Sequential(nn.Conv3d(3, 4, 3))
    winograd.convert_(model)
    winograd.freeze(model)
    nn.utils.parametrizations.weight_norm(model[0])
    with torch.inference_mode():
        before = model(clip())
        model[0].parametrizations.weight.original0.mul_(2)
        after = model(clip())
    bias = model[0].bias.detach().view(-1, 1, 1, 1)
    torch.testing.assert_close(after - bias, 2 * (before - bias))


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("process_group")
@pytest.mark.parametrize("wrapper", [nn.DataParallel, nn.parallel.DistributedDataParallel])
def test_data_parallel_wrappers_are_looked_into(wrapper: type[nn.Module]) -> None:
    model = wrapper(network())
    expected = model(clip())
    winograd.convert_(model)
    assert planned(model) == ["module.0", "module.2.0", "module.3"]
    torch.testing.assert_close(model(clip()), expected)
