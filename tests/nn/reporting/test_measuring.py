from __future__ import annotations

import copy
import gc
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import winograd
from tests.nn.conversion.forwards import Causal
from winograd.nn import ConversionReport
from winograd.nn.depth import relative_l2
from winograd.nn.modules import PlannedConvolution, PlannedDense


def plain_model() -> nn.Sequential:
    """Return a model whose second convolution goes through a generated kernel."""
    torch.manual_seed(0)
    norm = nn.BatchNorm3d(64)
    nn.init.uniform_(norm.running_mean)
    wide = nn.Conv3d(64, 64, 3, padding=1, bias=False)
    return nn.Sequential(nn.Conv3d(3, 64, 1), nn.ReLU(), wide, norm, nn.ReLU())


CLIP = torch.randn(1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(1))
SMALL = torch.randn(2, 2, 6, 6, 6, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def measured() -> tuple[nn.Sequential, ConversionReport]:
    model = plain_model().eval()
    report = winograd.convert_(model)
    winograd.freeze(model)
    return model, report.measure(CLIP, repeats=1)


def test_errors_are_those_of_the_layers_and_of_the_output(measured: tuple[nn.Sequential, ConversionReport]) -> None:
    model, report = measured
    plain = plain_model().eval()
    exact = copy.deepcopy(plain).double()
    with torch.no_grad():
        expected = exact(CLIP.double())
        assert report.whole is not None
        assert report.whole.error == relative_l2(model(CLIP), expected)
        assert report.whole.direct_error == relative_l2(plain(CLIP), expected)
        seen = plain[:2](CLIP)
        alone = exact[2](seen.double())
        wide = next(row for row in report.rows if row.layer == "2")
        assert wide.measured is not None
        assert wide.measured.error == relative_l2(model[2](seen), alone)
        assert wide.measured.direct_error == relative_l2(plain[2](seen), alone)
    assert wide.algorithm.startswith("native F(")
    # The prediction is for zero-mean inputs; activations behind a ReLU are kinder.
    assert 0 < wide.measured.direct_error < wide.measured.error < 2 * wide.predicted_error


def test_times_are_of_both_sides(measured: tuple[nn.Sequential, ConversionReport]) -> None:
    _, report = measured
    for found in (report.whole, *(row.measured for row in report.rows)):
        assert found is not None
        assert found.times is not None
        assert min(found.times.direct_ms, found.times.converted_ms, found.times.ratio) > 0
        assert found.times.direct_range[0] <= found.times.direct_ms <= found.times.direct_range[1]
        assert found.times.converted_range[0] <= found.times.converted_ms <= found.times.converted_range[1]
        assert found.times.ratio_range[0] <= found.times.ratio <= found.times.ratio_range[1]
    for word in ("measured error", "direct ms", "ratio", "sums of medians", "whole model: before"):
        assert word in str(report)


def test_a_wrong_layer_shows_in_its_own_error_and_in_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model = plain_model().eval()
    report = winograd.convert_(model, filter_fn=lambda _, name: name == "2")
    right = PlannedDense._conv_forward
    monkeypatch.setattr(PlannedDense, "_conv_forward", lambda *arguments: right(*arguments) * 1.001)
    report.measure(CLIP, repeats=0)
    found = report.rows[1].measured
    assert found is not None
    assert found.error == pytest.approx(1e-3, rel=0.02)
    assert found.direct_error < 1e-6
    assert report.whole is not None
    assert report.whole.error > 1e-4


def test_a_stale_transformed_weight_shows_in_the_error_of_the_whole() -> None:
    model = plain_model().eval()
    report = winograd.convert_(model)
    winograd.freeze(model)
    with torch.no_grad():
        model(CLIP)
        model[2].weight.data *= 1.01  # unseen by torch, which `freeze` warns of
    report.measure(CLIP, repeats=0)
    assert report.whole is not None
    assert report.whole.error > 1e-3
    assert report.whole.direct_error < 1e-6


def test_folded_layers_are_measured_by_themselves_and_stay_folded() -> None:
    model = plain_model().eval()
    report = winograd.convert_(model)
    winograd.freeze(model, fold="all")
    report.measure(CLIP, repeats=0)
    wide = next(row for row in report.rows if row.layer == "2")
    assert wide.folds == "3, 4"
    assert wide.measured is not None
    assert wide.measured.error < 1e-5
    assert report.whole is not None
    assert report.whole.error < 1e-5


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Conv3d(2, 2, 3), nn.BatchNorm3d(2), nn.Dropout(), nn.BatchNorm3d(2)).train()
    model[3].eval()
    report = winograd.convert_(model)
    before, drawn = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    hooks = [len(layer._forward_hooks) for layer in model]
    report.measure(SMALL, repeats=1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [layer.training for layer in model] == [True, True, True, False]
    assert torch.equal(torch.get_rng_state(), drawn)
    assert [len(layer._forward_hooks) for layer in model] == hooks
    assert isinstance(model[0], PlannedConvolution)


class Named(nn.Module):
    """Takes named arguments, returns a dictionary, and calls a shared layer with two shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(2, 2, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(2, 2, 3, stride=2, padding=1)

    def forward(self, left: Tensor, *, right: Tensor) -> dict[str, Any]:
        found = self.down(input=left)
        return {"left": self.up(found, output_size=left.shape[2:]), "right": [self.down(right)]}


MODELS: dict[str, tuple[Callable[[], nn.Module], Any]] = {
    "own forward": (lambda: nn.Sequential(Causal(2, 2, 3, padding=(0, 1, 1))), SMALL),
    "weight norm": (lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv3d(2, 2, 3))), (SMALL,)),
    "other padding": (lambda: nn.Sequential(nn.Conv3d(2, 2, 3, padding=1, padding_mode="circular")), SMALL),
    "named": (Named, {"left": SMALL[:, :, 0], "right": SMALL[:, :, 0, :4]}),
    "unbatched": (lambda: nn.Sequential(nn.Conv3d(2, 2, 3)), SMALL[0]),
    "wrapped": (lambda: nn.DataParallel(nn.Sequential(nn.Conv3d(2, 2, 3))), SMALL),
    "built as planned": (lambda: nn.Sequential(winograd.nn.Conv3d(2, 2, 3)), SMALL),
    "old weight norm": (lambda: nn.Sequential(old_weight_norm()), SMALL),
    "16 bit": (lambda: nn.Sequential(nn.Conv3d(2, 2, 3)).bfloat16(), SMALL.bfloat16()),
}


def old_weight_norm() -> nn.Module:
    with pytest.warns(FutureWarning, match="weight_norm"):
        return nn.utils.weight_norm(nn.Conv3d(2, 2, 3))


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_layer_and_example_is_measured(name: str) -> None:
    make, example = MODELS[name]
    torch.manual_seed(3)
    model = make()
    report = winograd.convert_(model).measure(example, repeats=1)
    # Direct convolution: half an ulp of each of up to 55 sums; an ulp of the output where that is rounded to bfloat16.
    bound = 2.0**-8 if name == "16 bit" else 55 * 2.0**-24
    for row in report.rows:
        assert row.measured is not None
        assert max(row.measured.error, row.measured.direct_error) < bound
        assert row.measured.times is not None
    assert len(report.rows) == (3 if name == "named" else 1)
    assert report.whole is not None
    assert report.whole.error < 2 * bound


def test_layers_that_are_not_there_any_more_are_left_out() -> None:
    model = nn.Sequential(nn.Conv3d(2, 2, 3), nn.Conv3d(2, 2, 1))
    report = winograd.convert_(model, example=SMALL)
    model[1] = nn.Identity()
    report.measure(SMALL, repeats=0)
    assert [row.measured is None for row in report.rows] == [False, True]


def test_figures_are_those_of_the_plan_that_was_measured() -> None:
    model = plain_model().eval()
    report = winograd.convert_(model).measure(CLIP, repeats=0)
    former = report.rows[1].measured
    winograd.convert_(model, tolerance=1e-6, example=CLIP)
    assert report.rows[1].tolerance == 1e-6
    assert report.rows[1].measured is None
    winograd.convert_(model, example=CLIP)
    assert report.rows[1].measured == former is not None


def test_a_report_outlives_its_model_without_its_memory() -> None:
    model = plain_model().eval()
    report = winograd.convert_(model)
    winograd.freeze(model)
    with torch.no_grad():
        model(CLIP)
    state = report.layers[1].state
    assert state is not None
    assert state.packed_bytes > 0
    text = str(report)
    del model
    gc.collect()
    assert state.packed_bytes == 0
    assert str(report) == text
    with pytest.raises(RuntimeError, match="model of this report is gone"):
        report.measure(CLIP)


def test_total_cancellation_has_figures() -> None:
    model = nn.Sequential(nn.Conv3d(2, 2, 2, bias=False))
    with torch.no_grad():
        model[0].weight.fill_(1)
        model[0].weight[:, :, 0] = -1
    report = winograd.convert_(model).measure(torch.ones(1, 2, 4, 4, 4), repeats=0)
    assert report.whole is not None
    assert report.whole.error == 0  # integers; the norm of what came, where exact values are all zero
    assert json.loads(report.to_json())["whole"]["error"] == 0


def test_what_cannot_be_measured_is_refused() -> None:
    model = nn.Sequential(nn.Conv3d(2, 2, 3))
    report = winograd.convert_(model)
    with pytest.raises(ValueError, match="repeats is -1, must be at least 0"):
        report.measure(SMALL, repeats=-1)
    with pytest.raises(ValueError, match="not finite"):
        report.measure(SMALL * math.inf, repeats=0)
    assert report.whole is None
    with pytest.raises(RuntimeError, match="gone"):
        ConversionReport.from_json(report.to_json()).measure(SMALL)
