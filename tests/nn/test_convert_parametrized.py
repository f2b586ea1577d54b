"""Layers whose weight is computed: by parametrizations, by the hooks of old weight norms and of pruning."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

import winograd
from tests.nn.conversion.laws import assert_close, assert_gradients_close, force
from winograd.nn.modules import PlannedConvolution
from winograd.nn.wrapped import inside, is_wrapper


def layer() -> nn.Conv3d:
    torch.manual_seed(0)
    return nn.Conv3d(4, 6, 3, padding=1).double()


def clip() -> Tensor:
    return torch.randn(2, 4, 5, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Doubled(nn.Module):
    """A parametrization."""

    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


WAYS: dict[str, Callable[[nn.Conv3d], object]] = {
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "two": lambda conv: [parametrize.register_parametrization(conv, one, Doubled()) for one in ("weight", "bias")],
    "old weight_norm": nn.utils.weight_norm,
    "old spectral_norm": nn.utils.spectral_norm,
    "pruned": lambda conv: prune.l1_unstructured(conv, "weight", amount=0.5),
    "pruned by channels": lambda conv: prune.ln_structured(conv, "weight", amount=0.5, n=2, dim=0),
}
PARAMETRIZED = ["weight_norm", "spectral_norm", "orthogonal", "two"]

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")


def bits(model: nn.Module) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("converted_first", [False, True])
def test_a_computed_weight_is_followed_and_reverting_gives_everything_back(way: str, converted_first: bool) -> None:
    plain, model = nn.Sequential(layer()), nn.Sequential(layer())
    torch.manual_seed(2)
    WAYS[way](plain[0])
    if converted_first:
        winograd.convert_(model)
    torch.manual_seed(2)
    WAYS[way](model[0])
    before, former = bits(model), type(model[0])
    assert winograd.convert_(model).converted == 1
    winograd.freeze(model)
    assert isinstance(model[0], PlannedConvolution)
    assert bits(model) == before == bits(plain)
    force(model)
    for step in range(2):  # of training, then in evaluation mode
        model.train(step == 0)
        plain.train(step == 0)
        ours, torchs = model(clip()), plain(clip())
        assert_close(ours, torchs)
        ours.square().sum().backward()
        torchs.square().sum().backward()
        assert_gradients_close(model, plain)
        with torch.no_grad():
            for one in (*model.parameters(), *plain.parameters()):
                one.mul_(1.5)
        plain.load_state_dict(model.state_dict())
    assert model[0].plans
    before = bits(model)
    assert winograd.revert_(model) is model
    assert type(model[0]).__name__ == type(plain[0]).__name__
    assert type(model[0]) is former or converted_first
    assert bits(model) == before
    plain.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(model.eval()(clip()), plain.eval()(clip()))


@pytest.mark.parametrize("way", PARAMETRIZED)
@pytest.mark.parametrize("removed", ["converted", "reverted"])
def test_parametrizations_are_removed_from_converted_and_from_reverted_layers(way: str, removed: str) -> None:
    plain, model = nn.Sequential(layer()), nn.Sequential(layer())
    for one in (plain, model):
        torch.manual_seed(2)
        WAYS[way](one[0])
        one.eval()
    winograd.convert_(model)
    if removed == "reverted":
        winograd.revert_(model)
    for one in (plain, model):
        for name in list(one[0].parametrizations):
            parametrize.remove_parametrizations(one[0], name)
    assert type(model[0]) is (winograd.nn.Conv3d if removed == "converted" else nn.Conv3d)
    assert_close(model(clip()), plain(clip()))
    winograd.revert_(model)
    assert type(model[0]) is nn.Conv3d
    assert bits(model) == bits(plain)


def test_a_parametrization_more_or_less_after_the_conversion_stays_in_force() -> None:
    model = nn.Sequential(layer())
    parametrize.register_parametrization(model[0], "weight", Doubled())
    winograd.convert_(model)
    parametrize.register_parametrization(model[0], "bias", Doubled())
    winograd.revert_(model)
    assert sorted(model[0].parametrizations) == ["bias", "weight"]
    assert inside(type(model[0])) is nn.Conv3d
    assert torch.equal(model[0].bias, 2 * model[0].parametrizations.bias.original)
    winograd.convert_(model)
    parametrize.remove_parametrizations(model[0], "weight")
    winograd.revert_(model)
    assert inside(type(model[0])) is nn.Conv3d
    assert is_wrapper(type(model[0]))
    assert not parametrize.is_parametrized(model[0], "weight")


def test_copies_of_parametrized_layers_are_reverted_apart() -> None:
    model = nn.Sequential(layer())
    parametrizations.weight_norm(model[0])
    former = type(model[0])
    winograd.convert_(model, tolerance=1e-6)
    twin = copy.deepcopy(model)
    assert twin[0].tolerance == 1e-6
    winograd.revert_(model)
    assert type(model[0]) is former
    assert isinstance(twin[0], PlannedConvolution)
    assert_close(twin(clip()), model(clip()))
    winograd.revert_(twin)
    assert torch.equal(twin(clip()), model(clip()))


def test_a_class_that_keeps_its_bases_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The law that removal rests on: torch deletes the weight's property from the outermost class."""
    monkeypatch.setattr("winograd.nn.planned.wrap_alike", lambda cls, turn: turn(cls))
    model = nn.Sequential(layer())
    parametrizations.weight_norm(model[0])
    winograd.convert_(model)
    with pytest.raises(AttributeError):
        parametrize.remove_parametrizations(model[0], "weight")
