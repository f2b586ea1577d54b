"""Strided, dilated and grouped convolutions by native kernels: right in every dtype, layout and part of the batch."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from winograd.algebra.nesting import nest  # noqa: E402
from winograd.algebra.toom_cook import toom_cook  # noqa: E402
from winograd.codegen.compiler import BuildError  # noqa: E402
from winograd.conv import scratch  # noqa: E402
from winograd.conv.arguments import ConvArguments  # noqa: E402
from winograd.conv.choosing.selection import Filters  # noqa: E402
from winograd.conv.convolve import conv2d, conv3d  # noqa: E402
from winograd.conv.geometry.phases import phases_of  # noqa: E402
from winograd.conv.geometry.shape import ConvShape  # noqa: E402
from winograd.conv.limits import memory_limits  # noqa: E402
from winograd.conv.native import copying, phased  # noqa: E402
from winograd.conv.native.copying import Copier  # noqa: E402
from winograd.conv.native.phased import core_weights  # noqa: E402
from winograd.conv.plan.record import Backend  # noqa: E402
from winograd.conv.planning.make import make_plan  # noqa: E402
from winograd.conv.reference.phases import join_outputs, split_samples, split_taps  # noqa: E402
from winograd.conv.running import runnable  # noqa: E402
from winograd.conv.running.packing import pack_for_plan  # noqa: E402
from winograd.conv.running.run import run_plan  # noqa: E402
from winograd.conv.tensors.layout import Layout, in_layout, is_dense_in, torchs_layout  # noqa: E402

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64}
DIRECT = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
FIRST, LAST = Layout.CHANNELS_FIRST, Layout.CHANNELS_LAST


def random_shape(number: int, dtype: str = "float32") -> ConvShape:
    """Return a shape with a stride, a dilation or groups, asymmetric padding and ragged sizes."""
    draw = random.Random(number)
    ndim, groups = draw.randint(1, 3), draw.choice((1, 1, 2, 3))
    taps, stride, dilation = ([draw.randint(1, most) for _ in range(ndim)] for most in (4, 3, 3))
    if groups == 1 and max(stride + dilation) == 1:
        stride[0] = 2
    padding = tuple((draw.randint(0, 3), draw.randint(0, 3)) for _ in range(ndim))
    sizes = [(count - 1) * step + 1 + draw.randint(0, 9) for count, step in zip(taps, dilation, strict=True)]
    channels, outputs = (groups * draw.randint(1, 20) for _ in range(2))
    parts = map(tuple, (sizes, taps, stride, dilation))
    return ConvShape(draw.choice((1, 2, 5)), channels, outputs, *parts, padding, groups, dtype)


def normal(*sizes: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed)).to(dtype)


def direct_f64(shape: ConvShape, input, weight, bias) -> torch.Tensor:
    sides = [side for pair in reversed(shape.padding) for side in pair]
    padded = torch.nn.functional.pad(input.double(), sides)
    return DIRECT[shape.ndim](padded, weight.double(), bias.double(), shape.stride, 0, shape.dilation, shape.groups)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", range(12))
def test_copies_in_c_are_those_in_numpy(number: int, dtype: str) -> None:
    shape = random_shape(number, dtype)
    phases = phases_of(shape)
    assert phases is not None
    input = normal(shape.batch, shape.channels, *shape.sizes, dtype=DTYPES[dtype])
    weight = normal(*shape.weight_sizes)
    expected = split_samples(input.double().numpy(), phases)
    assert np.array_equal(core_weights(phases, weight), split_taps(weight.numpy(), phases))
    copier, core = Copier(phases), phases.core
    memory = torch.empty(phases.copies_bytes[0], dtype=torch.uint8)
    dense = normal(shape.groups, core.batch, core.outputs, *core.output, dtype=DTYPES[dtype])
    for layout in Layout:
        whole = in_layout(
            torch.full((shape.batch, shape.outputs, *shape.output), math.nan, dtype=DTYPES[dtype]), layout
        )
        for group in range(shape.groups):
            found = copier.split(in_layout(input, layout), layout, group, memory)
            assert np.array_equal(found.double().numpy(), expected[group])
            own = whole[:, group * core.outputs : (group + 1) * core.outputs]
            copier.join(in_layout(dense[group], layout), own, layout)
        assert np.array_equal(whole.double().numpy(), join_outputs(dense.double().numpy(), phases))


@pytest.mark.parametrize("number", range(40))
def test_forced_plans_err_as_predicted(number: int) -> None:
    draw = random.Random(number)
    dtype = draw.choice(list(DTYPES))
    shape = random_shape(100 + number, dtype)
    phases = phases_of(shape)
    assert phases is not None
    algorithm = nest(*(toom_cook(draw.randint(1, 3), count) for count in phases.core.taps))
    cap = draw.choice((None, 400000))
    plan = make_plan(shape, algorithm=algorithm, filters=Filters.FROZEN, workspace_cap=cap)
    assert plan.backend is Backend.NATIVE
    layout, seed = draw.choice(list(Layout)), number
    input = in_layout(normal(shape.batch, shape.channels, *shape.sizes, dtype=DTYPES[dtype], seed=seed), layout)
    weight, bias = (
        normal(*sizes, dtype=DTYPES[dtype], seed=seed + 1) for sizes in (shape.weight_sizes, (shape.outputs,))
    )
    exact = direct_f64(shape, input, weight, bias)
    packed = pack_for_plan(plan, weight)
    output = run_plan(plan, input, weight, bias, packed=packed)
    assert output.shape == exact.shape
    assert is_dense_in(output, torchs_layout(input, weight))
    assert torch.equal(run_plan(plan, input, weight, bias), output)
    error = float((output.double() - exact).norm() / exact.norm())
    assert error <= 3 * plan.predicted_error  # few tiles and few channels: norms scatter
    assert packed.nbytes <= plan.filter_bytes


@pytest.mark.parametrize(("stride", "dilation", "groups"), [(2, 1, 1), (1, 2, 1), (2, 1, 2)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_residual_and_relu_follow_the_convolution(dtype: str, stride: int, dilation: int, groups: int) -> None:
    arguments = ConvArguments(stride=stride, dilation=dilation, groups=groups, padding=dilation)
    shape = arguments.shape((3, 16, 11, 13), (32, 16 // groups, 3, 3), dtype=dtype)
    phases = phases_of(shape)
    assert phases is not None
    plan = make_plan(shape, algorithm=nest(*(toom_cook(2, count) for count in phases.core.taps)))
    # Integers: F(2, r) with few taps is exact in float32, so each rounding of bfloat16 can be seen.
    input, weight, bias = (
        normal(*sizes).round().to(DTYPES[dtype]) for sizes in ((3, 16, 11, 13), shape.weight_sizes, (32,))
    )
    exact = direct_f64(shape, input, weight, bias)
    residual = normal(*exact.shape, seed=4).round().to(DTYPES[dtype])
    for layout in Layout:
        found = run_plan(plan, in_layout(input, layout), weight, bias, residual=residual, relu=True)
        if phases.joins:
            assert torch.equal(found, torch.relu(exact.to(DTYPES[dtype]) + residual))
        else:
            assert torch.equal(found, torch.relu(exact + residual).to(DTYPES[dtype]))


def test_a_stem_with_stride_runs_natively_without_being_asked() -> None:
    input, weight, bias = normal(1, 3, 16, 48, 48), normal(64, 3, 3, 7, 7), normal(64)
    shape = ConvArguments(stride=(1, 2, 2), padding=(1, 3, 3)).shape(input.shape, weight.shape, dtype="float32")
    plan = make_plan(shape, filters=Filters.FROZEN)
    assert plan.backend is Backend.NATIVE
    assert "stride (1, 2, 2) by 4 phases" in plan.reason
    assert plan.core == phases_of(shape).core
    exact = direct_f64(shape, input, weight, bias)
    output = run_plan(plan, input, weight, bias, packed=pack_for_plan(plan, weight))
    assert float((output - exact).norm() / exact.norm()) <= 1e-5
    live = conv3d(input, weight, bias, stride=(1, 2, 2), padding=(1, 3, 3))
    assert float((live - exact).norm() / exact.norm()) <= 1e-5


def test_parts_of_a_batch_give_the_same_bits_and_take_less_workspace() -> None:
    shape = ConvArguments(stride=2, padding=1).shape((7, 8, 30, 31), (16, 8, 3, 3), dtype="float32")
    algorithm = nest(toom_cook(4, 2), toom_cook(4, 2))
    input, weight = normal(7, 8, 30, 31), normal(16, 8, 3, 3)
    whole, parts = (make_plan(shape, algorithm=algorithm, workspace_cap=cap) for cap in (1 << 24, 1 << 18))
    assert whole.phases.runs == 1 < parts.phases.runs
    assert parts.workspace_bytes <= 1 << 18 < whole.workspace_bytes
    assert torch.equal(run_plan(whole, input, weight), run_plan(parts, input, weight))
    with pytest.raises(ValueError, match=r"capped at 20000 bytes, .* for one tile and the copies of one image"):
        make_plan(shape, algorithm=algorithm, workspace_cap=20000)


def test_large_batches_of_a_stem_are_taken_in_parts() -> None:
    shape = ConvArguments(stride=2, padding=3).shape((8, 3, 64, 224, 224), (64, 3, 7, 7, 7), dtype="float32")
    plan = make_plan(shape, filters=Filters.FROZEN)
    assert plan.backend is Backend.NATIVE
    assert plan.phases.runs == 8
    assert plan.workspace_bytes <= memory_limits().workspace
    wide = ConvArguments(dilation=2, padding=2).shape((16, 64, 16, 56, 56), (64, 64, 3, 3, 3), dtype="float32")
    plan = make_plan(wide, filters=Filters.FROZEN)
    assert plan.backend is Backend.NATIVE
    assert plan.phases.runs > 1
    assert plan.workspace_bytes <= memory_limits().workspace


def test_copies_are_kept_by_the_thread_until_they_are_released() -> None:
    shape = ConvArguments(dilation=2, padding=2).shape((2, 8, 12, 12), (16, 8, 3, 3), dtype="float32")
    plan = make_plan(shape, algorithm=nest(toom_cook(2, 3), toom_cook(2, 3)))
    scratch.release_workspace()
    run_plan(plan, normal(2, 8, 12, 12), normal(16, 8, 3, 3))
    assert plan.phases.held_bytes < scratch.kept_bytes() <= plan.workspace_bytes
    scratch.release_workspace()
    assert scratch.kept_bytes() == 0


def test_pieces_of_memory_that_overlap_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = ConvArguments(dilation=2, padding=2).shape((2, 8, 12, 12), (16, 8, 3, 3), dtype="float32")
    plan = make_plan(shape, algorithm=nest(toom_cook(2, 3), toom_cook(2, 3)))
    input, weight = normal(2, 8, 12, 12), normal(16, 8, 3, 3)
    expected = run_plan(plan, input, weight)

    def overlapping(sizes: tuple[int, ...], cap: int | None) -> list[torch.Tensor]:
        workspace, copies = scratch.carve((sizes[0], max(sizes[1:])), cap)  # what the kernel steers by stays whole
        return [workspace, copies, copies]

    monkeypatch.setattr(phased, "carve", overlapping)
    assert not torch.equal(run_plan(plan, input, weight), expected)


@pytest.mark.parametrize("images", [2, 4])
def test_a_residual_of_another_batch_is_refused(images: int) -> None:
    shape = ConvArguments(stride=2, padding=1).shape((3, 8, 12, 12), (16, 8, 3, 3), dtype="float32")
    plan = make_plan(shape, algorithm=nest(toom_cook(2, 2), toom_cook(2, 2)))
    residual = normal(images, 16, 6, 6)
    with pytest.raises(ValueError, match=rf"residual has shape \({images}, 16, 6, 6\), the output has \(3, 16, 6, 6\)"):
        run_plan(plan, normal(3, 8, 12, 12), normal(16, 8, 3, 3), residual=residual)


def test_without_compiled_copies_torch_runs_and_one_warning_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise BuildError("no C compiler for copies")

    input, weight = normal(1, 8, 9, 9), normal(8, 8, 3, 3)
    forced = nest(toom_cook(2, 2), toom_cook(2, 2))
    shape = ConvArguments(stride=2).shape(input.shape, weight.shape, dtype="float32")
    plan = make_plan(shape, algorithm=forced)
    assert plan.phases is not None
    assert runnable.lack_of_code(plan) is None
    monkeypatch.setattr(copying, "copies_library", fail)
    monkeypatch.setattr(runnable, "_warned", [])
    with pytest.warns(RuntimeWarning, match="no native kernel: no C compiler for copies; torch's own") as caught:
        outputs = [conv2d(input, weight, stride=2, algorithm=forced) for _ in range(2)]
    assert len(caught) == 1
    assert all(torch.equal(output, torch.conv2d(input, weight, stride=2)) for output in outputs)
    assert runnable.lack_of_code(plan) is not None


@pytest.mark.parametrize("value", [math.inf, math.nan])
@pytest.mark.parametrize(("stride", "dilation", "groups"), [(2, 1, 1), (1, 3, 1), (2, 1, 4)])
def test_outputs_are_not_finite_where_those_of_direct_convolution_are_not_and_only_in_their_group(
    value: float, stride: int, dilation: int, groups: int
) -> None:
    arguments = ConvArguments(stride=stride, dilation=dilation, groups=groups, padding=1)
    shape = arguments.shape((1, 32, 17, 19), (32, 32 // groups, 3, 3), dtype="float32")
    phases = phases_of(shape)
    assert phases is not None
    input, weight, bias = normal(1, 32, 17, 19), normal(*shape.weight_sizes), normal(32)
    plan = make_plan(shape, algorithm=nest(*(toom_cook(2, count) for count in phases.core.taps)))
    clean = run_plan(plan, input, weight, bias)
    input[0, 3, 8, 8] = value
    found, exact = run_plan(plan, input, weight, bias), direct_f64(shape, input, weight, bias)
    assert (~torch.isfinite(exact)).any()
    assert not torch.isfinite(found)[~torch.isfinite(exact)].any()
    # Which tiles a value reaches is told in test_numerics_phased.py.
    assert torch.equal(found[:, 32 // groups :], clean[:, 32 // groups :])
    rows = [row for row in range(found.shape[2]) if torch.equal(found[:, :, row], clean[:, :, row])]
    assert len(rows) >= found.shape[2] // 3


def test_a_forced_algorithm_is_differentiated() -> None:
    input, weight = normal(1, 8, 9, 9), normal(8, 8, 3, 3)
    forced, exact = nest(toom_cook(2, 2), toom_cook(2, 2)), input.double().requires_grad_()
    outputs = (
        conv2d(input.requires_grad_(), weight, stride=2, algorithm=forced),
        torch.conv2d(exact, weight.double(), stride=2),
    )
    torch.testing.assert_close(outputs[0].double(), outputs[1], rtol=1e-5, atol=1e-4)
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(input.grad.double(), exact.grad, rtol=1e-5, atol=1e-3)


def test_a_wrong_group_or_a_wrong_place_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = ConvArguments(groups=2, stride=2).shape((1, 8, 9, 9), (8, 4, 3, 3), dtype="float32")
    plan = make_plan(shape, algorithm=nest(toom_cook(2, 2), toom_cook(2, 2)))
    input, weight, bias = normal(1, 8, 9, 9), normal(8, 4, 3, 3), normal(8)
    exact = direct_f64(shape, input, weight, bias)

    def error() -> float:
        return float((run_plan(plan, input, weight, bias) - exact).norm() / exact.norm())

    assert error() < 1e-5
    split = Copier.split
    monkeypatch.setattr(Copier, "split", lambda self, x, layout, group, to: split(self, x, layout, 1 - group, to))
    assert error() > 0.1
    monkeypatch.undo()
    monkeypatch.setattr(
        Copier, "split", lambda self, x, layout, group, to: split(self, x.roll(1, -1), layout, group, to)
    )
    assert error() > 0.1
