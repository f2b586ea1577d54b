"""The whole-network mode and measured reports for models that hold, change, cast or fold things."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

import winograd
from tests.nn.budget.restless import CLIP, MODELS, Emptying, Wrapper, met, net
from winograd.nn.budget.copies import alone
from winograd.nn.reporting.measurement import Measurement


def whole(model: nn.Module, example: Any = CLIP) -> Measurement:
    found = winograd.nn.conversion_report(model).measure(example, repeats=0).whole
    assert found is not None
    return found


def test_a_folded_layer_is_measured_without_what_it_folds() -> None:
    model = net()
    winograd.convert_(model, example=CLIP)
    expected = met(model, 1e-5).layers[1].correction
    winograd.freeze(model, fold="all")
    budget = met(model, 1e-5)
    assert budget.is_met
    assert budget.layers[1].correction == pytest.approx(expected, rel=1e-3)


def by_weight_norm(layer: nn.Module) -> None:
    with pytest.warns(FutureWarning, match="weight_norm"):
        nn.utils.weight_norm(layer)


WEIGHTS: dict[str, Callable[[Any], object]] = {
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", amount=0.3),
    "weight norm by hooks": by_weight_norm,
    "spectral norm by hooks": nn.utils.spectral_norm,
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_that_are_computed_in_16_bits(kind: str) -> None:
    """Rounding to float16, 5e-4, is no error of a layer: float32 is compared, as in a model of parameters alone."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv3d(16, 16, 3, padding=1)).half().eval()
    WEIGHTS[kind](model[0])
    budget = met(model, 5e-2, torch.randn(1, 16, 4, 16, 16).half())
    assert budget.is_met
    share = budget.layers[0]
    assert share.correction is not None
    assert share.direct_error is not None
    assert share.correction < 20  # a spectral norm is a sum in float32, and off by a few 1e-7 itself
    assert share.direct_error < 1e-5


def test_a_weight_that_a_hook_computes_is_that_of_now() -> None:
    layer: Any = nn.Conv3d(2, 2, 3)
    prune.l1_unstructured(layer, "weight", amount=0.5)
    with torch.no_grad():
        layer.weight_orig.mul_(2)
    before = layer.weight.clone()
    assert torch.equal(alone(layer).weight, 2 * before)
    assert torch.equal(layer.weight, before)


@pytest.mark.parametrize("kind", MODELS)
def test_runs_of_a_model_are_alike_whatever_it_holds_and_changes(kind: type[Wrapper]) -> None:
    """All bounds are those of a model that changes nothing: float32 is off by 1e-7, and gains are about 1."""
    model, example = kind().eval(), copy.deepcopy(MODELS[kind])
    budget = met(model, 1e-4, example)
    assert budget.is_met
    assert budget.direct_error < 1e-6
    assert all(share.gain is None or share.gain < 3 for share in budget.layers)
    found = whole(model, example)
    assert found.error < 1e-4
    assert found.direct_error < 1e-6
    assert repr(example) == repr(MODELS[kind])


def test_times_are_those_of_an_example_that_stays() -> None:
    model, example = Emptying().eval(), ({"x": CLIP.clone()},)
    found = winograd.convert_(model, example=example).measure(example, repeats=1).whole
    assert found is not None
    assert found.times is not None
    assert torch.equal(example[0]["x"], CLIP)


def test_models_without_a_copy_or_a_reference_are_refused_in_one_line() -> None:
    class Locked(Wrapper):
        def __init__(self) -> None:
            super().__init__()
            self.held = (one for one in ())

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)

    class Narrow(Wrapper):
        def forward(self, x: Tensor) -> Tensor:
            return self.net(x).flatten(1) @ torch.ones(32 * 4 * 16 * 16, 2)

    wrong: tuple[tuple[type[Wrapper], type[Exception], str], ...] = (
        (Locked, TypeError, "model must be one that copy.deepcopy can copy, to be measured: cannot pickle"),
        (Narrow, ValueError, "model does not run in float64, so that no error of its output is known: "),
    )
    for kind, error, words in wrong:
        model = kind().eval()
        with pytest.raises(error, match=words) as raised:
            winograd.convert_(model, output_tolerance=1e-4, example=CLIP)
        assert "\n" not in str(raised.value)
        assert type(model.net[0]) is nn.Conv3d
        report = winograd.convert_(model)
        with pytest.raises(error, match=words):
            report.measure(CLIP, repeats=0)
