from __future__ import annotations

import copy
import json
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import winograd
from winograd.networks import initialise_he
from winograd.nn.compare import compare, compare_layer, compare_outputs
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
    assert wide.times is not None
    assert wide.times.direct_ms > 0
    assert wide.times.ratio > 0


def test_sums_are_of_the_stack(comparison: Comparison) -> None:
    wide = comparison.layers[1]
    assert wide.times is not None
    assert comparison.stack_direct_ms == wide.times.direct_ms
    assert comparison.stack_ratio == wide.times.direct_ms / wide.times.converted_ms


def test_outputs_are_those_of_float64_within_rounding(comparison: Comparison) -> None:
    for output in comparison.outputs:
        assert 0 < output.largest_change < 1e-5
        assert output.agreement == "order"
        assert output.margin is not None
    assert comparison.clip_distance > 0.1


def test_errors_so_far_begin_with_the_first_layer_and_end_near_the_outputs(comparison: Comparison) -> None:
    first, last = comparison.layers
    # Nothing is before the first layer: what it is off is what it is off by itself.
    assert first.error_so_far == first.measured_error
    assert first.direct_error_so_far == first.direct_error
    # The error that comes in passes the layer without growing much, and adds to its own.
    assert last.error_so_far is not None
    assert last.measured_error / 2 < last.error_so_far < 2 * (first.measured_error + last.measured_error)
    assert comparison.error == max(output.error for output in comparison.outputs)


def test_nothing_is_timed_where_that_is_not_asked_for(model: Small) -> None:
    found = compare(model, clips(), repeats=0, stack=("conv2",))
    assert found.times is None
    assert [layer.times for layer in found.layers] == [None, None]
    text = str(found)
    assert "ms" not in text
    assert "so far" in text
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["stack"]["ratio"] is None


def test_clips_that_run_at_once_give_what_they_give_one_by_one(model: Small, comparison: Comparison) -> None:
    found = compare(model, clips(), batch=2, repeats=0)
    assert [layer.input[0] for layer in found.layers] == [2, 2]
    # In float64, so that the batch makes no difference that matters here.
    assert found.clip_distance == pytest.approx(comparison.clip_distance, rel=1e-12)
    assert [output.top for output in found.outputs] == [output.top for output in comparison.outputs]
    assert found.error < 1e-5


@pytest.mark.parametrize(("dtype", "roundoff"), [(torch.float64, 2.0**-53), (torch.bfloat16, 2.0**-8)])
def test_other_dtypes_are_compared_with_their_own_weights_in_float64(dtype: torch.dtype, roundoff: float) -> None:
    narrow = initialise_he(Small(), seed=0).eval().to(dtype)
    found = compare(narrow, clips().to(dtype), repeats=0)
    assert found.dtype == str(dtype).removeprefix("torch.")
    for layer in found.layers:
        # bfloat16: one rounding of each output; float64: sums of 1728 products, their order aside, and Winograd's.
        assert layer.measured_error <= (roundoff if dtype == torch.bfloat16 else 1728 * roundoff)


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


def test_the_plot_of_a_deep_network_stays_as_wide_as_a_page(comparison: Comparison) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    deep = replace(
        comparison, layers=tuple(replace(layer, times=None) for layer in comparison.layers * 100), times=None
    )
    header = draw_comparison(deep, "deep")[:24]
    width, height = (int.from_bytes(header[start : start + 4], "big") for start in (16, 20))
    assert width == 2400  # 20 inches of 120 dots
    assert height < 1000  # two panels


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


EXACT = torch.tensor([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, -10.0], dtype=torch.float64)


def test_margin_and_change_are_relative_to_what_they_say() -> None:
    output = compare_outputs(EXACT, EXACT.float(), (EXACT + torch.tensor([0, 0, 0, 0, 0, 0, 0.5])).float())
    assert output.largest_change == 0.05
    assert output.error == 0.5 / float(EXACT.norm())
    assert output.direct_error == 0
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


def test_wrong_numbers_are_refused(model: Small) -> None:
    with pytest.raises(ValueError, match="batch is 0, must be at least 1"):
        compare(model, clips(), batch=0)
    with pytest.raises(ValueError, match="repeats is -1, must be at least 0"):
        compare(model, clips(), repeats=-1)
