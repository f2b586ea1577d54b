"""A network verified and timed in all its forms."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.benching.networks.small_networks import CLIP, clip, small
from winograd.benching.networks import measurement
from winograd.benching.networks.measurement import draw_clips, measure_network
from winograd.benching.networks.rivals import Rival, our_forms
from winograd.benching.verification import AboveToleranceError
from winograd.conv.tensors.layout import is_channels_last
from winograd.nn.modules import PlannedConvolution


@pytest.fixture(autouse=True)
def compilation(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return what torch.compile was asked for; nothing is compiled, which takes a while."""
    asked: list[Any] = []

    def compile(model: nn.Module, **options: Any) -> nn.Module:
        asked.append(options)
        return model

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr(torch.compiler, "reset", lambda: None)  # loads the compiler, which takes seconds
    return asked


def test_every_form_is_verified_and_timed(compilation: list[Any]) -> None:
    found = measure_network("small", small(), clip(), tolerance=1e-5, repeats=2, compiled=True)
    assert set(found.runs) == set(Rival)
    assert compilation == [{"options": {"freezing": True}}] * 2
    assert all(len(run.milliseconds) == 2 for run in found.runs.values())
    assert all(0 < run.error <= 1e-4 for run in found.runs.values())
    assert set(found.ratios) == {"unfolded", "folded", "compiled"}
    assert (found.input, found.folded_norms, found.costs.convolutions) == (CLIP, 1, 2)
    assert found.costs.weight_bytes == sum(4 * parameter.numel() for parameter in small().parameters())


def test_without_norms_there_is_nothing_folded() -> None:
    model = nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten()).eval()
    found = measure_network("plain", model, clip(), tolerance=1e-5, repeats=1, compiled=True)
    assert set(found.runs) == set(Rival) - {Rival.DIRECT_FOLDED}
    assert set(found.ratios) == {"unfolded", "folded", "compiled"}


def test_torch_compile_can_be_left_out(compilation: list[Any]) -> None:
    found = measure_network("small", small(), clip(), tolerance=1e-5, repeats=1, compiled=False)
    assert Rival.COMPILED not in found.runs
    assert compilation == []


def test_another_function_is_refused_before_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrongly(model: nn.Module, **_: object) -> nn.Module:
        folded = small(seed=1)
        folded.norm = nn.Identity()
        return folded

    monkeypatch.setattr(measurement, "fold_norms", wrongly)
    monkeypatch.setattr(measurement, "race", lambda *_, **__: pytest.fail("it was timed"))
    with pytest.raises(AboveToleranceError, match=r"small by direct_folded, contiguous: error .* 1e-04 is allowed"):
        measure_network("small", small(), clip(), tolerance=1e-5, repeats=1, compiled=False)


def test_ours_is_held_to_ten_tolerances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "relative_l2", lambda *_: 2e-5)
    with pytest.raises(AboveToleranceError, match=r"small by ours, contiguous: .* 1e-05 is allowed"):
        measure_network("small", small(), clip(), tolerance=1e-6, repeats=1, compiled=False)


def test_ours_is_converted_frozen_and_in_both_formats() -> None:
    forms = our_forms(small(), clip(), 1e-5)
    for name, form in forms.items():
        form()
        assert isinstance(form.model, nn.Module)
        layer = form.model.first
        assert isinstance(layer, PlannedConvolution)
        assert is_channels_last(layer.weight) == is_channels_last(form.clip) == (name == "channels_last")
    assert not is_channels_last(small().first.weight)


def test_clips_are_drawn_by_the_seed() -> None:
    clips = draw_clips(CLIP[1:], 1, seed=0)
    assert torch.equal(clips, clip())
    assert draw_clips(CLIP[1:], 2, seed=0).shape == (2, *CLIP[1:])
