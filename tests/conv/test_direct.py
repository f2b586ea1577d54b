"""torch's own convolution in all its variants: the same values, whatever the layout and whoever packs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from winograd.conv.arguments import ConvArguments
from winograd.conv.direct import (
    FUNCTIONS,
    convolve_direct,
    convolve_packed,
    direct_variants,
    is_faster_packed,
    is_slow_in_torch,
    is_worth_packing,
    pack_direct,
)

CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "3D": ((1, 8, 5, 6, 7), (16, 8, 3, 3, 3), {"padding": 1}),
    "3D, batch, stride, dilation": ((2, 8, 9, 9, 9), (16, 8, 3, 3, 3), {"stride": 2, "dilation": 2}),
    "3D, groups": ((1, 8, 5, 6, 7), (16, 4, 3, 3, 3), {"groups": 2}),
    "3D, uneven padding": ((1, 4, 5, 6, 7), (6, 4, 2, 3, 4), {"padding": "same"}),
    "3D, three channels": ((1, 3, 5, 6, 7), (16, 3, 3, 3, 3), {"padding": 1}),
    "2D": ((2, 8, 9, 7), (16, 8, 3, 3), {"padding": 1}),
    "2D, depthwise": ((2, 8, 9, 7), (8, 1, 3, 3), {"groups": 8}),
}

DEFAULTS = {"default", "channels_last"}
ONEDNN = {f"{name}{layout}" for name in ("onednn", "onednn_prepacked") for layout in ("", "_channels_last")}


def operands(case: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, ConvArguments]:
    input_sizes, weight_sizes, options = CASES[case]
    generator = torch.Generator().manual_seed(0)
    # Small integers: every sum is exact in float32, whatever its order.
    input_ = torch.randint(-8, 9, input_sizes, generator=generator).float()
    weight = torch.randint(-8, 9, weight_sizes, generator=generator).float()
    return input_, weight, torch.arange(float(weight_sizes[0])), ConvArguments(**options)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("case", CASES)
def test_variants_have_the_same_values(case: str) -> None:
    input_, weight, bias, arguments = operands(case)
    shape = arguments.shape(input_.shape, weight.shape, dtype="float32")
    expected = FUNCTIONS[shape.ndim](
        input_, weight, bias, arguments.stride, arguments.padding, arguments.dilation, arguments.groups
    )
    variants = direct_variants(input_, weight, bias, shape)
    assert set(variants) == DEFAULTS | ONEDNN
    for name, run in variants.items():
        assert torch.equal(run(), expected), name
    assert torch.equal(convolve_direct(input_, weight, bias, shape), expected)


def test_a_packed_weight_does_not_follow_changes_and_knows_its_size() -> None:
    input_, weight, bias, arguments = operands("3D")
    shape = arguments.shape(input_.shape, weight.shape, dtype="float32")
    packed = pack_direct(weight, shape)
    assert packed is not None
    assert packed.nbytes == weight.nbytes
    before = convolve_packed(input_, packed, bias)
    weight.zero_()
    assert torch.equal(convolve_packed(input_, packed, bias), before)


def test_variants_that_do_not_exist_are_left_out() -> None:
    line, weight = torch.ones(1, 2, 9), torch.ones(3, 2, 3)
    shape = ConvArguments().shape(line.shape, weight.shape, dtype="float32")
    assert list(direct_variants(line, weight, None, shape)) == ["default"]
    image, weight = torch.ones(1, 2, 9, 9).double(), torch.ones(3, 2, 3, 3).double()
    shape = ConvArguments().shape(image.shape, weight.shape, dtype="float64")
    assert list(direct_variants(image, weight, None, shape)) == ["default", "channels_last"]
    assert pack_direct(weight, shape) is None


@pytest.mark.parametrize("channels", [8, 64, 256])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("taps", [(3, 3, 3), (1, 3, 3), (3, 1, 1), (3, 3, 5), (3, 5, 5)])
@pytest.mark.parametrize("geometry", [{}, {"stride": 2}, {"dilation": 2}])
def test_the_slow_way_of_torch_is_known(
    channels: int, batch: int, groups: int, taps: tuple[int, ...], geometry: dict[str, int]
) -> None:
    input_, weight = torch.empty(batch, channels, 9, 11, 12), torch.empty(512, channels // groups, *taps)
    shape = ConvArguments(padding=2, groups=groups, **geometry).shape(input_.shape, weight.shape, dtype="float32")
    assert is_worth_packing(shape)
    chosen = torch._C._select_conv_backend(
        input_, weight, None, shape.stride, (2, 2, 2), shape.dilation, False, (0, 0, 0), groups, None
    )
    assert is_slow_in_torch(weight, shape) == ("Slow" in str(chosen))


def test_small_and_pointwise_layers_are_left_to_torch() -> None:
    image, weight = torch.empty(1, 8, 4, 4, 4), torch.empty(16, 8, 3, 3, 3)
    shape = ConvArguments(padding=1).shape(image.shape, weight.shape, dtype="float32")
    assert not is_slow_in_torch(weight, shape)
    assert not is_worth_packing(shape)
    image, weight = torch.empty(1, 256, 4, 14, 14), torch.empty(64, 256, 1, 1, 1)
    shape = ConvArguments().shape(image.shape, weight.shape, dtype="float32")
    assert not is_slow_in_torch(weight, shape)
    assert not is_worth_packing(shape)


def test_a_packed_weight_is_read_where_it_is_the_smaller_part_to_reorder() -> None:
    def decide(channels: int, size: int, memory_format: torch.memory_format) -> bool:
        input_ = torch.empty(1, channels, size, size, size).contiguous(memory_format=memory_format)
        weight = torch.empty(64, channels, 3, 3, 3)
        shape = ConvArguments(padding=1).shape(input_.shape, weight.shape, dtype="float32")
        return is_faster_packed(input_, weight, shape)

    assert decide(3, 16, torch.channels_last_3d)
    assert not decide(3, 16, torch.contiguous_format)
    assert decide(256, 4, torch.contiguous_format)
