"""Optical flow of pictures whose movement is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from winograd.networks.flow import optical_flow

WAVE = 0.35
"""Largest angular frequency of the texture, in radians per pixel."""

SIDE = 96
MARGIN = 16
"""What moves in or out at the border has no other side."""


def texture(right: float, down: float) -> Tensor:
    """Two waves across each other, moved: known at every place, between pixels, too."""
    y, x = torch.meshgrid(torch.arange(SIDE).double() - down, torch.arange(SIDE).double() - right, indexing="ij")
    return 0.5 + 0.2 * torch.sin(WAVE * x) + 0.2 * torch.sin(0.8 * WAVE * y)


def inner(flow: Tensor) -> Tensor:
    return flow[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


@pytest.mark.parametrize("moved", [(0.0, 0.0), (1.0, 0.0), (0.0, -1.0), (1.5, -0.75), (4.0, 3.0)])
def test_a_texture_that_moves_as_a_whole_is_followed(moved: tuple[float, float]) -> None:
    flow = inner(optical_flow(torch.stack([texture(0, 0), texture(*moved)])))[:, 0]
    # Between pixels a wave is interpolated with an error of k**2 / 8 of its height, over a slope of k times the height.
    allowed = WAVE / 8
    mean = flow.mean(dim=(1, 2))
    assert (mean - torch.tensor(moved)).abs().max() < allowed, mean
    assert (flow - torch.tensor(moved).view(2, 1, 1)).abs().mean() < 2 * allowed


def test_the_way_back_is_the_negative() -> None:
    there = inner(optical_flow(torch.stack([texture(0, 0), texture(2, 1)])))
    back = inner(optical_flow(torch.stack([texture(2, 1), texture(0, 0)])))
    assert float((there + back).mean().abs()) < WAVE / 8
    assert float(there[0].mean()) > 1  # a flow of zeros would pass, too


def test_every_picture_is_held_against_the_next() -> None:
    pictures = torch.stack([texture(0, 0), texture(1, 0), texture(1, 0), texture(0, 0)])
    flow = inner(optical_flow(pictures))
    assert flow.shape[:2] == (2, 3)
    for found, right in zip(flow[0].mean(dim=(1, 2)).tolist(), (1, 0, -1), strict=True):
        assert math.isclose(found, right, abs_tol=WAVE / 8)


def test_nothing_moves_where_nothing_is_seen() -> None:
    assert not optical_flow(torch.full((3, 20, 24), 0.5)).any()
    # Another level of light with no contrast is no movement either.
    assert not optical_flow(torch.stack([torch.zeros(20, 24), torch.ones(20, 24)])).any()


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (37, 75)])
def test_odd_and_small_pictures(size: tuple[int, int]) -> None:
    flow = optical_flow(torch.rand(2, *size, generator=torch.Generator().manual_seed(0)))
    assert flow.shape == (2, 1, *size)
    assert bool(flow.isfinite().all())


def test_one_picture_has_no_flow() -> None:
    with pytest.raises(ValueError, match="pictures are 1, flow needs at least 2"):
        optical_flow(torch.zeros(1, 20, 20))
