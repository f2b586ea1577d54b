from __future__ import annotations

import copy
import json
import math

import pytest
import torch
from torch import Tensor, nn

import winograd
from winograd.networks import initialise_he
from winograd.nn.compare import compare, compare_layer, compare_outputs, record_inputs, relative_l2
from winograd.nn.comparison import Comparison
from winograd.nn.plot import draw_comparison


class Small(nn.Module):
    """Large enough that the second convolution goes through a generated kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 64, 3, padding=1)
        self.conv2 = nn.Conv3d(64, 64, 3, padding=1)
        self.head = nn.Linear(64, 8)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.conv2(self.relu(self.conv1(x)))).mean(dim=(2, 3, 4)))


def clips() -> Tensor:
    noise = torch.randn(2, 3, 8, 32, 32, generator=torch.Generator().manual_seed(2))
    return noise * torch.tensor([0.5, 2.0]).view(2, 1, 1, 1, 1)


@pytest.fixture(scope="module")
def model() -> Small:
    return initialise_he(Small(), seed=0).eval()


@pytest.fixture(scope="module")
def comparison(model: Small) -> Comparison:
    return compare(model, clips(), repeats=2, stack=("conv2",))


def test_every_convolution_is_compared_against_float64(comparison: Comparison) -> None:
    assert [layer.layer for layer in comparison.layers] == ["conv1", "conv2"]
    wide = comparison.layers[1]
    assert wide.algorithm.startswith("native F(")
    assert wide.input == (1, 64, 8, 32, 32)
    # Activations behind a ReLU are kinder than the zero-mean inputs of the prediction.
    assert 0 < wide.measured_error < 2 * wide.predicted_error
    assert 0 < wide.direct_error < 1e-6
    assert wide.direct_ms > 0
    assert wide.ratio > 0


def test_sums_are_of_the_stack(comparison: Comparison) -> None:
    wide = comparison.layers[1]
    assert comparison.stack_direct_ms == wide.direct_ms
    assert comparison.stack_ratio == wide.direct_ms / wide.converted_ms


def test_outputs_are_those_of_float64_within_rounding(comparison: Comparison) -> None:
    for output in comparison.outputs:
        assert 0 < output.largest_change < 1e-5
        assert output.agreement == "order"
        assert output.margin is not None
    assert comparison.clip_distance > 0.1


def test_the_model_is_left_as_it_was(model: Small, comparison: Comparison) -> None:
    assert comparison.layers
    assert [type(layer) for layer in (model.conv1, model.conv2)] == [nn.Conv3d] * 2
    assert not model.conv1._forward_pre_hooks


def test_text_and_json_hold_the_figures(comparison: Comparison) -> None:
    text = str(comparison)
    for word in ("conv1", "conv2", "stack (conv2)", "whole network", "apart", "top 5 of float64", "largest change"):
        assert word in text
    assert "class" not in text
    loaded = json.loads(json.dumps(comparison.as_dict(), allow_nan=False))
    assert loaded["layers"][1]["measured_error"] == comparison.layers[1].measured_error
    assert loaded["stack"]["ratio"] == comparison.stack_ratio
    assert loaded["outputs"][0]["agreement"] == "order"


def test_the_plot_is_a_png_and_needs_no_display(comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.delenv("DISPLAY", raising=False)
    assert draw_comparison(comparison, "small").startswith(b"\x89PNG\r\n")


def test_a_wrong_kernel_shows_as_a_large_error(model: Small) -> None:
    wrong = copy.deepcopy(model.conv2)
    winograd.convert_(wrong)
    winograd.freeze(wrong)
    with torch.inference_mode():
        x = torch.randn(1, 64, 8, 32, 32)
        wrong.weight[:, :, 0, 0, 0] *= 1.01
        row = compare_layer("conv2", model.conv2, wrong, x, repeats=1)
    assert row.measured_error > 1e-4
    assert row.direct_error < 1e-6


def test_inputs_are_those_before_any_change_in_place(model: Small) -> None:
    with torch.inference_mode():
        seen = record_inputs(model, ["conv2", "conv1"], clips()[:1])
        assert list(seen) == ["conv1", "conv2"]
        assert torch.equal(seen["conv1"], clips()[:1])
        assert torch.equal(seen["conv2"], model.conv1(clips()[:1]).relu())


def test_relative_l2() -> None:
    assert relative_l2(torch.tensor([3.0, 5.0]), torch.tensor([3.0, 4.0])) == 0.2
    assert relative_l2(torch.tensor([3.0, 4.0]), torch.zeros(2)) == 5.0


EXACT = torch.tensor([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, -10.0], dtype=torch.float64)


def test_margin_and_change_are_relative_to_what_they_say() -> None:
    output = compare_outputs(EXACT, EXACT.float(), (EXACT + torch.tensor([0, 0, 0, 0, 0, 0, 0.5])).float())
    assert output.largest_change == 0.05
    assert output.direct_largest_change == 0
    assert output.margin == 2.0
    assert output.top == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("order", "agreement"),
    [([0, 1, 2, 3, 4, 5, 6], "order"), ([1, 0, 2, 3, 4, 5, 6], "set"), ([0, 1, 2, 3, 5, 4, 6], "none")],
)
def test_agreement_of_the_top(order: list[int], agreement: str) -> None:
    assert compare_outputs(EXACT, EXACT.float(), EXACT[order].float()).agreement == agreement


def test_few_or_equal_outputs_have_no_margin() -> None:
    assert compare_outputs(EXACT[:3], EXACT[:3].float(), EXACT[:3].float() + 1).margin is None
    assert compare_outputs(EXACT, EXACT.float(), EXACT.float()).margin is None
    zero = torch.zeros(7, dtype=torch.float64)
    assert compare_outputs(zero, zero.float(), zero.float()).largest_change == 0


def test_outputs_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        compare_outputs(EXACT, EXACT.float(), EXACT.float() * math.inf)


def test_a_model_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="training mode"):
        compare(Small(), clips())


def test_one_clip_is_not_enough(model: Small) -> None:
    with pytest.raises(ValueError, match="clips are 1, at least 2"):
        compare(model, clips()[:1])
