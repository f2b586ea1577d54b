"""torch's own convolution in all its variants: the same values, whatever the layout and whoever packs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from winograd.conv.arguments import ConvArguments
from winograd.conv.direct import FUNCTIONS, convolve_direct, convolve_packed, direct_variants, pack_direct

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
