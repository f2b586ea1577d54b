from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import winograd
from winograd.networks import initialise_he
from winograd.nn.budget import OutputBudget, meet, search
from winograd.nn.budget.front import Option
from winograd.nn.budget.trial import Trial
from winograd.nn.depth import relative_l2
from winograd.nn.modules import PlannedConvolution

ALLOWED = 1.2e-6


class Small(nn.Module):
    """Large enough that the second and third convolutions are worth Winograd; one is called twice, one never."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 64, 3, padding=1)
        self.conv2 = nn.Conv3d(64, 64, 3, padding=1)
        self.conv3 = nn.Conv3d(64, 64, 3, padding=1)
        self.unused = nn.Conv3d(64, 64, 3, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(64, 64)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.conv2(self.conv1(x).relu()).relu()
        x = self.dropout(self.conv3(self.conv3(x).relu()).relu())
        return {"scores": self.head(x.mean(dim=(2, 3, 4))), "largest": x.amax(dim=(2, 3, 4))}


def clip(seed: int) -> Tensor:
    return torch.randn(1, 3, 8, 16, 16, generator=torch.Generator().manual_seed(seed))


def small() -> Small:
    return initialise_he(Small(), seed=0)


def converted(allowed: float, **more: Any) -> tuple[Small, OutputBudget]:
    model = small()
    report = winograd.convert_(model, output_tolerance=allowed, example=clip(0), **more)
    assert isinstance(report.budget, OutputBudget)
    return model, report.budget


def errors(model: nn.Module, seed: int) -> list[float]:
    """Return the errors of both outputs for a clip, frozen, against the model as it was before, in float64."""
    model, exact = winograd.freeze(model.eval()), small().double().eval()
    with torch.no_grad():
        ours, wide = model(clip(seed)), exact(clip(seed).double())
    return [relative_l2(ours[name], wide[name]) for name in wide]


@pytest.fixture(scope="module")
def met() -> tuple[Small, OutputBudget]:
    return converted(ALLOWED)


def test_the_error_of_the_output_is_below_the_figure_on_the_example_and_on_other_clips(
    met: tuple[Small, OutputBudget],
) -> None:
    model, budget = met
    assert budget.is_met
    assert budget.measured_error <= ALLOWED / budget.margin
    assert not budget.reason
    assert all(max(errors(model, seed)) <= ALLOWED for seed in range(4))
    assert max(errors(model, 0)) == budget.measured_error  # the plans of frozen layers are those that were tried


def test_layers_get_tolerances_that_their_plans_keep(met: tuple[Small, OutputBudget]) -> None:
    model, budget = met
    assert list(budget.tolerances) == ["conv1", "conv2", "conv3", "unused"]
    assert any(share.predicted_error > 3e-7 for share in budget.layers)
    for share in budget.layers:
        layer = model.get_submodule(share.layer)
        assert isinstance(layer, PlannedConvolution)
        assert layer.tolerance == share.tolerance
        assert share.predicted_error <= share.tolerance


def test_what_was_expected_of_the_output_is_what_is_measured(met: tuple[Small, OutputBudget]) -> None:
    """Errors of layers are measured by single draws, 4 of them in squares: a factor of 2 is far outside of chance."""
    _, budget = met
    assert budget.predicted_error / 2 < budget.measured_error < budget.predicted_error * 2


def test_layers_that_are_not_called_get_the_least_tolerance(met: tuple[Small, OutputBudget]) -> None:
    _, budget = met
    unused = budget.layers[-1]
    assert unused.note == "the example leads to no plan of it"
    assert unused.tolerance == min(share.tolerance for share in budget.layers[:-1])


def test_the_model_is_otherwise_as_it_was(met: tuple[Small, OutputBudget]) -> None:
    model, plain = small(), small()
    state = torch.get_rng_state()
    winograd.convert_(model, output_tolerance=1e-3, example=clip(0))
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert model.conv1.algorithm is None
    for name, tensor in plain.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor)
    assert not any(module._forward_hooks for module in model.modules())
    winograd.revert_(model)
    assert type(model.conv2) is nn.Conv3d
    assert met[1].tolerances  # the budget outlives its model


def test_more_error_costs_no_more_time(met: tuple[Small, OutputBudget]) -> None:
    _, loose = converted(1e-3)
    assert loose.is_met
    assert loose.milliseconds < met[1].milliseconds < met[1].direct_ms
    assert loose.measured_error > met[1].measured_error


def test_an_impossible_figure_leaves_all_layers_direct_and_says_so() -> None:
    model, budget = converted(1e-12)
    assert not budget.is_met
    assert budget.reason.startswith("no choice keeps the output within the tolerance")
    assert "NOT met" in str(budget)
    assert {share.algorithm for share in budget.layers} <= {"direct", "-"}
    winograd.freeze(model.eval())
    with torch.no_grad():
        model(clip(1))
    assert all(plan.algorithm is None for name in ("conv1", "conv2", "conv3") for plan in getattr(model, name).plans)


def test_a_tolerance_beside_it_is_the_largest_of_a_layer() -> None:
    _, budget = converted(1e-3, tolerance={"conv2": 2e-6})
    assert budget.is_met
    assert budget.tolerances["conv2"] <= 2e-6
    assert budget.tolerances["conv3"] > 2e-6


def test_a_search_that_does_not_correct_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers that seem fifty times more exact than they are: trials tell, and correct; without them the law falls."""
    compare = Trial.compare
    monkeypatch.setattr(
        Trial,
        "compare",
        lambda self, tolerances: {
            name: replace(errors, winograd=errors.winograd / 50) for name, errors in compare(self, tolerances).items()
        },
    )
    _, corrected = converted(2e-6)
    assert corrected.runs > 1
    assert corrected.is_met
    monkeypatch.setattr(Trial, "error", lambda *_: 0.0)
    model, _ = converted(2e-6)
    assert max(errors(model, 0)) > 2e-6


