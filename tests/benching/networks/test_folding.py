"""Norms that are folded into plain convolutions for baselines."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from tests.benching.networks.small_networks import clip, small
from winograd.benching.networks.folding import folded_copy
from winograd.nn.compare import relative_l2

ROUNDING = 64 * torch.finfo(torch.float32).eps
"""A folded weight is rounded once, and a sum has 216 products: far below what another function would give."""


def test_the_norm_of_a_convolution_is_folded_and_the_scores_are_the_same() -> None:
    model, input = small(), clip()
    folded, count = folded_copy(model, input)
    assert count == 1
    assert isinstance(folded.norm, nn.Identity)
    assert isinstance(folded.late, nn.BatchNorm3d)
    with torch.no_grad():
        assert relative_l2(folded(input), model(input).double()) < ROUNDING


def test_folded_weights_are_computed_in_float64_and_rounded_once() -> None:
    model = small()
    folded, _ = folded_copy(model, clip())
    norm = copy.deepcopy(model.norm).double()
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    assert isinstance(folded.first, nn.Conv3d)
    assert torch.equal(folded.first.weight, (model.first.weight.double() * scale.view(-1, 1, 1, 1, 1)).float())
    assert folded.first.bias is not None
    assert torch.equal(folded.first.bias, (norm.bias - norm.running_mean * scale).float())


def test_the_model_stays_as_it_was() -> None:
    model = small()
    before = copy.deepcopy(model.state_dict())
    folded_copy(model, clip())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


class Twice(nn.Module):
    """One convolution that runs twice, with a norm behind its second run."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 3, 1)
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.conv(self.conv(x)))
        return normed


def test_a_convolution_that_runs_twice_is_left_alone() -> None:
    folded, count = folded_copy(Twice().eval(), torch.ones(1, 3, 4))
    assert count == 0
    assert isinstance(folded.norm, nn.BatchNorm1d)
