"""torch's own convolution in all its variants: the same values, whatever the layout and whoever packs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from winograd.conv.arguments import ConvArguments
from winograd.conv.direct.convolve import (
    FUNCTIONS,
    convolve_direct,
    is_faster_packed,
    is_slow_in_torch,
    is_unfolded,
    is_worth_packing,
)
from winograd.conv.direct.packed import convolve_packed, pack_direct, torchs_own
from winograd.conv.direct.variants import direct_variants
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.tensors.layout import Layout, torchs_layout

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


def test_variants_read_the_copies_that_there_are() -> None:
    input_, weight, bias, arguments = operands("3D")
    shape = arguments.shape(input_.shape, weight.shape, dtype="float32")
    packed = pack_direct(weight, shape)
    assert packed is not None
    variants: dict[str, Any] = direct_variants(input_, weight, bias, shape, packed=packed)
    assert variants["onednn_prepacked"].func is variants["onednn_prepacked_channels_last"].func is packed.run
    variants = direct_variants(input_, weight, bias, shape)
    assert variants["onednn_prepacked"].func is not packed.run
    input_, weight, shape = empties(2, 2, 4, (4, 4, 4), (2, 2, 2))
    own = torchs_own(weight, shape)
    assert own is not None
    variants = direct_variants(input_, weight, None, shape, packed=own)
    assert variants["channels_last"].args[1] is own.kept


def empties(
    batch: int, channels: int, outputs: int, sizes: tuple[int, ...], taps: tuple[int, ...], **arguments: Any
) -> tuple[torch.Tensor, torch.Tensor, ConvShape]:
    """Tensors of which only the sizes count, and their shape."""
    input_ = torch.empty(batch, channels, *sizes)
    weight = torch.empty(outputs, channels // arguments.get("groups", 1), *taps)
    return input_, weight, ConvArguments(**arguments).shape(input_.shape, weight.shape, dtype="float32")


@pytest.mark.parametrize("channels", [8, 64, 256])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("taps", [(3, 3, 3), (1, 3, 3), (3, 1, 1), (3, 3, 5), (3, 5, 5), (3, 3), (3, 5), (5, 5)])
@pytest.mark.parametrize("geometry", [{}, {"stride": 2}, {"dilation": 2}])
def test_the_slow_way_of_torch_is_known(
    channels: int, batch: int, groups: int, taps: tuple[int, ...], geometry: dict[str, int]
) -> None:
    sizes = (9, 13, 14)[3 - len(taps) :]
    input_, weight, shape = empties(batch, channels, 2048, sizes, taps, padding=2, groups=groups, **geometry)
    assert is_worth_packing(shape)
    chosen = torch._C._select_conv_backend(
        input_, weight, None, shape.stride, (2,) * len(taps), shape.dilation, False, (0,) * len(taps), groups, None
    )
    assert is_slow_in_torch(weight, shape) == ("Slow" in str(chosen))


def test_small_layers_are_left_to_torch() -> None:
    _, weight, shape = empties(1, 8, 16, (4, 4, 4), (3, 3, 3), padding=1)
    assert not is_slow_in_torch(weight, shape)
    assert not is_worth_packing(shape)
    _, weight, shape = empties(1, 64, 64, (2, 7, 7), (1, 1, 1))
    assert not is_slow_in_torch(weight, shape)
    assert not is_worth_packing(shape)


@pytest.mark.parametrize(
    ("given", "arguments", "expected"),
    [
        ((2, 8, 8, (2, 4, 4), (1, 1, 1)), {}, False),
        ((1, 8, 8, (9, 9), (5, 5)), {}, False),
        ((2, 4, 4, (8, 8), (3, 3)), {"groups": 2}, False),
        ((2, 6, 6, (8, 8), (3, 3)), {"groups": 6}, False),
        ((2, 128, 128, (14, 14), (3, 3)), {"groups": 128}, True),  # each group is filled up to a block
        ((2, 64, 64, (8, 8), (1, 1)), {}, False),
        ((2, 64, 64, (3, 3, 3), (3, 3, 3)), {}, True),  # few multiplications, many weights
        ((2, 32, 32, (8, 8), (3, 3)), {"padding": 1}, True),
        ((1, 512, 512, (1, 7, 7), (3, 3, 3)), {"groups": 512, "padding": 1}, True),
    ],
)
def test_what_torch_gives_to_onednn_is_worth_packing_from_some_work_on(
    given: tuple[Any, ...], arguments: dict[str, int], expected: bool
) -> None:
    _, weight, shape = empties(*given, **arguments)
    assert is_worth_packing(shape) == expected
    assert not is_slow_in_torch(weight, shape)


def test_one_tap_is_faster_in_onednn_where_it_is_large() -> None:
    _, weight, shape = empties(1, 128, 512, (4, 10, 10), (1, 1, 1))
    assert is_slow_in_torch(weight, shape)
    assert is_worth_packing(shape)


def test_a_weight_is_not_reordered_in_a_call_for_few_places() -> None:
    for size, expected in ((4, False), (8, True)):
        _, weight, shape = empties(1, 256, 256, (1, size, size), (3, 3, 3), padding=1)
        assert is_slow_in_torch(weight, shape) == expected
        assert is_worth_packing(shape)


@pytest.mark.parametrize(("channels", "outputs", "expected"), [(2, 512, False), (24, 48, True), (2, 2048, True)])
def test_torchs_way_is_not_slow_where_little_is_unfolded(channels: int, outputs: int, expected: bool) -> None:
    _, weight, shape = empties(1, channels, outputs, (26, 14, 21), (6, 1, 1), stride=3)
    assert is_unfolded(shape)
    assert is_slow_in_torch(weight, shape) == expected


@pytest.mark.parametrize(("channels", "outputs", "expected"), [(384, 512, True), (64, 128, False)])
def test_one_tap_is_packed_where_its_weight_is_large(channels: int, outputs: int, expected: bool) -> None:
    *_, shape = empties(1, channels, outputs, (2, 1, 2), (1, 1, 1))
    assert shape.macs < 1_000_000
    assert is_worth_packing(shape) == expected


def test_one_axis_has_no_packed_weight() -> None:
    _, weight, shape = empties(1, 256, 256, (400,), (3,))
    assert not is_worth_packing(shape)
    assert not is_slow_in_torch(weight, shape)


@pytest.mark.parametrize(
    ("channels", "size", "taps", "memory_format", "expected"),
    [
        (3, 32, 3, torch.channels_last_3d, True),
        (3, 32, 3, torch.contiguous_format, False),  # more outputs to copy than weights to reorder
        (3, 8, 3, torch.contiguous_format, True),  # few outputs
        (1024, 16, 3, torch.contiguous_format, True),  # few outputs beside the weight
        (1024, 4, 1, torch.contiguous_format, False),
        (1024, 4, 1, torch.channels_last_3d, True),
    ],
)
def test_a_packed_weight_is_read_where_copying_the_output_costs_less_than_reordering(
    channels: int, size: int, taps: int, memory_format: torch.memory_format, expected: bool
) -> None:
    input_, weight, shape = empties(1, channels, 64, (size,) * 3, (taps,) * 3, padding=taps // 2)
    layout = torchs_layout(input_.contiguous(memory_format=memory_format), weight)
    assert is_faster_packed(shape, layout) == expected


@pytest.mark.parametrize(("channels", "size"), [(2, 243), (5, 243), (3, 16)])
def test_a_packed_weight_is_read_for_all_inputs_in_channels_last(channels: int, size: int) -> None:
    _, weight, shape = empties(2, channels, 32, (size, size), (3, 3), stride=2)
    packed = pack_direct(weight, shape)
    assert packed is not None
    assert Layout.CHANNELS_LAST in packed.layouts


def test_writing_an_unfolded_input_is_worth_packing_too() -> None:
    *_, shape = empties(1, 7, 1, (24, 24, 14), (5, 1, 1), padding=(2, 0, 0))
    assert shape.macs < 300_000
    assert is_worth_packing(shape)


def test_torchs_own_reads_the_weight_in_the_format_of_the_input() -> None:
    shape = ConvArguments(padding=1).shape((1, 4, 5, 6, 7), (20, 4, 3, 3, 3), dtype="float32")
    input_, weight = torch.randn(1, 4, 5, 6, 7), torch.randn(20, 4, 3, 3, 3)
    own = torchs_own(weight, shape)
    assert own is not None
    last = torch.channels_last_3d
    expected = torch.conv3d(input_.to(memory_format=last), weight.to(memory_format=last), padding=1)
    assert torch.equal(own(input_.to(memory_format=last), weight, None), expected)
    assert torch.equal(own(input_, weight, None), torch.conv3d(input_, weight, padding=1))
    assert own.nbytes == weight.nbytes
    own = torchs_own(weight.to(memory_format=last), shape)
    assert own is not None
    assert own.nbytes == 0


def test_torchs_own_adds_uneven_zeros_first() -> None:
    shape = ConvArguments(padding="same").shape((1, 4, 9), (20, 4, 4), dtype="float32")
    input_, weight = torch.randn(1, 4, 9), torch.randn(20, 4, 4)
    own = torchs_own(weight, shape)
    assert own is not None
    assert torch.equal(own(input_, weight, None), torch.nn.functional.conv1d(input_, weight, padding="same"))
