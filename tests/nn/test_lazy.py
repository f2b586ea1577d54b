"""Lazy convolutions: planned ones from the first forward on, built as such or converted before it."""

from __future__ import annotations

import copy
import pickle
import warnings

import pytest
import torch
from torch import nn

import winograd
from winograd.nn.modules import PlannedConvolution

NAMES = [f"Conv{kind}{ndim}d" for kind in ("", "Transpose") for ndim in (1, 2, 3)]


def image(name: str) -> torch.Tensor:
    return torch.randn(2, 4, *[6] * int(name[-2]), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NAMES)
def test_a_lazy_layer_becomes_a_planned_one_at_its_first_forward(name: str) -> None:
    torch.manual_seed(0)
    layer = getattr(winograd.nn, f"Lazy{name}")(6, 3, padding=1, tolerance=1e-6, groups=2)
    assert layer.has_uninitialized_params()
    torch.manual_seed(1)
    output = layer(image(name))
    assert type(layer) is getattr(winograd.nn, name)
    assert (layer.in_channels, layer.tolerance, len(layer.plans)) == (4, 1e-6, 1)
    plain = getattr(nn, name)(4, 6, 3, padding=1, groups=2)
    plain.load_state_dict(layer.state_dict(), strict=True)
    torch.testing.assert_close(output, plain(image(name)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("runs", [False, True])
def test_a_lazy_model_is_converted_and_reverted(name: str, runs: bool) -> None:
    lazy, settled = getattr(nn, f"Lazy{name}"), getattr(nn, name)
    model = nn.Sequential(lazy(6, 3), nn.ReLU())
    report = winograd.convert_(model)
    assert report.converted == 1
    with warnings.catch_warnings(action="error"):
        winograd.freeze(model)
    assert type(model[0]) is getattr(winograd.nn, f"Lazy{name}")
    if runs:
        model(image(name))
        assert type(model[0]) is getattr(winograd.nn, name)
        assert len(report.rows) == len(model[0].plans) == 1
        assert winograd.convert_(model).converted == 1
    winograd.revert_(model)
    assert type(model[0]) is (settled if runs else lazy)
    assert "_winograd" not in vars(model[0])
    assert model(image(name)).shape[1] == 6
    assert type(model[0]) is settled


class Wider(nn.LazyConv2d):
    """A subclass that becomes torch's own class."""


@pytest.mark.parametrize("runs", [False, True])
def test_subclasses_copies_and_pickles_stay_planned(runs: bool) -> None:
    model = nn.Sequential(Wider(6, 3))
    winograd.convert_(model, tolerance=1e-6)
    if runs:
        model(image("Conv2d"))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model):
        assert isinstance(other[0], PlannedConvolution)
        other(image("Conv2d"))
        assert type(other[0]) is winograd.nn.Conv2d
        assert other[0].tolerance == 1e-6
        winograd.revert_(other)
        assert type(other[0]) is nn.Conv2d


def test_an_input_with_other_axes_is_refused_in_torchs_words() -> None:
    for room in (nn, winograd.nn):
        with pytest.raises(RuntimeError, match="Expected 4D \\(unbatched\\) or 5D \\(batched\\) input to LazyConv3d"):
            room.LazyConv3d(4, 3)(torch.zeros(3, 3))
