"""A folded model that is changed, taken apart or watched afterwards, beside one that is not folded."""

from __future__ import annotations

import copy
import gc
import io
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint_sequential
from torch.utils.flop_counter import FlopCounterMode

import winograd
from winograd.nn.compare import relative_l2
from winograd.nn.folding.marks import marks
from winograd.nn.folding.places import Place

DOUBLE = 1e-12
"""Relative L2 error of float64: sums of 108 products and a norm; room for what the norm cancels."""


def network() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv3d(4, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU()).double().eval()
    model[1].running_mean.normal_()
    model[1].running_var.uniform_(0.5, 2)
    for parameter in model[1].parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
    return model


def folded() -> nn.Sequential:
    model = network()
    winograd.convert_(model)
    return winograd.freeze(model, fold="all")


def clip() -> Tensor:
    return torch.randn(1, 4, 3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def exchange(number: int, module: nn.Module) -> Callable[[nn.Module], None]:
    return lambda model: model.__setitem__(number, module)


def patch(number: int) -> Callable[[nn.Module], None]:
    return lambda model: setattr(model[number], "forward", lambda x: 3 * x)


def without_statistics(model: nn.Module) -> None:
    model[1].running_mean = model[1].running_var = model[1].num_batches_tracked = None


CHANGES = {
    "no norm": exchange(1, nn.Identity()),
    "another norm": exchange(1, nn.InstanceNorm3d(4)),
    "no ReLU": exchange(2, nn.Identity()),
    "another ReLU": exchange(2, nn.LeakyReLU(0.5)),
    "a patched norm": patch(1),
    "a patched ReLU": patch(2),
    "another eps": lambda model: setattr(model[1], "eps", 0.5),
    "batch statistics": without_statistics,
    "a compiled norm": lambda model: model[1].compile(backend="eager"),
    "a compiled ReLU": lambda model: model[2].compile(backend="eager"),
    "a compiled convolution": lambda model: model[0].compile(backend="eager"),
}


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_changed_is_seen(change: str, warm: bool) -> None:
    model, twin = folded(), network()
    torch.compiler.reset()
    with torch.no_grad():
        if warm:
            model(clip())
        for one in (model, twin):
            CHANGES[change](one)
        assert relative_l2(model(clip()), twin(clip())) <= DOUBLE
        assert relative_l2(model(clip()), network()(clip())) > DOUBLE or "compiled" in change


def test_an_exchange_that_is_not_seen_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model, twin = folded(), network()
    monkeypatch.setattr(Place, "holds", lambda *_: True)
    with torch.no_grad():
        for one in (model, twin):
            one[2] = nn.Identity()
        assert relative_l2(model(clip()), twin(clip())) > DOUBLE


def test_a_module_that_comes_back_is_folded_again() -> None:
    model, relu = folded(), nn.LeakyReLU()
    with torch.no_grad():
        expected = model(clip())
        relu, model[2] = model[2], relu
        assert (model(clip()) < 0).any()
        model[2] = relu
        assert torch.equal(model(clip()), expected)
        assert model[0]._winograd.folding.find(model[0], model[0].weight, model[0].bias) is not None


@pytest.mark.parametrize("way", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copied_convolution_alone_computes_nothing_else(way: Callable[[nn.Module], nn.Module]) -> None:
    model = folded()
    alone = way(model[0])
    gc.collect()
    with torch.no_grad():
        assert relative_l2(alone(clip()), network()[0](clip())) <= DOUBLE
        assert relative_l2(model(clip()), network()(clip())) <= DOUBLE


def test_a_convolution_that_outlives_its_model_computes_nothing_else() -> None:
    pieces = list(folded())
    gc.collect()
    with torch.no_grad():
        assert relative_l2(pieces[0](clip()), network()[0](clip())) <= DOUBLE
        assert relative_l2(nn.Sequential(*pieces)(clip()), network()(clip())) <= DOUBLE
    copy.deepcopy(nn.Sequential(*pieces))  # of places whose holder is no more, too


def test_outputs_carry_nothing_and_marks_go_with_them() -> None:
    model = folded()
    before = len(marks)
    with torch.no_grad():
        model(clip())
        assert len(marks) == before
        output = model[:2](clip())
        assert len(marks) == before + 1
        assert vars(output) == {}
        file = io.BytesIO()
        torch.save(output, file)
        file.seek(0)
        assert torch.equal(torch.load(file, weights_only=True), output)
    del output
    assert len(marks) == before


def test_a_mode_that_begins_between_changes_nothing() -> None:
    model = folded()
    with torch.no_grad():
        between = model[0](clip())
        with FlopCounterMode(display=False):
            between = model[1](between)
        assert relative_l2(model[2](between), network()(clip())) <= DOUBLE


def test_parameters_under_vmap_after_a_forward() -> None:
    model, twin = folded(), network()
    stacked = {name: torch.stack([one, 2 * one]) for name, one in twin.named_parameters()}
    image = clip()
    with torch.no_grad():
        model(image)
        got, expected = (
            torch.vmap(lambda given, one=one: torch.func.functional_call(one, given, (image,)))(stacked)
            for one in (model, twin)
        )
    assert relative_l2(got, expected) <= DOUBLE


def test_a_model_on_meta_has_nothing_to_fold() -> None:
    model = folded()
    with torch.no_grad():
        model(clip())
        assert model.to("meta")(clip().to("meta")).shape == clip().shape


class Apart(nn.Module):
    """Convolutions and norms in lists of their own, so that a copy meets a convolution before the list of its norm."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv3d(4, 4, 1) for _ in range(2))
        self.norms, self.relu = nn.ModuleList(nn.BatchNorm3d(4) for _ in range(2)), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = self.relu(norm(conv(x)))
        return x


@pytest.mark.parametrize("way", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_have_places_of_their_own(way: Callable[[nn.Module], nn.Module]) -> None:
    model = Apart().double().eval()
    winograd.convert_(model)
    winograd.freeze(model, fold="all")
    with torch.no_grad():
        expected, other = model(clip()), way(model)
        del model
        gc.collect()
        assert torch.equal(other(clip()), expected)
        layer = other.convs[0]
        assert layer._winograd.folding.find(layer, layer.weight, layer.bias) is not None
        other.norms[0] = nn.Identity()
        assert layer._winograd.folding.find(layer, layer.weight, layer.bias) is None


def test_a_gradient_of_what_was_folded_without_one_is_refused_or_right() -> None:
    model, twin = folded(), network()
    found = []
    for one in (model, twin):
        with torch.no_grad():
            between = one[1](one[0](clip()))
        between.requires_grad_()
        found.append(torch.autograd.grad(one[2](between).sum(), between)[0])
    assert torch.equal(*found)
    with torch.no_grad():
        between = model[0](clip())
    with pytest.raises(RuntimeError, match="thaw the model first"):
        model[1](between.requires_grad_())
    with pytest.raises(RuntimeError, match="thaw the model first"):
        checkpoint_sequential(model, 3, clip().requires_grad_(), use_reentrant=True)
    thawed = winograd.thaw(model)
    for one in (thawed, twin):
        checkpoint_sequential(one, 3, clip().requires_grad_(), use_reentrant=True).sum().backward()
    for ours, torchs in zip(thawed.parameters(), twin.parameters(), strict=True):
        assert relative_l2(ours.grad, torchs.grad) <= DOUBLE
