"""Transposed convolutions in integers: the dense convolution reads the samples and taps that the definition names."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.conv.transposed.arguments import TransposedArguments
from winograd.conv.transposed.shape import TransposedAxis


@st.composite
def axes(draw: st.DrawFn) -> TransposedAxis:
    """Axes with any stride, dilation and padding that leave an output; shrinks to one tap and one sample."""
    taps, size = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    stride, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    more = draw(st.integers(0, max(stride, dilation) - 1))
    bare = TransposedAxis(taps, stride, dilation, size, 0, more)
    return TransposedAxis(taps, stride, dilation, size, draw(st.integers(0, (bare.output - 1) // 2)), more)


def pairs(axis: TransposedAxis) -> dict[int, set[tuple[int, int]]]:
    """Return the pairs (sample, tap) of every output, by the definition."""
    found: dict[int, set[tuple[int, int]]] = {j: set() for j in range(axis.output)}
    for i in range(axis.size):
        for k in range(axis.taps):
            j = axis.stride * i + axis.dilation * k - axis.padding
            if 0 <= j < axis.output:
                found[j].add((i, k))
    return found


def core_pairs(axis: TransposedAxis) -> dict[int, set[tuple[int, int]]]:
    """Return the same pairs as the dense convolution of each phase makes them."""
    found: dict[int, set[tuple[int, int]]] = {}
    for q in range(axis.stride):
        first, place, count = axis.outputs_of(q)
        for number in range(count):
            read = set()
            for t in range(axis.core_taps):
                window = first + number + axis.core_dilation * (axis.core_taps - 1 - t)
                sample, spread = window - axis.margins[0], axis.stride * t + q
                step = axis.dilation if axis.spreads else 1
                if 0 <= sample < axis.size and spread % step == 0 and spread // step < axis.taps:
                    read.add((sample, spread // step))
            found[place + number * axis.stride] = read
    return found


@given(axes())
def test_all_phases_together_read_what_the_definition_says(axis: TransposedAxis) -> None:
    assert core_pairs(axis) == pairs(axis)


@given(axes())
def test_no_phase_reads_beyond_the_dense_convolution(axis: TransposedAxis) -> None:
    padded = axis.size + sum(axis.margins)
    assert padded == axis.core_output + axis.core_dilation * (axis.core_taps - 1)
    assert all(sum(axis.outputs_of(q)[::2]) <= axis.core_output for q in range(axis.stride))


def test_a_margin_that_is_off_by_one_is_noticed() -> None:
    @dataclass(frozen=True)
    class Shifted(TransposedAxis):
        @property
        def margins(self) -> tuple[int, int]:
            low, high = super().margins
            return low + 1, high - 1

    assert core_pairs(Shifted(4, 2, 1, 5, 1, 0)) != pairs(TransposedAxis(4, 2, 1, 5, 1, 0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (TransposedArguments(stride=0), r"stride is \(0, 0\), must be at least 1"),
        (TransposedArguments(padding=-1), r"padding is \(-1, -1\), must be at least 0"),
        (TransposedArguments(stride=2, output_padding=2), "output_padding is 2, must be below the stride 2"),
        (TransposedArguments(padding=9), r"output sizes are \(-10, -9\), must be at least 1"),
        (TransposedArguments(groups=3), "input has 4 channels, must have 4, a multiple of groups 3"),
        (TransposedArguments(stride=(1, 2, 3)), r"stride is \(1, 2, 3\), must be one integer or 2"),
    ],
)
def test_what_makes_no_transposed_convolution_is_refused(arguments: TransposedArguments, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        arguments.shape((1, 4, 6, 7), (4, 2, 3, 3), dtype="float32")


def test_an_argument_that_is_no_integer_is_refused() -> None:
    with pytest.raises(TypeError, match="padding is 'same', must be one integer or 2"):
        TransposedArguments(padding="same").shape((1, 4, 6, 7), (4, 2, 3, 3), dtype="float32")


def test_the_label_says_how_it_is_taken() -> None:
    labels = [
        TransposedArguments(stride, dilation=dilation).shape((1, 4, 6, 7), (4, 2, 3, 3), dtype="float32").label
        for stride, dilation in ((1, 2), (2, 1), ((2, 1), 3))
    ]
    assert labels == [
        "transposed",
        "transposed with stride (2, 2) by 4 phases",
        "transposed with stride (2, 1) by 2 phases, zeros between taps",
    ]


def test_one_tap_has_no_dilation() -> None:
    assert TransposedAxis(1, 1, 3, 9, 0, 0).core_dilation == 1
    assert TransposedAxis(2, 1, 3, 9, 0, 0).core_dilation == 3
