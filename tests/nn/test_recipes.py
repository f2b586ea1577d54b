"""Files of whole models: they name torch's classes, the user's, and one module of ours that stays where it is."""

from __future__ import annotations

import copy
import importlib
import pickle
import pickletools
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import fx, nn

import winograd
from tests.nn.conversion.subclasses import Conv3DSimple
from winograd.nn import recipes
from winograd.nn.folding.folding import Folding
from winograd.nn.modules import PlannedConvolution
from winograd.nn.state import LayerState

OURS = {"winograd.nn.recipes from_recipe", "winograd.nn.recipes blank_from_recipe"}

FORCED = winograd.nest(*[winograd.toom_cook(2, 3)] * 3)

CLASSES = [name for name, home in recipes.HOMES.items() if "Conv" in name and "State" not in name and "." not in name]

STATE = b"""cwinograd.nn.recipes
from_recipe
p0
(Vrestored_state
p1
VConvolutionState
p2
(dp3
Vtolerance
p4
F1e-06
sVoriginal
p5
ctorch.nn.modules.conv
Conv3d
p6
sVfilters
p7
Vfrozen
p8
sVworkspace_cap
p9
I1048576
sVfilter_cap
p10
NsVtuning
p11
Vmodel
p12
sValgorithm_json
p13
V{"format":"winograd algorithm","version":1,"axis":{"m":1,"r":1,"at":[["1"]],"g":[["1"]],"bt":[["1"]]}}
p14
stp15
Rp16
(dp17
Vfolding
p18
NsVfolds
p19
V
p20
sVbudget
p21
Nsb."""
"""A file of version 0.1."""


def names(what: Any) -> set[str]:
    """Return what a file names of this package."""
    found = {str(given) for op, given, _ in pickletools.genops(pickle.dumps(what, protocol=2)) if op.name == "GLOBAL"}
    return {name for name in found if name.startswith("winograd")}


def model() -> nn.Sequential:
    layers = (nn.Conv3d(4, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.Conv3d(4, 4, 1), Conv3DSimple(4, 4))
    return nn.Sequential(*layers, winograd.nn.Conv3d(4, 4, 3, algorithm=FORCED)).eval()


def settled() -> nn.Sequential:
    """Return a model with all that a file of it can hold."""
    made, clip = model(), torch.zeros(1, 4, 7, 7, 7).normal_()
    with warnings.catch_warnings(action="ignore"):
        winograd.convert_(made, output_tolerance=1e-4, example=clip, workspace_cap=2**20)
        return winograd.freeze(made, fold="all")


def test_files_name_one_module_of_ours() -> None:
    made = settled()
    assert made[0]._winograd.budget is not None
    assert made[0]._winograd.folding is not None
    assert names(made) == OURS
    assert names(winograd.conversion_report(made)) < OURS


@pytest.mark.parametrize("name", CLASSES)
def test_files_of_built_layers_do(name: str) -> None:
    sizes = (8, 3) if name.startswith("Lazy") else (4, 8, 3)
    layer = getattr(winograd.nn, name)(*sizes, tolerance=1e-6)
    assert names(layer) == OURS
    for twin in (pickle.loads(pickle.dumps(layer, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)):
        assert type(twin) is type(layer)
        assert twin.tolerance == 1e-6


@pytest.mark.parametrize(
    ("of", "method"),
    [(LayerState, "__reduce__"), (Folding, "__reduce__"), (PlannedConvolution, "__reduce_ex__")],
)
def test_another_name_in_a_file_is_noticed(of: type, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = settled()
    monkeypatch.delattr(of, method)
    with pytest.raises((AssertionError, pickle.PicklingError, TypeError)):
        assert names(made) == OURS


def test_every_word_stands_for_something() -> None:
    for word, home in recipes.HOMES.items():
        first, *more = word.split(".")
        assert getattr(importlib.import_module(home), first).__module__ == home
        assert callable(recipes.found(word)), more


def test_files_of_before_are_read() -> None:
    state = pickle.loads(STATE)
    assert (state.tolerance, state.original, state.workspace_cap) == (1e-6, nn.Conv3d, 2**20)
    assert state.filters.value == "frozen"
    assert state.algorithm == winograd.toom_cook(1, 1)
    assert pickle.loads(pickle.dumps(state)).algorithm == state.algorithm


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_what_a_file_holds_comes_back(again: Callable[[Any], Any]) -> None:
    made = settled()
    twin = again(made)
    for layer, other in zip(made, twin, strict=True):
        assert type(layer) is type(other)
        if isinstance(layer, PlannedConvolution):
            ours, theirs = layer._winograd, other._winograd
            assert (ours.tolerance, ours.algorithm, ours.filters) == (
                theirs.tolerance,
                theirs.algorithm,
                theirs.filters,
            )
            assert (ours.folds, ours.budget, ours.tuning) == (theirs.folds, theirs.budget, theirs.tuning)
    assert winograd.conversion_report(twin).budget == winograd.conversion_report(made).budget
    assert repr(twin[5].algorithm) == repr(FORCED)
    with torch.no_grad():
        clip = torch.ones(1, 4, 7, 7, 7)
        assert torch.equal(twin(clip), made(clip))


@pytest.mark.parametrize("algorithm", ["direct", "no word", 5])
def test_what_is_no_algorithm_is_kept_and_refused_by_the_forward(algorithm: Any) -> None:
    layer = copy.deepcopy(winograd.nn.Conv1d(2, 2, 3, algorithm=algorithm))
    assert layer.algorithm == algorithm


def test_graphs_name_the_module_of_their_function() -> None:
    layers = winograd.convert(nn.Sequential(Conv3DSimple(4, 4), nn.Conv3d(4, 4, 3)))
    for layer in layers:
        layer._winograd.change(algorithm=FORCED)
    file = pickle.dumps(fx.symbolic_trace(layers))
    assert names(fx.symbolic_trace(layers)) <= OURS
    assert b"from winograd.nn.traced import convolution" in file
