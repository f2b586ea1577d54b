"""Models of every kind: converted or skipped with the reason, right, as before to everybody else, and turned back."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import winograd
from tests.nn.conversion import arrangements, forwards, subclasses, weights
from tests.nn.conversion.citizens import Citizen
from tests.nn.conversion.laws import (
    assert_close,
    assert_equal,
    assert_gradients_close,
    force,
    kinds,
    leaves,
    planned,
    snapshot,
)

KINDS = subclasses.KINDS | forwards.KINDS | weights.KINDS | arrangements.KINDS

every_kind = pytest.mark.parametrize("kind", KINDS)


def saved(model: nn.Module) -> nn.Module:
    stream = io.BytesIO()
    torch.save(model, stream)
    stream.seek(0)
    loaded: nn.Module = torch.load(stream, weights_only=False)
    return loaded


COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "torch.save": saved,
}


def converted(kind: str) -> Citizen:
    citizen = KINDS[kind]()
    winograd.convert_(citizen.model)
    force(citizen.model)
    return citizen


@every_kind
def test_each_layer_is_converted_or_skipped_with_its_reason(kind: str) -> None:
    citizen = KINDS[kind]()
    report = winograd.convert_(citizen.model)
    assert planned(citizen.model) == citizen.converted
    reasons = {layer.name: layer.reason for layer in report.layers}
    assert {name for name, reason in reasons.items() if not reason} == set(citizen.converted)
    assert {name for name, reason in reasons.items() if reason} == set(citizen.skipped)
    for name, words in citizen.skipped.items():
        assert words in reasons[name]
    assert (report.converted, report.skipped) == (len(citizen.converted), len(citizen.skipped))


@every_kind
def test_outputs_keep_the_tolerance_and_reverting_restores_every_bit(kind: str) -> None:
    citizen = KINDS[kind]()
    model, arguments = citizen.model, citizen.arguments
    with torch.no_grad():
        model(*arguments)  # what a forward leaves behind in the model is there
        before, expected = snapshot(model), model(*arguments)
        winograd.convert_(model)
        assert_close(model(*arguments), expected)
        force(model)
        for prepare in (lambda model: model, winograd.freeze, winograd.thaw):
            assert_close(prepare(model)(*arguments), expected)
        assert winograd.revert_(model) is model
        assert_equal(model(*arguments), expected)
        assert snapshot(model) == before


@every_kind
def test_winograd_computes_it(kind: str) -> None:
    citizen = converted(kind)
    citizen.model(*citizen.arguments)
    layers = [citizen.model.get_submodule(name) for name in citizen.converted]
    assert any(plan.algorithm is not None for layer in layers for plan in layer.plans)


@every_kind
def test_checkpoints_pass_both_ways(kind: str) -> None:
    plain, citizen = KINDS[kind](), converted(kind)
    winograd.freeze(citizen.model)
    with torch.no_grad():
        citizen.model(*citizen.arguments)
        state = citizen.model.state_dict()
        assert list(state) == list(plain.model.state_dict())
        assert state._metadata == plain.model.state_dict()._metadata  # type: ignore[attr-defined]
        assert [name for name, _ in citizen.model.named_parameters()] == [n for n, _ in plain.model.named_parameters()]
        for parameter in plain.model.parameters():
            parameter.mul_(1.5)
        citizen.model.load_state_dict(plain.model.state_dict(), strict=True)
        assert_close(citizen.model(*citizen.arguments), plain.model(*citizen.arguments))
        KINDS[kind]().model.load_state_dict(citizen.model.state_dict(), strict=True)


@every_kind
@pytest.mark.parametrize("way", COPIES)
def test_copies_are_converted_models_of_their_own(kind: str, way: str) -> None:
    plain, citizen = KINDS[kind](), converted(kind)
    with torch.no_grad():
        expected = plain.model(*plain.arguments)
        citizen.model(*citizen.arguments)  # weights that hooks computed with a gradient cannot be copied
    try:
        COPIES[way](plain.model)
    except Exception as error:  # what torch cannot copy
        with pytest.raises(type(error)):
            COPIES[way](citizen.model)
        return
    twin = COPIES[way](citizen.model)
    assert planned(twin) == citizen.converted
    with torch.no_grad():
        assert_close(twin(*citizen.arguments), expected)
    winograd.revert_(twin)
    assert kinds(twin) == kinds(KINDS[kind]().model)
    assert_close(twin(*citizen.arguments), expected)
    assert planned(citizen.model) == citizen.converted


@every_kind
def test_gradients_are_those_of_the_plain_model(kind: str) -> None:
    plain, citizen = KINDS[kind](), converted(kind)
    for one in (plain, citizen):
        one.model.train()
        sum(leaf.square().sum() for leaf in leaves(one.model(*one.arguments))).backward()
    assert_gradients_close(citizen.model, plain.model)
    for ours, torchs in zip(citizen.model.buffers(), plain.model.buffers(), strict=True):
        assert_close(ours, torchs)


@every_kind
def test_dtypes_are_followed(kind: str) -> None:
    plain, citizen = KINDS[kind](), converted(kind)
    winograd.freeze(citizen.model)
    for dtype in (torch.float32, torch.float64):
        with torch.no_grad():
            arguments = [one.to(dtype) for one in citizen.arguments]
            assert_close(citizen.model.to(dtype)(*arguments), plain.model.to(dtype)(*arguments))


def test_a_layer_that_computes_something_else_is_noticed() -> None:
    citizen = converted("residual blocks")
    expected = KINDS["residual blocks"]().model(*citizen.arguments)
    with warnings.catch_warnings(), torch.no_grad():
        next(citizen.model.parameters()).mul_(1 + 1e-9)
        with pytest.raises(AssertionError):
            assert_close(citizen.model(*citizen.arguments), expected)


def test_a_converted_layer_makes_others_of_its_class() -> None:
    citizen = converted("a layer that makes another one")
    other = citizen.model[0].grown(7).double()
    assert_close(other(*citizen.arguments), nn.functional.conv3d(*citizen.arguments, *other.parameters(), padding=1))
    twin = copy.deepcopy(other)
    assert_close(twin(*citizen.arguments), other(*citizen.arguments))
