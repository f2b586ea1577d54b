"""Bad input and odd models: the error names what is wrong, and the model is as it was before."""

from __future__ import annotations

import copy
import gc
import random
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import winograd
from tests.nn.conversion.arrangements import Twice
from tests.nn.conversion.citizens import C, clip, conv
from tests.nn.conversion.laws import assert_close, assert_equal, force, planned, snapshot
from winograd.nn.modules import PlannedConvolution


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(conv(), nn.BatchNorm3d(C), nn.Dropout(0.5), nn.Sequential(conv(), nn.ReLU()), conv()).double()


def interrupt(*_: Any) -> Any:
    raise KeyboardInterrupt


# Models without anything to convert.

NOTHING: dict[str, Callable[[], tuple[nn.Module, dict[str, Any]]]] = {
    "no layer": lambda: (nn.Sequential(), {}),
    "no convolution": lambda: (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm3d(2)), {}),
    "all left out": lambda: (network(), {"filter_fn": lambda *_: False}),
    "none that can be": lambda: (nn.Sequential(exchanged()), {}),
    "a recurrent cell": lambda: (nn.LSTM(2, 2), {}),
}


def exchanged() -> nn.Module:
    layer = conv()
    layer._conv_forward = lambda *tensors: tensors[0]
    return layer


@pytest.mark.parametrize("name", NOTHING)
def test_a_model_with_nothing_to_convert_is_left_alone_with_a_warning(name: str) -> None:
    model, options = NOTHING[name]()
    before = snapshot(model)
    with pytest.warns(UserWarning, match="no convolution was converted"):
        report = winograd.convert_(model, **options)
    assert report.converted == 0
    assert snapshot(model) == before
    assert str(report)
    assert report.to_json()
    for undo in (winograd.revert_, winograd.thaw):
        assert undo(model) is model
    assert snapshot(model) == before
    with warnings.catch_warnings(action="error"), pytest.raises(UserWarning, match="no convolution"):
        winograd.convert_(model, **options)
    assert snapshot(model) == before


# Errors before anything changes.

REFUSED: dict[str, tuple[dict[str, Any], type[BaseException], str | None]] = {
    "a tolerance of 0": ({"tolerance": 0}, ValueError, "tolerance"),
    "a negative tolerance": ({"tolerance": -1e-5}, ValueError, "tolerance"),
    "a tolerance that is no number": ({"tolerance": float("nan")}, ValueError, "tolerance"),
    "a tolerance as text": ({"tolerance": "1e-5"}, TypeError, "tolerance"),
    "a tolerance that is true": ({"tolerance": True}, TypeError, "tolerance"),
    "a tolerance of no layer": ({"tolerance": {"3.1": 1e-5}}, ValueError, "3.1"),
    "a wrong tolerance of a layer": ({"tolerance": {"3.0": -1}}, ValueError, "3.0"),
    "a wrong tolerance by a function": ({"tolerance": lambda _, name: "x" if name == "4" else 1e-5}, TypeError, "4"),
    "a function of tolerances that fails": ({"tolerance": interrupt}, KeyboardInterrupt, None),
    "a filter that fails": ({"filter_fn": interrupt}, KeyboardInterrupt, None),
    "a filter that fails late": ({"filter_fn": lambda _, name: name != "4" or interrupt()}, KeyboardInterrupt, None),
    "a cap of 0": ({"workspace_cap": 0}, ValueError, "workspace"),
    "a cap that is no integer": ({"filter_cap": 1.5}, TypeError, "filter"),
    "another tuning": ({"tuning": "best"}, ValueError, "tuning"),
    "an output tolerance alone": ({"output_tolerance": 1e-5}, ValueError, "example"),
    "shapes of no layer": ({"shapes": {"7": (1, C, 4, 4, 4)}}, ValueError, "7"),
    "a shape of other axes": ({"shapes": {"0": (1, 2)}}, ValueError, "0"),
    "a shape of other channels": ({"shapes": {"0": (1, C, 4, 4, 4), "4": (1, 9, 4, 4, 4)}}, ValueError, "4"),
    "an example of other channels": ({"example": clip(1, C + 1, 3, 4, 4)}, RuntimeError, "channels"),
    "an example of another dtype": ({"example": clip().float()}, RuntimeError, None),
    "too many examples": ({"example": (clip(), clip())}, TypeError, "argument"),
    "examples by a wrong name": ({"example": {"picture": clip()}}, TypeError, "picture"),
}


