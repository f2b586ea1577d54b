"""The sum of a residual block, which is taken in place."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from winograd.networks.builder import Builder
from winograd.networks.kinds import DENSE
from winograd.networks.p3d_blocks import WIRINGS, Block
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


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("wiring", [None, *range(3)])
def test_the_shortcut_alone_can_be_batched(wiring: int | None, grad: bool) -> None:
    torch.manual_seed(0)
    builder = Builder(nn.Conv3d)
    if wiring is None:
        block = basic_block(builder, DENSE, 4, 8, 1).eval()
    else:
        block = Block(builder, WIRINGS["official"][wiring], 4, 2, (1, 1, 1), shortcut=True).eval()
    x = torch.randn(1, 4, 3, 5, 5)
    two = {name: torch.stack([one, 2 * one]) for name, one in block.named_parameters() if "downsample" in name}
    with torch.set_grad_enabled(grad):
        found = torch.vmap(lambda given: torch.func.functional_call(block, given, (x,)))(two)
        for number, output in enumerate(found):
            given = {name: one[number] for name, one in two.items()}
            torch.testing.assert_close(output, torch.func.functional_call(block, given, (x,)))


def test_the_sum_is_taken_in_place_where_it_can_be() -> None:
    block = basic_block(Builder(nn.Conv3d), DENSE, 4, 4, 1).eval()
    seen = []
    block.conv2.register_forward_hook(lambda _m, _given, output: seen.append(output))
    with torch.no_grad():
        assert block(torch.randn(1, 4, 3, 5, 5)).data_ptr() == seen[0].data_ptr()
