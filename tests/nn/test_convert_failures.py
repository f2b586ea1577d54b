"""Conversions that fail, or lead to nothing, leave the model as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import winograd
from tests.nn.converted_models import clip, network, planned, snapshot
from winograd.nn import converting
from winograd.nn.conversion import change


def test_an_impossible_tolerance_leaves_layers_direct_and_says_so() -> None:
    model = network()
    report = winograd.convert_(model, tolerance=1e-12)
    with torch.inference_mode():
        assert torch.equal(model(clip()), network()(clip()))
    assert {row.algorithm for row in report.rows} == {"direct"}
    assert "above the tolerance 1e-12" in report.rows[0].reason


@pytest.mark.parametrize("tolerance", [0, -1e-5, float("nan")])
def test_a_wrong_tolerance_changes_nothing(tolerance: float) -> None:
    model = network()
    before = list(snapshot(model))
    with pytest.raises(ValueError, match="tolerance is"):
        winograd.convert_(model, tolerance=tolerance)
    assert list(snapshot(model)) == before


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_scripted_models_are_refused_before_anything_changes_and_scripted_parts_are_left_alone() -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Conv3d(3, 4, 3)))
    with pytest.raises(TypeError, match="scripted"):
        winograd.convert_(scripted)
    with pytest.raises(TypeError, match=r"must be a torch\.nn\.Module"):
        winograd.convert_("c3d")  # type: ignore[arg-type]
    model = nn.Sequential(scripted, nn.Conv3d(4, 4, 3))
    expected = model(clip(size=9))
    report = winograd.convert_(model)
    assert [(entry.name, entry.kind) for entry in report.layers] == [("0.0", "Conv3d"), ("1", "Conv3d")]
    assert "scripted" in report.layers[0].reason
    assert planned(model) == ["1"]
    torch.testing.assert_close(model(clip(size=9)), expected)


@pytest.mark.parametrize("stage", ["class", "plan", "example"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_failure_on_the_way_undoes_what_was_done(
    monkeypatch: pytest.MonkeyPatch, stage: str, error: type[BaseException]
) -> None:
    model = nn.Sequential(network(), winograd.nn.Conv3d(4, 4, 3, padding=1))
    winograd.convert_(model[0][2], tolerance=1e-4)
    winograd.freeze(model[0][2])
    with torch.inference_mode():
        model(clip())
    before, plans = list(snapshot(model)), model[0][2][0].plans
    settings = [vars(model.get_submodule(name)._winograd).copy() for name in planned(model)]

    def fail(*_: object) -> None:
        raise error("stop")

    if stage == "class":
        make = change._plan
        monkeypatch.setattr(change, "_plan", lambda layer: fail() if layer is model[0][3] else make(layer))
    elif stage == "plan":
        monkeypatch.setattr(converting, "plan_ahead", fail)
    else:
        model[0][3].register_forward_hook(fail)
        before = list(snapshot(model))
    with pytest.raises(error, match="stop"):
        winograd.convert_(model, tolerance=1e-6, workspace_cap=1 << 20, example=clip())
    assert list(snapshot(model)) == before
    assert model[0][2][0].plans == plans != ()
    assert [vars(model.get_submodule(name)._winograd) for name in planned(model)] == settings


def test_reverting_refuses_a_class_that_changed_since() -> None:
    model = network()
    winograd.convert_(model)
    former = type(model[3])
    model[3].__class__ = type("Odd", (former,), {})
    with pytest.raises(RuntimeError, match="layer '3' became a Odd"):
        winograd.revert_(model)
    assert planned(model) == ["0", "2.0", "3"]
    model[3].__class__ = former
    winograd.revert_(model)
    assert planned(model) == []