@pytest.mark.parametrize("state", ["plain", "converted", "frozen"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_changes_nothing(name: str, state: str) -> None:
    options, error, words = REFUSED[name]
    model = network().eval()
    if state != "plain":
        winograd.convert_(model, 1e-4, lambda _, name: name != "3.0")
        force(model)
    if state == "frozen":
        winograd.freeze(model, fold="all")
        with torch.no_grad():
            model(clip())
    model.train()
    before, settings = snapshot(model), settings_of(model)
    with pytest.raises(error, match=words):
        winograd.convert_(model, **options)
    assert snapshot(model) == before
    assert settings_of(model) == settings


def settings_of(model: nn.Module) -> list[tuple[object, ...]]:
    states = [vars(module)["_winograd"] for module in model.modules() if isinstance(module, PlannedConvolution)]
    facts = [(one.tolerance, one.algorithm, one.original, one.filters, one.workspace_cap) for one in states]
    return [(*fact, one.plans, one.folds, one.tuning) for fact, one in zip(facts, states, strict=True)]


@pytest.mark.parametrize("function", [winograd.convert_, winograd.convert])
@pytest.mark.parametrize("model", ["c3d", None, nn.Conv3d, torch.zeros(2), [conv()]])
def test_what_is_no_model_is_refused(model: Any, function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=r"must be a torch\.nn\.Module"):
        function(model)


class Interrupting(nn.Module):
    """A user loses patience when the last layer has run."""

    def forward(self, input: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            raise KeyboardInterrupt
        return input


def test_an_example_that_is_interrupted_changes_nothing() -> None:
    model = nn.Sequential(network(), Interrupting())
    before = snapshot(model)
    with pytest.raises(KeyboardInterrupt):
        winograd.convert_(model, example=clip())
    assert snapshot(model) == before


# What an example leaves behind.


class Counting(nn.Module):
    """Changes all that a forward can change of its module."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.seen, self.table = 0, [], {"last": None}
        self.register_buffer("sum", torch.zeros(1, dtype=torch.float64))
        self.register_buffer("replaced", torch.zeros(1, dtype=torch.float64))

    def forward(self, input: Tensor) -> Tensor:
        self.calls += 1
        self.seen.append(self.calls)
        self.table["last"] = self.calls
        self.new = input
        self.sum += input.mean()
        self.replaced = input.mean().reshape(1)
        return input + 0 * torch.rand(1) + 0 * random.random() + 0 * np.random.rand()  # noqa: NPY002


def test_an_example_leaves_the_model_and_the_world_as_they_were() -> None:
    model = nn.Sequential(network(), Counting())
    model.train()
    model[0][3].eval()
    before, attributes = snapshot(model), copy.deepcopy([vars(model[1])[name] for name in ("calls", "seen", "table")])
    worlds = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy(), torch.is_grad_enabled())  # noqa: NPY002
    report = winograd.convert_(model, example=(clip(),))
    assert {len(layer.plans) for layer in report.layers} == {1}
    assert torch.equal(torch.get_rng_state(), worlds[0])
    assert (random.getstate(), torch.is_grad_enabled()) == (worlds[1], worlds[3])
    assert (np.random.get_state()[1] == worlds[2]).all()  # noqa: NPY002
    winograd.revert_(model)
    assert snapshot(model) == before
    assert [vars(model[1])[name] for name in ("calls", "seen", "table")] == attributes
    assert not hasattr(model[1], "new")


def test_lazy_layers_stay_lazy_after_an_example() -> None:
    model = nn.Sequential(nn.LazyConv3d(C, 3, padding=1), nn.LazyBatchNorm3d(), nn.Conv3d(C, C, 3)).double()
    winograd.convert_(model, example=clip())
    assert model[0].has_uninitialized_params()
    model(clip())
    winograd.revert_(model)
    assert [type(one) for one in model] == [nn.Conv3d, nn.BatchNorm3d, nn.Conv3d]


# Again and back.


def test_converting_and_reverting_are_idempotent_in_parts_and_as_a_whole() -> None:
    model = network()
    before, expected = snapshot(model), model.eval()(clip())
    model.train()
    winograd.convert_(model[3])
    assert planned(model) == ["3.0"]
    layer = model[3][0]
    layer._winograd.change(algorithm=None)
    for _ in range(2):
        winograd.convert_(model)
        assert planned(model) == ["0", "3.0", "4"]
    winograd.revert_(model[3])
    assert planned(model) == ["0", "4"]
    for _ in range(2):
        winograd.revert_(model)
        assert snapshot(model) == before
    assert_equal(model.eval()(clip()), expected)


def test_a_layer_of_two_models_is_one_layer() -> None:
    shared = conv().double()
    first, second = nn.Sequential(shared, conv().double()), nn.Sequential(nn.ReLU(), shared)
    winograd.convert_(first, 1e-4)
    report = winograd.convert_(second, 1e-5)
    assert (planned(second), shared.tolerance, report.converted) == (["1"], 1e-5, 1)
    winograd.revert_(second)
    assert planned(first) == ["1"]
    winograd.revert_(first)
    assert type(shared) is nn.Conv3d


def test_ties_outlive_all_that_is_done_to_them() -> None:
    model = Twice().double().eval()
    expected = model(clip())
    winograd.convert_(model, {"again": 1e-5})
    force(model)
    assert model.first.tolerance == 1e-5
    for change in (lambda one: one, winograd.freeze, copy.deepcopy, lambda one: one.float().double(), winograd.revert_):
        model = change(model)
        assert model.first is model.again is model.rest[0]
        assert model.rest[1].weight is model.first.weight
    winograd.convert_(model)
    with pytest.raises(ValueError, match="same layer"):
        winograd.convert_(model, {"first": 1e-5, "again": 1e-6})
    assert_close(model(clip()).float(), expected.float())  # whose weights were rounded to float32


def test_an_optimizer_goes_on() -> None:
    models = [network(), network()]
    optimizers = [torch.optim.SGD(one.parameters(), lr=0.1, momentum=0.9) for one in models]
    for step in range(4):
        for model, optimizer in zip(models, optimizers, strict=True):
            if model is models[0]:
                (winograd.revert_ if step % 2 else winograd.convert_)(model)
                force(model)
            torch.manual_seed(step)
            model(clip()).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    for ours, torchs in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert_close(ours.detach(), torchs.detach())


@pytest.mark.parametrize("wrong", ["a missing key", "a key too many", "another shape"])
def test_wrong_checkpoints_are_refused_in_torchs_words(wrong: str) -> None:
    plain, model = network(), network()
    winograd.convert_(model)
    state = copy.deepcopy(plain.state_dict())
    if wrong == "a missing key":
        del state["0.weight"]
    else:
        state["more" if wrong == "a key too many" else "0.weight"] = torch.zeros(1)
    words = []
    for one in (plain, model):
        with pytest.raises(RuntimeError) as caught:
            one.load_state_dict(state)
        words.append(str(caught.value))
    assert words[0] == words[1]


def test_a_copy_is_converted_and_the_model_is_not() -> None:
    model = network().eval()
    before = snapshot(model)
    twin = winograd.convert(model, 1e-4, lambda _, name: name != "4")
    assert snapshot(model) == before
    assert planned(twin) == ["0", "3.0"]
    assert winograd.nn.conversion_report(twin).converted == 2
    assert winograd.nn.conversion_report(model).converted == 0
    assert {id(one) for one in model.modules()}.isdisjoint(id(one) for one in twin.modules())
    again = winograd.convert(twin)
    assert planned(again) == ["0", "3.0", "4"]
    assert planned(twin) == ["0", "3.0"]
    assert_close(again(clip()), model(clip()))


def test_an_impossible_tolerance_leaves_layers_to_torch_bit_for_bit_and_the_report_says_so() -> None:
    model = network().eval()
    expected = model(clip())
    report = winograd.convert_(model, 1e-30, example=clip())
    assert_equal(model(clip()), expected)
    assert {row.algorithm for row in report.rows} == {"direct"}


def test_a_model_that_is_gone_is_freed_and_its_report_stays_readable() -> None:
    model = network().eval()
    report = winograd.convert_(model, example=clip())
    winograd.freeze(model, fold="all")
    with torch.no_grad():
        model(clip())
    gone = weakref.ref(model[0])
    del model
    gc.collect()
    assert gone() is None
    assert len(report.rows) == 3
    assert "direct" in str(report)
    assert report.to_json()


def test_a_change_that_stays_is_noticed() -> None:
    model = network()
    before = snapshot(model)
    for change in (
        lambda: model[1].running_mean.add_(1e-12),
        lambda: model[0].train(not model[0].training),
        lambda: model[0].bias.requires_grad_(False),
        lambda: setattr(model[4], "note", 1),
        lambda: model[4].register_forward_hook(print),
    ):
        change()
        assert snapshot(model) != before
        before = snapshot(model)
