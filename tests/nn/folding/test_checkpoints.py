"""Checkpoints that are cut through what is folded compute it anew: gradients are those of the plain model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

import winograd
from winograd.conv.switch import set_enabled
from winograd.nn.compare import relative_l2
from winograd.nn.folding import folding, marks, passing

DOUBLE = 2.0**-37
"""Relative L2 error: 2^16 roundings in float64; sums have 108 products at most, in the forward and the backward."""

Parts = list[Callable[[Tensor], Tensor]]


def network() -> nn.Sequential:
    """Return a model whose first layers are settled, and whose last one trains."""
    torch.manual_seed(0)
    settled = (nn.Conv3d(4, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU())
    model = nn.Sequential(*settled, nn.Conv3d(4, 4, 1)).double().eval()
    model[1].running_var.fill_(0.25)
    for one in settled:
        one.requires_grad_(False)
    return model


def folded(fold: Any) -> nn.Sequential:
    model = network()
    winograd.convert_(model)
    return winograd.freeze(model, fold=fold)


def clip(*, differentiated: bool) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 4, 3, 5, 5, generator=generator, dtype=torch.float64, requires_grad=differentiated)


def each_again(parts: Parts, input: Tensor) -> Tensor:
    """Compute each part anew in the backward."""
    for part in parts:
        input = checkpoint(part, input, use_reentrant=False)
    return input


def last_again(parts: Parts, input: Tensor) -> Tensor:
    """Compute all parts but the first anew."""
    return each_again(parts[1:], parts[0](input))


def last_again_in_the_old_way(parts: Parts, input: Tensor) -> Tensor:
    """Compute the last part anew, which runs without gradients at first, and is asked for some by another input."""
    input, asks = parts[0](input), torch.zeros((), dtype=torch.float64, requires_grad=True)
    *middle, last = parts[1:]
    for part in middle:
        input = part(input)
    again: Tensor = checkpoint(lambda tensor, zero: last(tensor) + zero, input, asks, use_reentrant=True)
    return again


def one_in_the_other(parts: Parts, input: Tensor) -> Tensor:
    """Compute all parts anew, and those behind the first once more in that."""
    first, *others = parts
    whole = lambda tensor: each_again([lambda tensor: each_again(others, tensor)], first(tensor))  # noqa: E731
    return each_again([whole], input)


def last_again_of_copies(parts: Parts, input: Tensor) -> Tensor:
    """Compute all parts but the first anew, from copies, as where a device has no room for what is saved."""
    with saved_tensors_hooks(torch.clone, lambda copied: copied):
        return last_again(parts, input)


WAYS = {
    way.__name__: way
    for way in (each_again, last_again, last_again_in_the_old_way, one_in_the_other, last_again_of_copies)
}


def gradients(model: nn.Sequential, way: str, cuts: tuple[int, ...], *, differentiated: bool) -> list[Tensor]:
    input = clip(differentiated=differentiated)
    parts = [model[start:end] for start, end in zip((0, *cuts), (*cuts, 4), strict=True)]
    with set_enabled(False):  # folded all the same, and nothing is compiled
        output = WAYS[way](parts, input)
        output.square().sum().backward()
    return [output.detach(), model[3].weight.grad, *([input.grad] if differentiated else [])]


def assert_alike(ours: list[Tensor], torchs: list[Tensor]) -> None:
    assert all(relative_l2(mine, theirs) <= DOUBLE for mine, theirs in zip(ours, torchs, strict=True))


@pytest.mark.parametrize("fold", ["norms", "all"])
@pytest.mark.parametrize("cuts", [(1,), (1, 3)])
@pytest.mark.parametrize("differentiated", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_a_checkpoint_that_is_cut_behind_a_folded_convolution(
    fold: str, cuts: tuple[int, ...], differentiated: bool, way: str
) -> None:
    ours = gradients(folded(fold), way, cuts, differentiated=differentiated)
    assert_alike(ours, gradients(network(), way, cuts, differentiated=differentiated))


@pytest.mark.parametrize("cuts", [(1,), (1, 3)])
def test_a_relu_in_place_writes_over_its_own_copy(cuts: tuple[int, ...]) -> None:
    models = [folded("norms"), network()]
    for model in models:
        model[2].inplace = True
    assert_alike(*(gradients(model, "each_again", cuts, differentiated=True) for model in models))


def test_a_norm_that_is_computed_twice_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "may_be_computed_again", lambda: False)
    expected = gradients(network(), "last_again", (1,), differentiated=False)
    with pytest.raises(AssertionError):
        assert_alike(gradients(folded("norms"), "last_again", (1,), differentiated=False), expected)


def test_a_norm_that_is_computed_twice_in_the_old_way_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "_find_passed", lambda *_: None)
    way = "last_again_in_the_old_way"
    expected = gradients(network(), way, (1,), differentiated=False)
    with pytest.raises(AssertionError):
        assert_alike(gradients(folded("norms"), way, (1,), differentiated=False), expected)


@pytest.mark.parametrize("way", ["one_in_the_other", "last_again_of_copies"])
def test_folding_where_something_looks_at_what_is_saved_is_noticed(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "may_be_computed_again", lambda: False)
    expected = gradients(network(), way, (1,), differentiated=True)
    with pytest.raises(RuntimeError, match="different metadata"):
        assert_alike(gradients(folded("norms"), way, (1,), differentiated=True), expected)


def test_what_was_written_over_since_is_not_computed_anew() -> None:
    model, asks = folded("norms"), torch.zeros((), dtype=torch.float64, requires_grad=True)
    halved = lambda tensor, zero: model[3](model[1](tensor).mul_(0.5)) + zero  # noqa: E731
    output = checkpoint(halved, model[0](clip(differentiated=False)), asks, use_reentrant=True)
    with pytest.raises(RuntimeError, match=r"written over|modified by an inplace operation"):
        output.sum().backward()


def test_a_norm_that_is_called_on_what_it_gave_computes() -> None:
    ours, plain = folded("norms"), network()
    for context in (torch.no_grad, torch.enable_grad, torch.inference_mode):
        with context(), set_enabled(False):
            got, expected = (model[1](model[1](model[0](clip(differentiated=False)))) for model in (ours, plain))
        assert relative_l2(got, expected) <= DOUBLE


def test_a_norm_that_is_called_on_what_it_gave_under_another_name_computes() -> None:
    ours, plain = folded("norms"), network()
    with set_enabled(False):
        got, expected = (model[1](model[1](model[0](clip(differentiated=False))).detach()) for model in (ours, plain))
    assert relative_l2(got, expected) <= DOUBLE


def test_nothing_is_not_taken_for_what_was_passed_on_before() -> None:
    model, empty = folded("norms"), clip(differentiated=False)[:0]
    with torch.no_grad():
        before = model[:2](empty)
    winograd.thaw(model)[0].requires_grad_(True)
    winograd.freeze(model, fold="norms")
    assert model[:2](empty.requires_grad_()).shape == before.shape
