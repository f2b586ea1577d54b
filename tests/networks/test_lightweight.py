"""Fully separable blocks in the place of convolutions, and the hybrid fast algorithm that they are made for."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil, prod
from typing import Any

import pytest
import torch
from torch import nn

from winograd.algebra.nesting import NestedAlgorithm
from winograd.networks import create
from winograd.networks.convolutions import convolutions_of
from winograd.networks.hybrid import hybrid, hybrid_algorithm
from winograd.networks.lightweight import FullySeparable, LightweightC3D, separate_
from winograd.nn.modules import Conv3d


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        yield


def multiplications(tile: int | None, width: float, *, ragged: bool) -> float:
    """Return billions of multiplications of the eight blocks: of each tile its rank, and of what is direct its taps.

    The last tile of an axis counts whole if it is ragged, or by its share.
    """
    with torch.device("meta"):
        model = LightweightC3D(width=width)
    total = Fraction(0)
    for call in convolutions_of(model):
        shape = call.shape
        algorithm = hybrid_algorithm((shape.taps[0], shape.taps[1], shape.taps[2]), tile) if tile else None
        outputs, rank = (algorithm.m, algorithm.rank) if algorithm else ((1, 1, 1), prod(shape.taps))
        tiles = [Fraction(size, m) for size, m in zip(shape.output, outputs, strict=True)]
        count = prod(map(ceil, tiles) if ragged else tiles)
        total += count * rank * shape.channels // shape.groups * shape.outputs
    return float(total / 10**9)


@pytest.mark.parametrize(
    ("width", "tile", "billions"),
    [(1.0, None, 7.417), (1.0, 2, 5.87), (1.0, 4, 5.12), (0.5, None, 3.71), (0.5, 2, 2.94)],
)
def test_the_hybrid_algorithm_has_the_counted_multiplications(width: float, tile: int | None, billions: float) -> None:
    digits = len(str(billions).partition(".")[2])
    assert round(multiplications(tile, width, ragged=False), digits) == billions


def test_tiles_of_four_frames_are_half_empty_where_two_are_left() -> None:
    assert round(multiplications(4, 1.0, ragged=True), 2) == 5.20


@pytest.mark.parametrize("tile", [2, 4])
def test_a_block_by_the_hybrid_algorithm_is_the_same_convolution(tile: int) -> None:
    direct = FullySeparable(6, 8, kernel_size=3, padding=1)
    fast = FullySeparable(6, 8, kernel_size=3, padding=1, conv=hybrid(tile))
    fast.load_state_dict(direct.state_dict())
    x = torch.randn(1, 6, 5, 9, 9)
    difference = fast(x) - direct(x)
    predicted = [layer._winograd.plans[0].predicted_error for layer in (fast.time, fast.space)]
    assert all(plan.algorithm == layer.algorithm for layer in (fast.time, fast.space) for plan in layer._winograd.plans)
    # The relative errors of layers one behind the other add up at most; twice that leaves room for the direct ones.
    assert difference.norm() <= 2 * sum(predicted) * direct(x).norm()
    assert difference.any()


def test_the_two_algorithms_are_the_hybrid_of_the_paper() -> None:
    fast = FullySeparable(4, 4, kernel_size=3, padding=1, conv=hybrid(2))
    assert isinstance(fast.time, Conv3d)
    assert isinstance(fast.space, Conv3d)
    assert isinstance(fast.time.algorithm, NestedAlgorithm)
    assert isinstance(fast.space.algorithm, NestedAlgorithm)
    assert (fast.time.algorithm.m, fast.time.algorithm.rank) == ((2, 1, 1), 4)
    assert (fast.space.algorithm.m, fast.space.algorithm.rank) == ((1, 2, 2), 16)
    assert type(fast.mix) is nn.Conv3d


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("conv", [nn.Conv3d, hybrid(2)])
def test_a_strided_block_has_the_sizes_of_the_convolution(stride: int, conv: Any) -> None:
    plain = nn.Conv3d(3, 5, 3, stride=stride, padding=1, bias=False)
    block = FullySeparable(3, 5, kernel_size=3, stride=stride, padding=1, bias=False, conv=conv)
    x = torch.randn(1, 3, 5, 8, 9)
    time, space, mix = (layer.weight for layer in (block.time, block.space, block.mix))
    kernel = torch.einsum("om,mrs,mct->octrs", mix[:, :, 0, 0, 0], space[:, 0, 0], time[..., 0, 0])
    expected = nn.functional.conv3d(x, kernel, stride=stride, padding=1)
    assert expected.shape == plain(x).shape
    torch.testing.assert_close(block(x), expected)


def test_blocks_take_the_place_of_c3d_s_layers() -> None:
    with torch.device("meta"):
        model, own = create("c3d", num_classes=5), create("lightweight_c3d", num_classes=5)
    names = separate_(model)
    assert names == ("conv1", "conv2", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b")
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    assert shapes == {name: value.shape for name, value in own.state_dict().items()}
    assert model.conv1.time.weight.is_meta


def test_what_is_no_cube_or_not_wanted_stays() -> None:
    layers = {
        "wanted": nn.Conv3d(2, 2, 3, padding=1, dtype=torch.float64),
        "unwanted": nn.Conv3d(2, 2, 3),
        "point": nn.Conv3d(2, 2, 1),
        "flat": nn.Conv3d(2, 2, (1, 3, 3)),
        "groups": nn.Conv3d(2, 2, 3, groups=2),
        "dilated": nn.Conv3d(2, 2, 3, dilation=2),
        "same": nn.Conv3d(2, 2, 3, padding="same"),
        "circular": nn.Conv3d(2, 2, 3, padding=1, padding_mode="circular"),
        "picture": nn.Conv2d(2, 2, 3),
    }
    model = nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    assert separate_(model.eval(), lambda _, name: name != "unwanted") == ("wanted",)
    assert [name for name in layers if model.get_submodule(name) is not layers[name]] == ["wanted"]
    block = model.get_submodule("wanted")
    assert isinstance(block, FullySeparable)
    assert not block.training
    assert block.mix.weight.dtype == torch.float64


def test_a_width_that_is_none_changes_nothing() -> None:
    model = nn.Sequential(nn.Conv3d(2, 2, 3))
    layer = model[0]
    with pytest.raises(ValueError, match=r"width is 0, must be above 0"):
        separate_(model, width=0)
    assert model[0] is layer


@pytest.mark.parametrize(
    ("tile", "error", "message"),
    [(0, ValueError, "tile is 0, must be at least 1"), (2.0, TypeError, "tile is 2.0, must be an integer")],
)
def test_tiles_that_are_none_are_refused(tile: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        hybrid(tile)
