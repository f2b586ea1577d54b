"""What a conversion is asked for: tolerances of layers and of the output; copies, and reports of converted models."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import winograd
from tests.nn.conversion.laws import planned, snapshot
from winograd.nn import ConversionReport, conversion_report, convert
from winograd.nn.budget import meet
from winograd.nn.budget.record import OutputBudget
from winograd.nn.progress import Progress


def network() -> nn.Sequential:
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv3d(16, 16, 3, padding=1), nn.ReLU())
    return nn.Sequential(nn.Conv3d(16, 16, 3, padding=1), inner, inner, nn.Linear(8, 2)).eval()


def clip() -> Tensor:
    return torch.randn(1, 16, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def tolerances(model: nn.Module) -> list[float | None]:
    return [model.get_submodule(name)._winograd.tolerance for name in planned(model)]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (None, [None, None]),
        (1e-6, [1e-6, 1e-6]),
        ({"0": 1e-6}, [1e-6, None]),
        ({"2.0": 1e-4}, [None, 1e-4]),  # the second name of a shared layer
        ({"1.0": 1e-4, "2.0": 1e-4, "0": None}, [None, 1e-4]),
        (lambda _, name: 1e-4 if "." in name else None, [None, 1e-4]),
        (lambda module, _: module.in_channels * 1e-7, [16e-7, 16e-7]),
    ],
)
def test_each_layer_gets_its_tolerance(asked: Any, given: list[float | None]) -> None:
    model = network()
    winograd.convert_(model, tolerance=asked)
    assert tolerances(model) == given


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"1": 1e-6}, ValueError, "tolerance names '1', which is no convolution of the model"),
        ({"conv": 1e-6}, ValueError, "tolerance names 'conv'"),
        ({"0": 0}, ValueError, "layer '0': tolerance is 0, must be above 0"),
        ({"0": "small"}, TypeError, "layer '0': tolerance is 'small', must be a number"),
        ({"1.0": 1e-4, "2.0": 1e-5}, ValueError, "that of the same layer as '1.0' is 0.0001"),
        (lambda *_: True, TypeError, "layer '0': tolerance is True"),
        (lambda *_: 1 / 0, ZeroDivisionError, "division"),
        ("1e-5", TypeError, "must be a number"),
    ],
)
def test_wrong_tolerances_change_nothing(asked: Any, error: type[Exception], words: str) -> None:
    model = network()
    before = snapshot(model)
    with pytest.raises(error, match=words):
        winograd.convert_(model, tolerance=asked)
    assert snapshot(model) == before


def test_filters_and_tolerances_are_asked_with_module_and_name() -> None:
    model, seen = network(), []

    def note(module: nn.Module, name: str) -> bool:
        seen.append((module, name))
        return name == "0"

    winograd.convert_(model, lambda module, name: seen.append((module, name)), filter_fn=note)
    assert seen == [(model[0], "0"), (model[1][0], "1.0"), (model[0], "0")]  # no tolerance for what is left out


def test_a_copy_is_converted_and_the_model_is_not() -> None:
    model = network()
    before, expected = snapshot(model), model[:3](clip())
    converted = convert(model, {"0": 1e-6}, filter_fn=lambda _, name: name == "0", example=None)
    assert snapshot(model) == before
    assert planned(converted) == ["0"]
    torch.testing.assert_close(converted[:3](clip()), expected)
    assert not {id(one) for one in model.parameters()} & {id(one) for one in converted.parameters()}
    assert converted[1] is converted[2]
    with pytest.raises(TypeError, match="must be a torch"):
        convert("c3d")  # type: ignore[type-var]


COPIES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "itself": lambda model: model,
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}


@pytest.mark.parametrize("way", COPIES)
def test_a_converted_model_has_a_report(way: str) -> None:
    model = network()
    winograd.convert_(model, 1e-6, filter_fn=lambda _, name: name == "0")
    twin = COPIES[way](model)
    report = conversion_report(twin)
    assert isinstance(report, ConversionReport)
    assert (report.converted, report.skipped) == (1, 1)
    assert report.layers[1].reason == "it was left out of the conversion, or came after it"
    twin[:3](clip())
    assert report.shapes == {"0": [(1, 16, 4, 8, 8)]}
    winograd.revert_(twin)
    assert [row.status for row in report.rows] == ["reverted", "skipped"]
    assert conversion_report(twin).converted == 0
    assert planned(model) == ([] if way == "itself" else ["0"])


def test_reverted_layers_hold_no_transformed_weights_for_their_report() -> None:
    model = nn.Sequential(nn.Conv3d(64, 64, 3, padding=1))
    report = winograd.convert_(model, example=torch.zeros(1, 64, 8, 32, 32))
    winograd.freeze(model)
    with torch.inference_mode():
        model(torch.zeros(1, 64, 8, 32, 32))
    (entry,) = report.layers
    assert entry.state.packed_bytes > 0
    winograd.revert_(model)
    assert entry.state.packed_bytes == 0
    assert entry.state.plans != ()


def test_a_layer_that_was_converted_before_and_is_left_out_now_is_reported_as_it_is() -> None:
    model = network()
    winograd.convert_(model, 1e-6)
    with pytest.warns(UserWarning, match="nothing was converted now"):
        report = winograd.convert_(model, 1e-4, filter_fn=lambda *_: False)
    assert tolerances(model) == [1e-6, 1e-6]
    assert report.converted == 2


def test_an_output_tolerance_needs_an_example_and_a_number() -> None:
    model = network()
    before = snapshot(model)
    with pytest.raises(ValueError, match="output_tolerance is for what the model gives for an example"):
        winograd.convert_(model, output_tolerance=1e-5)
    with pytest.raises(ValueError, match="output_tolerance is 0, must be above 0"):
        winograd.convert_(model, output_tolerance=0, example=clip())
    with pytest.raises(TypeError, match="output_tolerance is 'low', must be a number"):
        winograd.convert_(model, output_tolerance="low", example=clip())  # type: ignore[arg-type]
    assert snapshot(model) == before


def test_a_layer_that_is_left_out_later_stays_as_it_was_converted() -> None:
    model = nn.Sequential(nn.Conv3d(4, 4, 3), nn.Conv3d(4, 4, 3))
    winograd.convert_(model, 1e-2)
    report = winograd.convert_(model, 1e-6, filter_fn=lambda _, name: name == "1")
    assert tolerances(model) == [1e-2, 1e-6]
    assert [layer.status for layer in report.layers] == ["converted", "converted"]
    assert [layer.reason for layer in report.layers] == ["it was converted before, and left as it is", ""]


def test_the_budget_of_an_output_goes_with_the_model_and_fails_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()[:3]
    built = nn.Sequential(model, winograd.nn.Conv3d(16, 16, 1, tolerance=1e-7))
    asked: list[Any] = []
    chosen = OutputBudget(1e-5, 1.25, 2e-7, 1e-7, 3e-6, (), 1)

    def choose(inner: nn.Module, layers: dict[str, Any], figure: float, example: Tensor, **_: Progress) -> OutputBudget:
        asked.append((inner, list(layers), figure, inner.training, torch.is_grad_enabled()))
        for layer in layers.values():
            layer._winograd.tolerate(3e-6)
        if figure == 7:
            raise KeyboardInterrupt
        return chosen

    monkeypatch.setattr(meet, "meet_output_tolerance", choose)
    wrapped = nn.DataParallel(built).train()
    before = snapshot(wrapped)
    with pytest.raises(KeyboardInterrupt):
        winograd.convert_(wrapped, output_tolerance=7, example=clip())
    assert snapshot(wrapped) == before
    report = winograd.convert_(wrapped, output_tolerance=1e-5, example=clip())
    assert asked[-1] == (built, ["module.0.0", "module.0.1.0"], 1e-5, False, False)
    assert (report.budget, built.training) == (chosen, True)
    assert tolerances(built) == [3e-6, 3e-6, 1e-7]
    assert all(built.get_submodule(name).plans for name in planned(built))  # made anew with these tolerances
    assert conversion_report(pickle.loads(pickle.dumps(built))).budget == chosen
