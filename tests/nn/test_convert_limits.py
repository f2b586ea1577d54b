"""Limits on memory: of one conversion, of the process, in plans and in reports."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

import winograd
from winograd.conv.choosing.selection import Filters
from winograd.conv.gradient import run as gradients
from winograd.conv.limits import set_memory_limits
from winograd.conv.plan.record import Backend


def test_caps_reach_the_plans_of_every_layer_and_the_report() -> None:
    model = nn.Sequential(nn.Conv3d(64, 64, 3, padding=1), nn.Conv3d(64, 64, 3, padding=1))
    report = winograd.convert_(model, workspace_cap=1 << 20, filter_cap=1 << 20)
    winograd.freeze(model)
    with torch.inference_mode():
        model(torch.zeros(1, 64, 8, 32, 32))
    for layer, row in zip(model, report.rows, strict=True):
        plan = layer.plans[0]
        assert plan.backend is Backend.NATIVE
        assert plan.workspace_bytes == row.workspace_bytes <= 1 << 20
        assert row.schedule == plan.schedule_label != ""
        assert (layer._winograd.packed_bytes > 0) == (plan.filters is Filters.FROZEN)
        assert layer._winograd.packed_bytes <= 1 << 20
        assert "above the cap" in plan.reason


def test_caps_reach_the_plans_of_gradients_when_planned_and_when_run(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = torch.nn.Sequential(torch.nn.Conv3d(64, 64, 3, padding=1))
    winograd.convert_(layer, workspace_cap=4 << 20, filter_cap=8 << 20)
    made = []
    plan = gradients.runnable_gradient_plan
    monkeypatch.setattr(gradients, "runnable_gradient_plan", lambda *a, **k: made.append(plan(*a, **k)) or made[-1])
    layer(torch.randn(2, 64, 8, 28, 28, requires_grad=True)).sum().backward()
    assert [one.wanted.value for one in made] == ["input", "weight"]
    assert tuple(made) == layer[0].gradient_plans
    assert all(one.workspace_bytes <= 4 << 20 and one.filter_bytes <= 8 << 20 for one in made)
    unlimited = torch.nn.Sequential(torch.nn.Conv3d(64, 64, 3, padding=1))
    winograd.convert_(unlimited)
    unlimited(torch.randn(2, 64, 8, 28, 28, requires_grad=True))
    assert max(one.workspace_bytes for one in unlimited[0].gradient_plans) > 4 << 20


def test_caps_survive_copies_and_change_with_the_next_conversion() -> None:
    layer = nn.Conv3d(64, 64, 3, padding=1)
    winograd.convert_(layer, workspace_cap=1 << 20)
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert (copied._winograd.workspace_cap, copied._winograd.filter_cap) == (1 << 20, None)
    winograd.convert_(layer, filter_cap=5)
    assert (layer._winograd.workspace_cap, layer._winograd.filter_cap) == (None, 5)


def test_caps_that_are_none_are_refused_before_anything_changes() -> None:
    layer = nn.Conv3d(4, 4, 3)
    for caps in ({"workspace_cap": 0}, {"filter_cap": -1}):
        with pytest.raises(ValueError, match="must be at least 1"):
            winograd.convert_(layer, **caps)
    assert type(layer) is nn.Conv3d


def test_limits_of_the_process_make_layers_plan_anew() -> None:
    layer = nn.Conv3d(64, 64, 3, padding=1)
    winograd.convert_(layer)
    winograd.freeze(layer)
    x = torch.zeros(1, 64, 8, 32, 32)
    with torch.inference_mode():
        layer(x)
        with set_memory_limits(workspace=1 << 20):
            layer(x)
        layer(x)
    free, limited = layer.plans
    assert limited.workspace_bytes <= 1 << 20
    assert free.workspace_bytes >= limited.workspace_bytes
