"""Shapes and arguments: what a convolution is, in integers, and what it is not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from winograd.conv.arguments import ConvArguments
from winograd.conv.geometry.shape import ConvShape

GOOD: dict[str, Any] = {
    "batch": 2, "channels": 4, "outputs": 6, "sizes": (5, 6), "taps": (3, 3), "stride": (1, 1), "dilation": (1, 1),
    "padding": ((0, 0), (0, 0)), "groups": 2, "dtype": "float32",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("batch", -1, "batch is -1, must be at least 0"),
        ("channels", 3, "groups is 2, must divide channels 3"),
        ("outputs", 0, "outputs is 0, must be at least 1"),
        ("sizes", (5, 0), r"sizes is \(5, 0\), must be at least 1"),
        ("sizes", (), "0 axes"),
        ("taps", (3,), r"taps is \(3,\)"),
        ("taps", (3, 7), r"padded sizes \(5, 6\) are smaller than the kernel extent \(3, 7\)"),
        ("stride", (1, 0), "stride is"),
        ("dilation", (1, 0), "dilation is"),
        ("dilation", (1, 3), r"kernel extent \(3, 7\)"),
        ("padding", ((0, 0), (0, -1)), "padding is"),
        ("groups", 0, "groups is 0"),
    ],
)
def test_shapes_out_of_range_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvShape(**{**GOOD, name: value})


@given(
    size=st.integers(1, 12), taps=st.integers(1, 4), stride=st.integers(1, 3), dilation=st.integers(1, 3),
    padding=st.one_of(st.integers(0, 3), st.sampled_from(["same", "valid"])),
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_output_sizes_are_those_of_torch(size: int, taps: int, stride: int, dilation: int, padding: int | str) -> None:
    def torch_output() -> tuple[int, ...]:
        line, weight = torch.ones(1, 1, size), torch.ones(1, 1, taps)
        return tuple(torch.conv1d(line, weight, None, stride, padding, dilation).shape)

    try:
        shape = ConvArguments(stride, padding, dilation).shape((1, 1, size), (1, 1, taps), dtype="float32")
    except ValueError:
        with pytest.raises(RuntimeError):
            torch_output()
    else:
        assert (1, 1, *shape.output) == torch_output()


def test_multiplications_are_counted_per_group() -> None:
    assert ConvShape(**GOOD).macs == 2 * 6 * (3 * 4) * 9 * (4 // 2)


def test_arguments_that_are_no_integers_are_refused() -> None:
    for arguments in (ConvArguments(stride=1.5), ConvArguments(padding=None), ConvArguments(groups="2")):  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            arguments.shape((1, 2, 5), (2, 2, 3), dtype="float32")
