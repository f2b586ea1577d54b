from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from winograd.benching.training import network
from winograd.benching.training.met import met_convolutions, training_loss
from winograd.benching.training.network import Sizes, draw_batch, measure_network, network_steps
from winograd.benching.training.rivals import converted

SIZES = Sizes(batch=2, frames=4, size=12)
TOLERANCE = 5e-6


def tiny(name: str = "tiny") -> nn.Module:
    torch.manual_seed(0)
    first, second = nn.Conv3d(3, 8, 3, padding=1), nn.Conv3d(8, 8, 3, padding=1)
    layers = {"first": first, "relu": nn.ReLU(), "second": second, "third": nn.Conv3d(8, 8, 3, padding=1)}
    ends = {"pool": nn.AdaptiveAvgPool3d(1), "flat": nn.Flatten(), "scores": nn.Linear(8, 400)}
    return nn.Sequential(OrderedDict(layers | ends))


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "create", tiny)
    monkeypatch.setattr(network, "initialise_he", lambda model, _: model)


@pytest.mark.usefixtures("registered")
def test_a_network_is_verified_layer_by_layer_and_as_a_whole() -> None:
    found = measure_network("tiny", SIZES, Sizes(1, 4, 8), tolerance=TOLERANCE, repeats=2)
    assert [layer.layer for layer in found.layers] == ["first", "second"]  # the third has the second's shape
    assert all(max(layer.errors.values()) <= TOLERANCE for layer in found.layers)
    assert (found.input, found.gradients.input) == ((2, 3, 4, 12, 12), (1, 3, 4, 8, 8))
    assert 0 < found.gradients.all <= found.gradients.worst[1]
    assert len(found.rounds.ours_ms) == 2
    assert found.as_dict()["gradients"]["loss"] > 0


def test_a_wrong_gradient_of_one_parameter_is_seen_in_the_whole() -> None:
    model = tiny().train()
    batch = draw_batch(SIZES, 0)
    names, parameters = zip(*model.named_parameters(), strict=True)
    exact = dict(zip(names, torch.autograd.grad(training_loss(model, *batch), parameters), strict=True))
    wrong = exact | {"second.weight": exact["second.weight"] * 1.5}
    assert network._worst(wrong, exact) == ("second.weight", pytest.approx(0.5))
    assert 0 < network._overall(wrong, exact) < 0.5


def test_a_step_changes_the_weights_of_its_own_network_alone() -> None:
    model = tiny().train()
    clips, labels = draw_batch(SIZES, 0)
    steps = network_steps(model, clips, labels)
    before = [parameter.clone() for parameter in model.parameters()]
    losses = [steps["contiguous"]() for _ in range(3)]
    assert losses[2] < losses[0]
    unchanged = [steps["channels_last"].model, model]
    for each in unchanged:
        assert all(torch.equal(one, other) for one, other in zip(each.parameters(), before, strict=True))
    last = steps["channels_last"]
    assert last.clips.is_contiguous(memory_format=torch.channels_last_3d)
    assert last.model.get_submodule("second").weight.is_contiguous(memory_format=torch.channels_last_3d)


def test_both_sides_begin_with_the_same_weights() -> None:
    model = tiny().train()
    ours = converted(model, TOLERANCE)
    assert list(ours.state_dict()) == list(model.state_dict())
    assert all(torch.equal(one, other) for one, other in zip(ours.parameters(), model.parameters(), strict=True))
    assert not any(one is other for one, other in zip(ours.parameters(), model.parameters(), strict=True))


def test_convolutions_meet_what_autograd_gives_them() -> None:
    model = tiny().train()
    clips, labels = draw_batch(SIZES, 0)
    first, second = met_convolutions(model, clips, labels)
    assert torch.equal(first.input, clips)
    inner = second.module(second.input)
    weight_gradient = torch.autograd.grad(inner, second.module.weight, second.grad_output)[0]
    loss = training_loss(model, clips, labels)
    expected: Tensor = torch.autograd.grad(loss, model.get_submodule("second").weight)[0]
    assert torch.equal(weight_gradient, expected)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(layer._forward_hooks for layer in model.modules())
