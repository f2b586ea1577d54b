"""Frozen and folded models whose tensors torch swaps, as it does on conversion where that is asked for."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import fx, nn

import winograd
from tests.nn.conversion.citizens import C, clip, conv
from tests.nn.conversion.laws import assert_close, force
from tests.nn.conversion.subclasses import Conv3DSimple
from winograd.nn import state
from winograd.nn.state import LayerState


@pytest.fixture(autouse=True)
def _swapping() -> Iterator[None]:
    torch.__future__.set_swap_module_params_on_conversion(True)
    yield
    torch.__future__.set_swap_module_params_on_conversion(False)


def models(fold: Any) -> tuple[nn.Sequential, nn.Sequential]:
    torch.manual_seed(0)
    plain = nn.Sequential(conv(), nn.BatchNorm3d(C), nn.ReLU()).double().eval()
    model = winograd.convert(plain)
    force(model)
    winograd.freeze(model, fold=fold)
    with torch.no_grad():
        model(clip())
    return model, plain


@pytest.mark.parametrize("fold", [None, "norms", "all"])
@pytest.mark.parametrize("norm_first", [False, True])
def test_a_frozen_model_is_moved_and_loaded(fold: str | None, norm_first: bool) -> None:
    model, plain = models(fold)
    (model[1] if norm_first else model).float()
    model.double()
    expected = copy.deepcopy(plain).float().double()
    with torch.no_grad():
        assert_close(model(clip()), expected(clip())) if not norm_first else model(clip())
        model.load_state_dict({name: 2 * value for name, value in plain.state_dict().items()})
        twice = copy.deepcopy(plain)
        twice.load_state_dict({name: 2 * value for name, value in plain.state_dict().items()})
        assert_close(model(clip()), twice(clip()))


def test_a_weight_that_is_kept_on_is_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = models(None)
    monkeypatch.setattr(LayerState, "let_go", lambda *_: None)
    with pytest.raises(RuntimeError, match="Couldn't swap"):
        model.float()


@pytest.mark.parametrize("way", ["differentiated", "compiled", "traced"])
def test_what_other_ways_to_run_it_keep_is_let_go(way: str) -> None:
    plain = nn.Sequential(Conv3DSimple(C, C)).double().eval().requires_grad_(False)
    model = winograd.convert(plain)
    force(model)
    winograd.freeze(model)
    runs = {
        "differentiated": lambda: model(clip().requires_grad_()).sum().backward(),
        "compiled": lambda: torch.compile(model, backend="eager")(clip()),
        "traced": lambda: fx.symbolic_trace(model).float().double()(clip()),
    }
    runs[way]()
    with torch.no_grad():
        assert_close(model.float().double()(clip()), copy.deepcopy(plain).float().double()(clip()))
    torch.compiler.reset()


def test_what_was_kept_of_a_weight_is_in_the_way_for_a_derivative(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = models(None)
    model.requires_grad_(False)
    model(clip().requires_grad_())
    monkeypatch.setattr(state.kept_filters, "drop", lambda _: None)
    with pytest.raises(RuntimeError, match="Couldn't swap"):
        model.float()
