from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn

import winograd
from winograd.nn.budget import sensitivity
from winograd.nn.budget.outputs import outputs_of
from winograd.nn.budget.sensitivity import measure_gain
from winograd.nn.budget.setting import direct, frozen
from winograd.nn.modules import PlannedConvolution

CLIP = torch.randn(1, 64, 4, 16, 16, generator=torch.Generator().manual_seed(0))


class Beside(nn.Module):
    """The output of a convolution, and three times that of another one beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv3d(64, 64, 3, padding=1)
        self.other = nn.Conv3d(64, 64, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), 3 * self.other(x)])


@pytest.fixture(scope="module")
def model() -> Beside:
    torch.manual_seed(0)
    made = Beside().requires_grad_(False)
    winograd.convert_(made)
    return made


def gain_of(model: Beside, name: str) -> float:
    layers = [layer for layer in model.modules() if isinstance(layer, PlannedConvolution)]
    layer, run = model.get_submodule(name), partial(outputs_of, model, CLIP)
    assert isinstance(layer, PlannedConvolution)
    with frozen(layers), direct(layers):
        return measure_gain(run, layer, 1e-5, run())


def share_of(model: Beside, name: str) -> float:
    """Return the part of the output's norm that a convolution makes: what its relative errors count."""
    one, other = (float(torch.linalg.vector_norm(part)) for part in model(CLIP))
    return (one if name == "one" else other) / math.hypot(one, other)


# The layer is given an error of 1e-3, and the output is rounded to float32 on the way: 1e-7 of it, 1e-4 of the gain.
@pytest.mark.parametrize("name", ["one", "other"])
def test_the_gain_is_the_part_of_the_output_that_the_layer_makes(model: Beside, name: str) -> None:
    assert gain_of(model, name) == pytest.approx(share_of(model, name), rel=1e-3)


def test_a_disturbance_that_is_lost_is_noticed(model: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensitivity, "output_error", lambda *_: 0.0)
    assert gain_of(model, "one") != pytest.approx(share_of(model, "one"), rel=1e-3)


def test_a_layer_without_winograd_is_disturbed_by_noise(model: Beside) -> None:
    layer = model.one
    assert isinstance(layer, PlannedConvolution)
    run = partial(outputs_of, model, CLIP)
    with direct([layer, model.other]):  # type: ignore[list-item]
        found = measure_gain(run, layer, 1e-12, run())  # nothing is tolerated: what it computes stays the same
    assert found == pytest.approx(share_of(model, "one"), rel=1e-3)


def test_layers_are_as_they_were(model: Beside) -> None:
    before = [(layer._winograd.tolerance, layer._winograd.filters) for layer in (model.one, model.other)]  # type: ignore[union-attr]
    gain_of(model, "one")
    after = [(layer._winograd.tolerance, layer._winograd.filters) for layer in (model.one, model.other)]  # type: ignore[union-attr]
    assert before == after
    assert not model.one._forward_hooks
    assert model.one.algorithm is None