class Transposed(nn.Module):
    """Two layers that are called with named arguments; the transposed one may be worth Winograd or not."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv3d(64, 64, 3, padding=1)
        self.up = nn.ConvTranspose3d(64, 64, 3, stride=1, padding=1)

    def forward(self, *, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.up(input=self.down(input=x).relu())
        return y, y.mean(dim=1)


def test_transposed_layers_have_plans_of_their_own() -> None:
    model = initialise_he(Transposed(), seed=0)
    example = {"x": torch.randn(1, 64, 8, 16, 16, generator=torch.Generator().manual_seed(0))}
    report = winograd.convert_(model, output_tolerance=1e-3, example=example)
    assert report.budget is not None
    assert report.budget.is_met
    winograd.freeze(model.eval())
    with torch.no_grad():
        model(**example)
    for share, layer in zip(report.budget.layers, (model.down, model.up), strict=True):
        assert isinstance(layer, PlannedConvolution)
        assert [plan.algorithm_label for plan in layer.plans] == [share.algorithm]


def test_16_bits_count_with_their_rounding() -> None:
    model = small().bfloat16()
    budget = winograd.convert_(model, output_tolerance=0.05, example=clip(0).bfloat16()).budget
    assert budget is not None
    assert budget.is_met
    assert budget.direct_error > 1e-3
    assert any(share.predicted_error > 0 for share in budget.layers)
    assert all(share.correction is None or share.correction < 2 for share in budget.layers)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan])
def test_wrong_figures_are_refused_and_nothing_is_converted(wrong: float) -> None:
    model = small()
    with pytest.raises(ValueError, match="output_tolerance is"):
        winograd.convert_(model, output_tolerance=wrong, example=clip(0))
    assert type(model.conv1) is nn.Conv3d


def test_a_wrong_margin_is_refused() -> None:
    model = small()
    winograd.convert_(model)
    with pytest.raises(ValueError, match=r"margin is 0\.5, must be at least 1"):
        meet.meet_output_tolerance(model, {}, 1e-5, clip(0), margin=0.5)


def test_without_an_output_nothing_is_converted() -> None:
    class Silent(Small):
        def forward(self, x: Tensor) -> None:  # type: ignore[override]
            super().forward(x)

    model = Silent()
    with pytest.raises(ValueError, match="no floating tensor"):
        winograd.convert_(model, output_tolerance=1e-5, example=clip(0))
    assert type(model.conv1) is nn.Conv3d


def test_a_budget_comes_back_from_json(met: tuple[Small, OutputBudget]) -> None:
    _, budget = met
    figures = json.loads(budget.to_json())
    assert OutputBudget.from_dict(figures) == budget
    assert figures["is_met"] is True
    assert str(budget).count("\n") == len(budget.layers) + 2


def test_few_outputs_take_a_larger_margin(met: tuple[Small, OutputBudget]) -> None:
    assert met[1].margin == 1 + 3 / 8  # 64 numbers in the smaller tensor
    assert [meet._margin(count) for count in (9, 101, 400)] == [2.0, 1 + 3 / math.sqrt(101), 1.25]


def test_an_option_has_no_share_of_a_layer_that_does_not_matter() -> None:
    called: Any = None
    silent = search._Candidate(called, 1.0, correction=1.0, gain=0.0, direct_error=1e-7)
    assert silent.share(Option(1e-5, 1e-5, 1.0, "native")) == 0
