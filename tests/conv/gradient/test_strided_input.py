"""The gradient of the input with a stride, a transposed convolution: exact on integers, else torch's own."""

from __future__ import annotations

from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from winograd import nest, toom_cook
from winograd.conv.arguments import ConvArguments
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gradient import run
from winograd.conv.gradient.direct import input_gradient_direct
from winograd.conv.gradient.plan import Gradient, plan_gradient
from winograd.conv.gradient.run import input_gradient
from winograd.conv.gradient.shapes import transposed_shape
from winograd.conv.plan.record import Backend
from winograd.conv.tensors.layout import Layout, in_layout

ALGORITHMS = {
    (2,): nest(toom_cook(3, 2)),
    (1, 3): nest(toom_cook(2, 1), toom_cook(2, 3)),
    (2, 2): nest(toom_cook(3, 2), toom_cook(3, 2)),
    (2, 1, 2): nest(toom_cook(3, 2), toom_cook(2, 1), toom_cook(3, 2)),
}
"""By taps of phases. The points are 0, 1 and -1 at most: what is rounded are small multiples of 1/8."""


@st.composite
def shapes(draw: st.DrawFn) -> tuple[ConvShape, tuple[int, ...]]:
    """Return a convolution with a stride, and the taps of its phases."""
    core, groups = draw(st.sampled_from(sorted(ALGORITHMS))), draw(st.integers(1, 2))
    ndim = len(core)
    stride = draw(st.tuples(*(st.integers(1, 3),) * ndim).filter(lambda steps: max(steps) > 1))
    taps = tuple(draw(st.integers((q - 1) * step + 1, q * step)) for q, step in zip(core, stride, strict=True))
    low, high = (draw(st.tuples(*(st.integers(0, 2),) * ndim)) for _ in range(2))
    sizes = tuple(size + draw(st.integers(0, 5)) for size in taps)
    channels, outputs = (groups * draw(st.integers(1, 5)) for _ in range(2))
    shape = ConvShape(
        batch=draw(st.integers(1, 3)),
        channels=channels,
        outputs=outputs,
        sizes=sizes,
        taps=taps,
        stride=stride,
        dilation=(1,) * ndim,
        padding=tuple(zip(low, high if draw(st.booleans()) else low, strict=True)),
        groups=groups,
        dtype=draw(st.sampled_from(["float32", "float64"])) if ndim == 2 else "float32",
    )
    return shape, core


def integers(shape: ConvShape) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a gradient of the output and a weight of small integers: every sum of their products is exact."""
    torch.manual_seed(0)
    dtype = getattr(torch, shape.dtype)
    slope = torch.randint(-3, 4, (shape.batch, shape.outputs, *shape.output)).to(dtype)
    return slope, torch.randint(-3, 4, shape.weight_sizes).to(dtype)


@given(shapes(), st.sampled_from(Layout))
@settings(max_examples=50)
def test_it_equals_torchs_exactly_on_integers(case: tuple[ConvShape, tuple[int, ...]], layout: Layout) -> None:
    shape, core = case
    slope, weight = integers(shape)
    expected = input_gradient_direct(slope, weight, shape, layout)
    plan = plan_gradient(Gradient.INPUT, shape, algorithm=ALGORITHMS[core])
    assert plan.backend is (Backend.DIRECT if transposed_shape(shape) is None else Backend.NATIVE), plan
    found = input_gradient(plan, in_layout(slope, layout), in_layout(weight, layout), layout)
    assert found.shape == (shape.batch, shape.channels, *shape.sizes)
    assert torch.equal(found, expected)


def test_another_padding_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = ConvArguments(stride=2, padding=1).shape((2, 8, 9, 9), (8, 8, 3, 3), dtype="float32")
    other = ConvArguments(stride=2, padding=2).shape((2, 8, 7, 7), (8, 8, 3, 3), dtype="float32")
    slope, weight = integers(shape)
    plan = plan_gradient(Gradient.INPUT, shape, algorithm=nest(toom_cook(3, 2), toom_cook(3, 2)))
    monkeypatch.setattr(run, "transposed_shape", lambda _: transposed_shape(other))
    found = input_gradient(plan, slope, weight)
    expected = input_gradient_direct(slope, weight, shape, Layout.CHANNELS_FIRST)
    assert not torch.equal(found, expected[:, :, : found.shape[2], : found.shape[3]])


def test_where_torchs_own_is_slow_phases_are_taken() -> None:
    # the stem of R3D-18: torch's own takes 147 ms, with 16 channels 93 ms, phases 26 ms
    stem = ConvArguments(stride=(1, 2, 2), padding=(1, 3, 3))
    plan = plan_gradient(Gradient.INPUT, stem.shape((4, 3, 16, 112, 112), (64, 3, 3, 7, 7), dtype="float32"))
    assert plan.backend is Backend.NATIVE
    assert "transposed with stride (1, 2, 2) by 4 phases" in plan.reason
    small = ConvArguments(stride=2, padding=1).shape((4, 128, 8, 28, 28), (256, 128, 3, 3, 3), dtype="float32")
    assert plan_gradient(Gradient.INPUT, small).backend is Backend.DIRECT


def test_outputs_of_phases_count_against_the_limit() -> None:
    shape = ConvArguments(stride=2, padding=1).shape((4, 32, 32, 32), (32, 32, 3, 3), dtype="float32")
    algorithm = nest(toom_cook(3, 2), toom_cook(3, 2))
    plan = plan_gradient(Gradient.INPUT, shape, algorithm=algorithm, workspace_cap=1_000_000)
    waiting = 4 * 32 * 4 * prod((17, 17))
    assert plan.backend is Backend.NATIVE
    assert waiting < plan.workspace_bytes <= 1_000_000
    none = plan_gradient(Gradient.INPUT, shape, algorithm=algorithm, workspace_cap=waiting)
    assert none.backend is Backend.DIRECT
    assert "the workspace is capped" in none.reason
