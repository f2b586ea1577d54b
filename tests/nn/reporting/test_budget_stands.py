"""A budget of the output is in reports while the tolerances that it speaks of are those of the layers."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import winograd
from winograd.nn import ConversionReport, conversion_report, freeze, revert_, thaw
from winograd.nn.modules import PlannedConvolution

Change = Callable[[nn.Sequential], object]


def clip() -> Tensor:
    return torch.randn(1, 3, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def budgeted() -> tuple[nn.Sequential, ConversionReport]:
    built = winograd.nn.Conv3d(4, 4, 1, tolerance=1e-6)
    model = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 4, 3), built).eval()
    return model, winograd.convert_(model, output_tolerance=1e-5, example=clip())


def layer(model: nn.Sequential, place: int) -> PlannedConvolution:
    found = model[place]
    assert isinstance(found, PlannedConvolution)
    return found


def force_direct(model: nn.Sequential) -> None:
    layer(model, 2)._winograd.change(algorithm="direct")


def loosen(model: nn.Sequential) -> None:
    layer(model, 2).tolerance = 0.1


def loosen_what_was_built(model: nn.Sequential) -> None:
    layer(model, 3).tolerance = 0.1


CHANGES: list[Change] = [
    loosen,
    loosen_what_was_built,
    force_direct,
    lambda model: winograd.convert_(model, tolerance=0.1, example=clip()),
    lambda model: winograd.convert_(model, tolerance=0.1, filter_fn=lambda _, name: name == "3"),
    lambda model: winograd.convert_(model[2:], tolerance=0.1),
    lambda model: revert_(model[2]),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_budget_is_gone_when_a_layer_is_changed(change: Change) -> None:
    model, report = budgeted()
    change(model)
    assert report.budget is None
    assert conversion_report(model).budget is None
    assert conversion_report(pickle.loads(pickle.dumps(model))).budget is None
    assert "output tolerance" not in str(report) + report.to_html()


KEEPS: list[Change] = [freeze, lambda model: thaw(freeze(model)), lambda model: model(clip()), nn.Module.train]


@pytest.mark.parametrize("use", KEEPS)
def test_a_budget_stays_while_the_model_is_used(use: Change) -> None:
    model, report = budgeted()
    budget = report.budget
    assert budget is not None
    use(model)
    assert report.budget == conversion_report(copy.deepcopy(model)).budget == budget
    read = ConversionReport.from_json(report.to_json())
    loosen(model)
    assert report.budget is None
    assert read.budget == budget


def test_a_report_of_a_model_that_was_turned_back_keeps_its_budget() -> None:
    model, report = budgeted()
    budget = report.budget
    revert_(model)
    assert report.budget == budget is not None
    assert conversion_report(model).budget is None


def test_a_conversion_that_fails_keeps_the_budget() -> None:
    model, report = budgeted()
    budget = report.budget
    with pytest.raises(RuntimeError):
        winograd.convert_(model, tolerance=0.1, example=clip()[:, :2])
    assert report.budget == budget is not None


def test_the_budget_of_a_later_conversion_takes_the_place() -> None:
    model, report = budgeted()
    later = winograd.convert_(model, output_tolerance=1e-3, filter_fn=lambda _, name: name == "2", example=clip())
    assert report.budget == later.budget is not None
    assert list(later.budget.tolerances) == ["2"]
