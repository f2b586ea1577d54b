"""Classes that a conversion makes, and the user's they are made of, live as long as anything uses them."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn

import winograd


def defined_anew() -> nn.Sequential:
    """Return a model of classes of its own, as a cell of a notebook makes them at each run."""

    class Own(nn.Conv3d):
        pass

    class Lazy(nn.LazyConv3d):
        cls_to_become = Own

    class Norm(nn.BatchNorm3d):
        pass

    return nn.Sequential(Own(3, 4, 3), Norm(4), nn.ReLU(), Lazy(4, 1)).eval()


@pytest.mark.parametrize("reverts", [True, False])
def test_classes_are_freed_with_their_models(reverts: bool) -> None:
    model = defined_anew()
    clip = torch.zeros(1, 3, 4, 4, 4)
    report = winograd.convert_(model, example=clip)
    model(clip)
    winograd.freeze(model, fold="all", example=clip)
    assert report.rows[0].folds == "1, 2"
    if reverts:
        winograd.revert_(model)
    classes = [weakref.ref(cls) for layer in model for cls in type(layer).__mro__ if "<locals>" in cls.__qualname__]
    assert len({cls() for cls in classes}) >= 2
    del model, report
    gc.collect()
    assert [cls() for cls in classes if cls() is not None] == []


def test_a_class_is_made_once_while_it_is_used() -> None:
    model = nn.Sequential(defined_anew()[0], nn.ReLU())
    winograd.convert_(model)
    converted = type(model[0])
    gc.collect()
    other = winograd.convert(winograd.revert_(copy.deepcopy(model)))
    assert type(other[0]) is converted
    with pytest.raises((pickle.PicklingError, AttributeError), match="locals"):
        pickle.dumps(model)


@pytest.mark.parametrize("reverts", [True, False])
def test_a_parametrized_layer_is_freed_with_its_classes_and_its_weight(reverts: bool) -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv3d(3, 4, 3)))
    torchs = type(model[0])
    winograd.convert_(model)
    found = [weakref.ref(one) for one in (model[0], type(model[0]), torchs, model[0].parametrizations.weight.original1)]
    if reverts:
        winograd.revert_(model)
        assert type(model[0]) is torchs
    del model, torchs
    gc.collect()
    assert [one() for one in found if one() is not None] == []
