"""What a budget covers: layers built as planned ones, names of the model that was given, tuning by measuring."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import winograd
from tests.nn.budget.restless import CLIP, met, net
from winograd.conv.running.runnable import runnable_plan
from winograd.nn import convolving
from winograd.nn.modules import PlannedConvolution


def test_layers_that_were_built_as_planned_ones_keep_theirs_and_the_output_is_measured() -> None:
    model = nn.Sequential(winograd.nn.Conv3d(3, 32, 3, padding=1), winograd.nn.Conv3d(32, 32, 3, tolerance=0.1)).eval()
    budget = met(model, 1e-9)
    assert not budget.is_met
    assert budget.measured_error > 1e-9
    assert budget.layers == ()
    assert budget.reason.startswith("no layer has a choice: those built as planned ones keep their tolerances")
    assert model[1].tolerance == 0.1
    assert met(model, 0.2).is_met


def test_names_are_those_of_the_model_that_was_given() -> None:
    model = nn.DataParallel(net())
    budget = met(model, 1e-5)
    assert list(budget.tolerances) == ["module.0", "module.3"]
    winograd.convert_(model, tolerance=budget.tolerances)
    layer = model.module[3]
    assert isinstance(layer, PlannedConvolution)
    assert layer.tolerance == budget.tolerances["module.3"]


def test_candidates_are_timed_for_what_was_chosen_only(monkeypatch: pytest.MonkeyPatch) -> None:
    tuned = []

    def tune(shape: Any, **more: Any) -> Any:
        tuned.append(more["tolerance"])
        return runnable_plan(shape, algorithm=None, obstacle=None, **more)

    monkeypatch.setattr(convolving, "tuned_plan", tune)
    model = net()
    budget = winograd.convert_(model, output_tolerance=1e-5, example=CLIP, tuning="measure").budget
    assert budget is not None
    assert sorted(set(tuned)) == sorted(set(budget.tolerances.values()))
    assert len(tuned) <= 3 * len(budget.layers)  # with weights kept, without, and for the report


def test_a_budget_speaks_of_frozen_layers_and_says_so() -> None:
    model = net()
    budget = met(model, 1e-3)
    winograd.freeze(model)
    with torch.no_grad():
        model(CLIP)
    plans = [layer.plans[-1] for layer in model if isinstance(layer, PlannedConvolution)]
    assert [share.algorithm for share in budget.layers] == [plan.algorithm_label for plan in plans]
    assert [share.milliseconds for share in budget.layers] == [plan.predicted_ms for plan in plans]
    assert "; layers, once frozen, " in budget.summary
