"""Why a layer folds nothing: told apart by what it has, and in full where the table has no room."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

import winograd
from tests.nn.reporting.test_text import ROW, recorded


class Own(nn.Conv3d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input)


def look(*_: Any) -> None:
    """See a call."""


def hooked() -> nn.Module:
    layer = nn.Conv3d(4, 4, 3)
    layer.register_forward_hook(look)
    return layer


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Own(4, 4, 3), "it has a forward of its own"),
        (hooked, "it has hooks: look"),
        (lambda: nn.utils.weight_norm(nn.Conv3d(4, 4, 3)), "it has hooks: WeightNorm"),
        (
            lambda: nn.utils.parametrizations.weight_norm(nn.Conv3d(4, 4, 3)),
            "it has parametrizations: its weight is computed anew in each call",
        ),
    ],
)
def test_what_a_layer_has_that_keeps_it_from_folding_is_named(make: Any, reason: str) -> None:
    model = nn.Sequential(make(), nn.BatchNorm3d(4)).eval()
    report = winograd.convert_(model)
    with pytest.warns(UserWarning, match="nothing was folded"):
        winograd.freeze(model, fold="norms")
    assert report.rows[0].folds == f"nothing: {reason}"


def test_what_a_norm_has_is_named() -> None:
    model = nn.Sequential(nn.Conv3d(4, 4, 3), nn.BatchNorm3d(4)).eval()
    model[1].register_forward_hook(look)
    report = winograd.convert_(model)
    with pytest.warns(UserWarning, match="nothing was folded"):
        winograd.freeze(model, fold="norms")
    assert report.rows[0].folds == "nothing: the norm after it has hooks: look"


@pytest.mark.parametrize("width", [60, 100, 160, 200])
def test_why_nothing_is_folded_stands_below_in_full_where_it_is_cut(width: int) -> None:
    why = "nothing: it has parametrizations: its weight is computed anew in each call"
    text = recorded(replace(ROW, layer="a", reason="z", folds=why), replace(ROW, layer="b", reason="z")).to_text(width)
    assert f"a: folds {why}" in " ".join(text.split()) or why in text
    wide = recorded(replace(ROW, layer="a", reason="z", folds=why)).to_text(1000)
    assert wide.count(why) == 1
