"""What a conversion says aloud when less came of it than was asked for, and that it is silent otherwise."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

import winograd


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv3d(16, 4, 3, padding=1)).eval()


def clip() -> Tensor:
    return torch.randn(1, 16, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def test_an_output_tolerance_that_nothing_meets_is_said_aloud() -> None:
    with pytest.warns(
        UserWarning, match=r"output_tolerance 1e-12 is not met: .* off by .*; direct .* float32 .* already"
    ):
        report = winograd.convert_(network(), output_tolerance=1e-12, example=clip())
    assert "output tolerance 1e-12 NOT met" in repr(report)
    assert report.budget is not None
    assert f"off by {report.budget.direct_error:.1e} already" in report.budget.reason


def test_an_output_tolerance_that_is_met_is_in_the_repr_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = winograd.convert_(network(), output_tolerance=1e-3, example=clip())
    assert repr(report).endswith("output tolerance 0.001 met>")


def test_a_filter_that_leaves_out_all_layers_converted_before_is_told_from_no_conversion() -> None:
    model = network()
    winograd.convert_(model, tolerance=1e-4)
    with pytest.warns(UserWarning, match="nothing was converted now; layers converted before .2. stay") as said:
        report = winograd.convert_(model, tolerance=1e-6, filter_fn=lambda *_: False)
    assert len(said) == 1
    assert report.converted == 2
    assert [model[0].tolerance, model[2].tolerance] == [1e-4, 1e-4]
    with pytest.warns(UserWarning, match="no convolution was converted; the report says why"):
        winograd.convert_(network(), filter_fn=lambda *_: False)


def test_a_filter_that_is_no_function_is_refused_in_one_line() -> None:
    with pytest.raises(TypeError, match=r"^filter_fn is a list, must be a function of module and name$"):
        winograd.convert_(network(), filter_fn=["0"])  # type: ignore[arg-type]
