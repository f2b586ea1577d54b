"""Phases: which samples, taps and outputs dense convolutions of stride 1 have, exactly, and the copies of them in C."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.algebra.nesting import nest
from winograd.algebra.reduction import reduce_axis
from winograd.algebra.toom_cook import toom_cook
from winograd.conv.arguments import ConvArguments
from winograd.conv.geometry.phases import AxisPhases, Phases, phases_of
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.reference import phases as reference_phases
from winograd.conv.reference.phases import convolve_reference_phases
from winograd.conv.reference.taps import convolve_taps

Meeting = tuple[int, int, int]


@st.composite
def axes(draw: st.DrawFn) -> AxisPhases:
    """Axes with up to 8 taps, any stride and dilation up to 6, asymmetric padding, and at least one output."""
    taps, stride, dilation = (draw(st.integers(1, most)) for most in (8, 6, 6))
    low, high = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    least = max(dilation * (taps - 1) + 1 - low - high, 1)
    return AxisPhases(taps, stride, dilation, least + draw(st.integers(0, 20)), low, high)


@st.composite
def shapes(draw: st.DrawFn, dtype: str = "object") -> ConvShape:
    """Shapes of one to three axes with a stride, a dilation or groups; shrinks to one axis and stride 2."""
    ndim, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    few = st.integers(1, 3)
    taps, stride, dilation = (tuple(draw(few) for _ in range(ndim)) for _ in range(3))
    if groups == 1 and set(stride + dilation) == {1}:
        stride = (2, *stride[1:])
    padding = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(ndim))
    spans = [step * (count - 1) + 1 for step, count in zip(dilation, taps, strict=True)]
    sizes = tuple(
        max(span - low - high, 1) + draw(st.integers(0, 4)) for span, (low, high) in zip(spans, padding, strict=True)
    )
    channels, outputs = groups * draw(few), groups * draw(few)
    return ConvShape(draw(few), channels, outputs, sizes, taps, stride, dilation, padding, groups, dtype)


def meetings(axis: AxisPhases) -> Counter[Meeting]:
    """Return which output, tap and sample the dense convolutions multiply; filled up taps are zeros."""
    return Counter(
        (axis.output_place(p, o), axis.tap(t, q), axis.sample(p, t, o + q - axis.core_padding[0]))
        for p in range(axis.output_phases)
        for t in range(axis.tap_phases)
        for o in range(axis.core_output)
        for q in range(axis.core_taps)
        if axis.output_place(p, o) < axis.output and axis.tap(t, q) < axis.taps
    )


def direct(axis: AxisPhases) -> Counter[Meeting]:
    """Return what the convolution multiplies by its definition."""
    return Counter(
        (o, k, axis.stride * o + axis.dilation * k - axis.low) for o in range(axis.output) for k in range(axis.taps)
    )


@given(axes())
def test_every_output_meets_every_tap_once_at_its_sample(axis: AxisPhases) -> None:
    assert meetings(axis) == direct(axis)
    assert axis.core_output == axis.core_size + sum(axis.core_padding) - axis.core_taps + 1


@given(axes())
def test_phases_are_the_pieces_of_the_reduction(axis: AxisPhases) -> None:
    pieces = reduce_axis(axis.taps, axis.stride, axis.dilation, limit=8).pieces
    shift = 0 if axis.is_dense else axis.low
    found = {
        (axis.sample(p, t, 0) + shift, axis.period, axis.tap(t, 0), axis.output_place(p, 0))
        for p in range(axis.output_phases)
        for t in range(axis.tap_phases)
    }
    wanted = {
        (piece.samples.start, piece.samples.step, piece.taps.start, piece.outputs.start)
        for piece in pieces
        if piece.outputs.start < axis.output
    }
    assert found == wanted


@pytest.mark.parametrize("broken", ["sample", "tap", "output_place"])
def test_a_wrong_place_is_noticed(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    axis = AxisPhases(taps=3, stride=4, dilation=6, size=40, low=1, high=2)
    assert meetings(axis) == direct(axis)
    right = getattr(AxisPhases, broken)
    monkeypatch.setattr(AxisPhases, broken, lambda self, *phases: right(self, *phases) + (phases[0] == 1))
    assert meetings(axis) != direct(axis)


def operands(shape: ConvShape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    sizes = (shape.batch, shape.channels, *shape.sizes), shape.weight_sizes, (shape.outputs,)
    draws = (generator.integers(-9, 9, size) for size in sizes)
    x, w, b = (np.vectorize(lambda number: Fraction(int(number), 7), otypes=[object])(draw) for draw in draws)
    return x, w, b


@given(shapes())
def test_fractions_are_convolved_exactly(shape: ConvShape) -> None:
    phases = phases_of(shape)
    assert phases is not None
    algorithm = nest(*(toom_cook(2, count) for count in phases.core.taps))
    x, w, b = operands(shape)
    found = convolve_reference_phases(x, w, b, algorithm=algorithm, phases=phases)
    assert np.array_equal(found, convolve_taps(x, w, b, shape))


@pytest.mark.parametrize("broken", ["split_samples", "split_taps", "join_outputs"])
def test_a_wrong_copy_is_noticed(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = ConvShape(2, 4, 4, (9, 9), (3, 3), (1, 3), (2, 1), ((1, 1),) * 2, 2, "object")
    phases = phases_of(shape)
    assert phases is not None
    right = getattr(reference_phases, broken)
    monkeypatch.setattr(reference_phases, broken, lambda *given: np.flip(right(*given), axis=1))
    x, w, b = operands(shape)
    algorithm = nest(*(toom_cook(2, count) for count in phases.core.taps))
    found = convolve_reference_phases(x, w, b, algorithm=algorithm, phases=phases)
    assert not np.array_equal(found, convolve_taps(x, w, b, shape))


def test_sizes_of_a_stem_and_of_groups() -> None:
    stem = ConvArguments(stride=(1, 2, 2), padding=(1, 3, 3)).shape(
        (4, 3, 16, 112, 112), (64, 3, 3, 7, 7), dtype="float32"
    )
    phases = phases_of(stem)
    assert phases is not None
    assert (phases.core.channels, phases.core.taps, phases.core.padding) == (12, (3, 4, 4), ((1, 1), (0, 0), (0, 0)))
    assert phases.core.output == stem.output
    assert (phases.joins, phases.runs, phases.held_bytes) == (False, 1, 4 * 4 * 12 * 16 * 59 * 59)
    two = replace(phases, images=2)
    assert (two.runs, two.held_bytes, two.copied_bytes) == (2, phases.held_bytes // 2, 2 * phases.held_bytes)
    grouped = phases_of(ConvArguments(groups=4, padding=1).shape((1, 64, 9, 9), (32, 16, 3, 3), dtype="float16"))
    assert grouped is not None
    assert (grouped.joins, grouped.runs, grouped.core.channels, grouped.core.outputs) == (True, 4, 16, 8)
    assert (grouped.held_bytes, grouped.copied_bytes) == (2624 + 1296, 2 * 4 * 2 * (16 + 8) * 81)
    assert grouped.label == "4 groups one by one"


def test_dense_shapes_have_no_phases() -> None:
    dense = ConvArguments(padding=1).shape((1, 3, 9), (8, 3, 3), dtype="float32")
    assert phases_of(dense) is None
    with pytest.raises(ValueError, match="one of them must not be"):
        Phases(dense, 1)
    with pytest.raises(ValueError, match="images is 0"):
        Phases(replace(dense, stride=(2,)), 0)
