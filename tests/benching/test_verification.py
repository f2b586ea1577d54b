"""Errors against float64: the reference by slabs is exact on integers, and what is wrong does not pass."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from winograd.benching import verification
from winograd.benching.verification import (
    AboveToleranceError,
    check_tolerance,
    check_torchs_own,
    float64_reference,
    measured_errors,
    verified_outputs,
)
from winograd.conv.arguments import ConvArguments, Padding
from winograd.conv.direct.convolve import FUNCTIONS
from winograd.conv.geometry.shape import ConvShape


def integers(*sizes: int, seed: int = 0) -> Tensor:
    return torch.randint(-9, 10, sizes, generator=torch.Generator().manual_seed(seed)).float()


def drawn(sizes: tuple[int, ...], taps: tuple[int, ...], padding: Padding) -> tuple[Tensor, Tensor, Tensor, ConvShape]:
    input, weight, bias = integers(*sizes), integers(4, sizes[1], *taps, seed=1), integers(4, seed=2)
    return input, weight, bias, ConvArguments(padding=padding).shape(sizes, tuple(weight.shape), dtype="float32")


@pytest.mark.parametrize("slab_bytes", [1, 5000, 2**28])
@pytest.mark.parametrize(
    ("sizes", "taps", "padding"),
    [
        ((2, 3, 7, 5, 6), (3, 3, 3), 1),
        ((1, 3, 7, 5, 6), (1, 3, 3), "same"),
        ((1, 3, 7, 5, 6), (3, 1, 1), (1, 0, 0)),
        ((2, 3, 9, 8), (3, 3), 1),
        ((2, 3, 9), (5,), 2),
    ],
)
def test_the_reference_is_direct_convolution(
    sizes: tuple[int, ...], taps: tuple[int, ...], padding: Padding, slab_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "_SLAB_BYTES", slab_bytes)
    input, weight, bias, shape = drawn(sizes, taps, padding)
    whole = FUNCTIONS[len(taps)](input.double(), weight.double(), bias.double(), padding=padding)
    assert torch.equal(float64_reference(input, weight, bias, shape), whole)
    without = FUNCTIONS[len(taps)](input.double(), weight.double(), None, padding=padding)
    assert torch.equal(float64_reference(input, weight, None, shape), without)


def test_errors_are_relative_and_a_flipped_weight_is_seen() -> None:
    input, weight, bias, shape = drawn((1, 3, 7, 5, 6), (3, 3, 3), 1)
    exact = float64_reference(input, weight, bias, shape)
    flipped = weight.clone()
    flipped[0, 0, 0, 0, 0] = -flipped[0, 0, 0, 0, 0]
    errors = measured_errors(
        {
            "right": lambda: torch.conv3d(input, weight, bias, padding=1),
            "doubled": lambda: 2 * exact,
            "flipped": lambda: torch.conv3d(input, flipped, bias, padding=1),
        },
        exact,
    )
    assert errors["right"] == 0
    assert errors["doubled"] == 1
    assert errors["flipped"] > 1e-3


def test_outputs_of_other_sizes_are_an_error_of_ours() -> None:
    with pytest.raises(RuntimeError, match=r"output of sizes \(1, 2\), must be \(1, 3\)"):
        measured_errors({"wrong": lambda: torch.zeros(1, 2)}, torch.zeros(1, 3))


def test_the_tolerance_is_kept_by_every_memory_format() -> None:
    check_tolerance("conv1", "native F(2,3)", {"contiguous": 1e-6, "channels_last": 2e-6}, 2e-6, "float32")
    for error in (2.1e-6, math.nan, math.inf):
        with pytest.raises(AboveToleranceError, match=r"^conv1 by native F\(2,3\), channels_last: measured error"):
            check_tolerance("conv1", "native F(2,3)", {"contiguous": 1e-6, "channels_last": error}, 2e-6, "float32")


def test_the_rounding_of_16_bits_is_left_out_of_the_tolerance() -> None:
    check_tolerance("conv1", "native F(2,3)", {"contiguous": 4e-4}, 2e-6, "float16")
    with pytest.raises(AboveToleranceError, match=r"above the tolerance 2e-06 and the rounding of float16$"):
        check_tolerance("conv1", "native F(2,3)", {"contiguous": 5e-4}, 2e-6, "float16")


def test_what_torch_computes_has_the_errors_of_torch() -> None:
    check_torchs_own("conv1", {"contiguous": 1e-16}, {"default": 0.0}, "float64")  # the reference is one of them
    check_torchs_own("conv1", {"contiguous": 9e-7}, {"default": 1e-7, "onednn": 5e-7}, "float32")
    for error in (1.1e-6, math.nan):
        with pytest.raises(AboveToleranceError, match=r"^conv1 by direct convolution, contiguous: .* 2 times that of"):
            check_torchs_own("conv1", {"contiguous": error}, {"default": 1e-7, "onednn": 5e-7}, "float32")


@pytest.mark.parametrize("slab_bytes", [1, 5000])
@pytest.mark.parametrize(
    ("sizes", "taps", "arguments"),
    [
        ((2, 4, 9, 8, 7), (3, 3, 3), {"stride": 2, "padding": 1}),
        ((1, 4, 9, 8, 7), (2, 3, 1), {"stride": (3, 1, 2), "dilation": (2, 1, 1)}),
        ((2, 4, 9, 8), (3, 3), {"groups": 2, "padding": 1}),
        ((1, 4, 19), (4,), {"groups": 4, "padding": "same", "dilation": 2}),
    ],
)
def test_the_reference_has_strides_dilation_and_groups(
    sizes: tuple[int, ...],
    taps: tuple[int, ...],
    arguments: dict[str, Any],
    slab_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verification, "_SLAB_BYTES", slab_bytes)
    input, weight = integers(*sizes), integers(8, 4 // arguments.get("groups", 1), *taps, seed=1)
    shape = ConvArguments(**arguments).shape(sizes, tuple(weight.shape), dtype="float32")
    whole = FUNCTIONS[len(taps)](input.double(), weight.double(), None, **arguments)
    assert torch.equal(float64_reference(input, weight, None, shape), whole)


def test_of_large_layers_some_outputs_are_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    input, weight, bias, shape = drawn((1, 3, 7, 5, 6), (3, 3, 3), 1)
    assert verified_outputs(shape) == slice(None, None, None)
    monkeypatch.setattr(verification, "_VERIFIED_MACS", shape.macs // 2)
    monkeypatch.setattr(verification, "_LEAST_OUTPUTS", 2)
    some = verified_outputs(shape)
    assert some == slice(None, None, 2)
    exact = float64_reference(input, weight, bias, shape, some)
    assert torch.equal(exact, float64_reference(input, weight, bias, shape)[:, ::2])
    errors = measured_errors({"right": lambda: torch.conv3d(input, weight, bias, padding=1)}, exact, some)
    assert errors == {"right": 0}
