"""The sum of a residual block, which is taken in place."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from winograd.networks.builder import Builder
from winograd.networks.kinds import DENSE
from winograd.networks.residual import ResidualBlock, basic_block


def by_definition(block: ResidualBlock, x: Tensor) -> Tensor:
    chained = x
    for name in block.names:
        chained = getattr(block, name)(chained)
    return torch.relu(chained + (x if block.downsample is None else block.downsample(x)))


@pytest.mark.parametrize("width", [4, 8])
def test_output_and_gradients_are_those_of_the_definition(width: int) -> None:
    torch.manual_seed(0)
    block = basic_block(Builder(nn.Conv3d), DENSE, 4, width, 1).train()
    assert (block.downsample is None) == (width == 4)
    twin = copy.deepcopy(block)
    x = torch.randn(2, 4, 3, 5, 5, requires_grad=True)
    before = x.detach().clone()
    found, expected = block(x), by_definition(twin, x)
    assert torch.equal(found, expected)
    assert torch.equal(x, before)
    grad = torch.randn(found.shape)
    mine = torch.autograd.grad(found, [x, *block.parameters()], grad)
    theirs = torch.autograd.grad(expected, [x, *twin.parameters()], grad)
    assert all(torch.equal(one, other) for one, other in zip(mine, theirs, strict=True))
