"""What runs in generated C when it is called through torch's arguments: values, formats, packing, and staying away."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from winograd import conv1d, conv2d, conv3d, error_bound, nest, toom_cook
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.tiling import tile_axes
from winograd.codegen.compiler import BuildError
from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.selection import Filters
from winograd.conv.direct.convolve import convolve_onednn, is_slow_in_torch
from winograd.conv.direct.packed import PackedDirect, TorchsOwn
from winograd.conv.native import kernel
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.planning.make import make_plan
from winograd.conv.running import runnable
from winograd.conv.running.obstacles import tensor_obstacle
from winograd.conv.running.packing import pack_for_plan
from winograd.conv.running.reading import read_shape
from winograd.conv.running.run import run_plan
from winograd.conv.running.runnable import runnable_plan
from winograd.conv.tensors.layout import Layout, as_channels_last

OURS: dict[int, Callable[..., Any]] = {1: conv1d, 2: conv2d, 3: conv3d}
TORCHS: dict[int, Callable[..., Any]] = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
F23, F43 = toom_cook(2, 3), toom_cook(4, 3)
F23_3D, F43_3D = nest(F23, F23, F23), nest(F43, F43, F43)


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def uniform(seed: int, *sizes: int) -> torch.Tensor:
    return 2 * torch.rand(*sizes, generator=torch.Generator().manual_seed(seed)) - 1


STRICT = 1e-9
"""A tolerance that only direct convolution meets."""

INPUT, WEIGHT, BIAS = uniform(0, 2, 5, 6, 7, 9), uniform(1, 20, 5, 3, 3, 3), uniform(2, 20)


def assert_close(ours: torch.Tensor, exact: torch.Tensor, nested: NestedAlgorithm, channels: int) -> None:
    """Within the worst case for data and taps of at most 1, and one more rounding for a bias of at most 1."""
    allowed = error_bound(nested, channels=channels).max_abs + 2.0**-24 * (exact.abs() + 1)
    assert ((ours.double() - exact).abs() <= allowed).all()


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 4, "same"])
def test_a_forced_algorithm_stays_under_the_worst_case(ndim: int, padding: int | str) -> None:
    input_, weight = uniform(0, 2, 5, *(9, 6, 7)[:ndim]), uniform(1, 20, 5, *(3,) * ndim)
    nested = nest(*(F43, F23, F43)[:ndim])
    ours = OURS[ndim](input_, weight, BIAS, padding=padding, algorithm=nested)
    exact = TORCHS[ndim](input_.double(), weight.double(), BIAS.double(), padding=padding)
    assert (ours.dtype, ours.shape, ours.stride()) == (torch.float32, exact.shape, exact.stride())
    assert_close(ours, exact, nested, channels=5)


@pytest.mark.parametrize("taps", [(1, 3, 3), (5, 3, 1), (2, 2, 2)])
def test_other_taps_may_be_forced(taps: tuple[int, ...]) -> None:
    weight, nested = uniform(1, 20, 5, *taps), nest(*(toom_cook(2, count) for count in taps))
    exact = torch.conv3d(INPUT.double(), weight.double(), padding=1)
    assert_close(conv3d(INPUT, weight, padding=1, algorithm=nested), exact, nested, channels=5)


VIEWS: dict[str, tuple[torch.Tensor, torch.Tensor]] = {
    "unbatched": (INPUT[0], WEIGHT),
    "transposed": (INPUT.transpose(2, 4), WEIGHT.transpose(3, 4)),
    "expanded": (INPUT[:, :1].expand_as(INPUT), WEIGHT),
    "sliced": (INPUT[..., ::2], WEIGHT[:17]),
    "negative bit": (torch.complex(INPUT, INPUT).conj().imag, WEIGHT),
    "channels last": (INPUT.contiguous(memory_format=torch.channels_last_3d), WEIGHT),
    "channels last weight": (INPUT, WEIGHT.contiguous(memory_format=torch.channels_last_3d)),
}


@pytest.mark.parametrize("view", VIEWS)
def test_any_strides_give_the_same_values(view: str) -> None:
    input_, weight = VIEWS[view]
    plain_input = torch.tensor(input_.tolist())
    ours = conv3d(input_, weight, padding=1, algorithm=F43_3D)
    assert torch.equal(ours, conv3d(plain_input, weight.contiguous(), padding=1, algorithm=F43_3D))
    last = "channels last" in view
    assert ours.is_contiguous() != last
    assert_close(ours, torch.conv3d(plain_input.double(), weight.double(), padding=1), F43_3D, channels=5)


def planned(
    input_: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    stride: int = 1,
    algorithm: NestedAlgorithm | None = None,
    filters: Filters = Filters.LIVE,
    tolerance: float | None = None,
) -> Plan:
    shape = read_shape(input_, weight, bias, ConvArguments(stride, padding=1), ndim=weight.ndim - 2)
    obstacle = tensor_obstacle(input_, weight, bias)
    return runnable_plan(shape, tolerance=tolerance, algorithm=algorithm, filters=filters, obstacle=obstacle)


def test_a_packed_filter_gives_the_same_bits_as_a_live_one() -> None:
    plan = planned(INPUT, WEIGHT, BIAS, algorithm=F43_3D)
    packed = pack_for_plan(plan, WEIGHT)
    assert plan.backend is Backend.NATIVE
    assert packed is not None
    assert WEIGHT.nbytes < packed.nbytes <= plan.filter_bytes
    live = run_plan(plan, INPUT, WEIGHT, BIAS)
    assert torch.equal(run_plan(plan, INPUT, WEIGHT, BIAS, packed=packed), live)
    assert torch.equal(run_plan(plan, INPUT, torch.zeros_like(WEIGHT), BIAS, packed=packed), live)


@pytest.mark.parametrize("sizes", [(1, 64, 128, 16, 56, 56), (2, 256, 256, 8, 28, 28), (1, 20, 5, 6, 7, 9)])
def test_plans_know_the_memory_they_take(sizes: tuple[int, ...]) -> None:
    batch, channels, outputs, *axes = sizes
    shape = ConvArguments(padding=1).shape((batch, channels, *axes), (outputs, channels, 3, 3, 3), dtype="float32")
    plan = make_plan(shape, algorithm=F43_3D, threads=torch.get_num_threads())
    compiled = kernel.native_convolution(F43_3D)
    tiling = tile_axes(axes, F43_3D.m, F43_3D.r, shape.padding)
    assert compiled.filter_bytes(channels, outputs) <= plan.filter_bytes
    first, last = (
        compiled.workspace_bytes(tiling, batch, channels, outputs, plan.schedule, layout, layout)
        for layout in (Layout.CHANNELS_FIRST, Layout.CHANNELS_LAST)
    )
    assert last < first == plan.workspace_bytes


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
def test_a_direct_plan_runs_in_onednn_where_torch_would_unfold(last: bool) -> None:
    input_, weight, bias = uniform(0, 1, 3, 16, 48, 48), uniform(1, 64, 3, 3, 3, 3), uniform(2, 64)
    input_ = as_channels_last(input_) if last else input_
    plan = planned(input_, weight, bias, stride=2, filters=Filters.FROZEN, tolerance=1e-8)
    packed = pack_for_plan(plan, weight)
    assert plan.backend is Backend.DIRECT
    assert isinstance(packed, PackedDirect)
    live, frozen = (
        conv3d(input_, weight, bias, 2, 1, tolerance=1e-8),
        run_plan(plan, input_, weight, bias, packed=packed),
    )
    assert torch.equal(live, convolve_onednn(input_, weight, bias, plan.shape))
    exact = torch.conv3d(input_.double(), weight.double(), bias.double(), stride=2, padding=1)
    for ours in (live, frozen):
        assert ours.is_contiguous() != last
        # 81 products of at most 1 in any order: (81 + 1) u times their sum of absolute values, and the bias.
        assert (ours - exact).abs().max() <= 83 * 2.0**-24 * 82
    # The packed weight is read only where oneDNN's output need not be copied into another format.
    changed = run_plan(plan, input_, torch.zeros_like(weight), bias, packed=packed)
    assert torch.equal(changed, frozen) == last


@pytest.mark.parametrize("last", [(), ("input",), ("weight",), ("input", "weight")])
def test_onednn_keeps_the_memory_format(last: tuple[str, ...]) -> None:
    tensors = {"input": uniform(0, 1, 3, 8, 28, 28), "weight": uniform(1, 16, 3, 3, 3, 3)}
    for name in last:
        tensors[name] = tensors[name].contiguous(memory_format=torch.channels_last_3d)
    shape = planned(*tensors.values()).shape
    assert is_slow_in_torch(tensors["weight"], shape)
    ours, torchs = conv3d(**tensors, padding=1, tolerance=STRICT), torch.conv3d(**tensors, padding=1)
    # As torch does it with two images; with this one alone, it makes the output contiguous.
    two = torch.conv3d(torch.cat([tensors["input"]] * 2), tensors["weight"], padding=1)
    assert ours[0].stride() == two[0].stride()
    assert ours.is_contiguous() != bool(last)
    assert not torch.equal(ours, torchs)  # another order of the sums, so that this did not run in torch's own way
    assert_direct(ours, torchs, 81)
    image = conv3d(tensors["input"][0], tensors["weight"], padding=1, tolerance=STRICT)
    assert_direct(image, torchs[0], 81)


def assert_direct(ours: torch.Tensor, torchs: torch.Tensor, terms: int) -> None:
    """Compare two float32 sums of so many products of at most 1 in any order: either is off by terms^2 u."""
    assert (ours - torchs).abs().max() <= 2 * terms**2 * 2.0**-24


def test_gradients_and_a_disabled_onednn_keep_torchs_own_way() -> None:
    input_, weight = uniform(0, 1, 3, 8, 28, 28), uniform(1, 16, 3, 3, 3, 3)
    torchs = torch.conv3d(input_, weight, padding=1)
    with torch.enable_grad():
        assert torch.equal(conv3d(input_, weight.clone().requires_grad_(), padding=1), torchs)
    with torch.backends.mkldnn.flags(enabled=False):
        assert torch.equal(conv3d(input_, weight, padding=1, tolerance=STRICT), torchs)


def test_a_direct_plan_of_a_tiny_layer_is_left_to_torch() -> None:
    input_ = INPUT[:1, :, :4, :4, :4]
    packed = pack_for_plan(planned(input_, WEIGHT, filters=Filters.FROZEN), WEIGHT)
    assert isinstance(packed, TorchsOwn)
    expected = torch.conv3d(input_, WEIGHT, BIAS, padding=1)
    assert torch.equal(packed(input_, WEIGHT, BIAS), expected)
    assert torch.equal(conv3d(input_, WEIGHT, BIAS, padding=1), expected)


def test_a_wide_layer_is_planned_native_and_keeps_its_promise() -> None:
    input_, weight = uniform(0, 1, 64, 8, 28, 28), uniform(1, 64, 64, 3, 3, 3)
    plan = planned(input_, weight)
    assert plan.backend is Backend.NATIVE
    ours, exact = conv3d(input_, weight, padding=1), torch.conv3d(input_.double(), weight.double(), padding=1)
    assert torch.equal(ours, run_plan(plan, input_, weight))
    measured = ((ours - exact).norm() / exact.norm()).item()
    # The prediction is for exactly such data; over 10^5 outputs the measured figure is within a quarter of it.
    assert measured == pytest.approx(plan.predicted_error, rel=0.25)
    strict = conv3d(input_, weight, padding=1, tolerance=1e-9)
    assert torch.equal(strict, convolve_onednn(input_, weight, None, plan.shape))


def test_a_wrong_filter_breaks_the_promise() -> None:
    input_, weight = uniform(0, 1, 64, 8, 28, 28), uniform(1, 64, 64, 3, 3, 3)
    plan = planned(input_, weight)
    ours = run_plan(plan, input_, weight * (1 + 2.0**-14))
    exact = torch.conv3d(input_.double(), weight.double(), padding=1)
    assert ((ours - exact).norm() / exact.norm()).item() > 2 * plan.predicted_error


@pytest.mark.parametrize("name", ["input", "weight"])
def test_calls_with_gradients_compute_natively_by_operator(name: str) -> None:
    tensors = {"input": INPUT.clone(), "weight": WEIGHT.clone()}
    tensors[name].requires_grad_()
    native = conv3d(**tensors, algorithm=F43_3D)
    with torch.enable_grad():
        output = conv3d(**tensors, algorithm=F43_3D)
    assert "winograd_convolution" in type(output.grad_fn).__name__
    assert torch.equal(output, native)


def test_what_sees_only_torch_operations_keeps_native_away() -> None:
    def reason(input_: torch.Tensor = INPUT) -> str:
        plan = planned(input_, WEIGHT, algorithm=F43_3D)
        assert plan.backend is Backend.COMPOSED
        return plan.reason

    reasons = []
    torch.vmap(lambda image: reasons.append(reason(image[None])) or image)(INPUT)
    with torch.autograd.forward_ad.dual_level():
        reasons.append(reason())
    with torch.autocast("cpu"):
        reasons.append(reason())
    with FlopCounterMode(display=False):
        reasons.append(reason())
    reasons.append(reason(INPUT.as_subclass(type("Other", (torch.Tensor,), {}))))
    for text, word in zip(reasons, ["transform", "forward", "autocast", "tracing", "plain"], strict=True):
        assert word in text


def test_without_a_compiler_torch_runs_and_one_warning_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(algorithm: NestedAlgorithm, dtype: str) -> None:
        raise BuildError(f"no C compiler for {algorithm.label} in {dtype}")

    monkeypatch.setattr(kernel, "native_convolution", fail)
    monkeypatch.setattr(runnable, "_warned", [])
    runnable.try_compiling.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match="no C compiler") as caught:
            outputs = [conv3d(INPUT, WEIGHT, padding=1, algorithm=nested) for nested in (F43_3D, F23_3D, F43_3D)]
        assert len(caught) == 1
        exact = torch.conv3d(INPUT.double(), WEIGHT.double(), padding=1)
        for output in outputs:
            assert (output - exact).norm() / exact.norm() < 1e-5
        plan = planned(INPUT, WEIGHT, BIAS, algorithm=F43_3D)
        assert plan.backend is Backend.COMPOSED
        assert "no native kernel: no C compiler for F(4x4x4,3x3x3)" in plan.reason
    finally:
        runnable.try_compiling.cache_clear()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("place", [(2, 5, 5), (0, 0, 0), (0, 0, 6), (5, 10, 10)])
def test_non_finite_values_reach_what_they_reach_directly_and_stay_in_their_tiles(
    value: float, place: tuple[int, int, int]
) -> None:
    input_, weight = uniform(0, 1, 2, 6, 11, 11), uniform(1, 3, 2, 3, 3, 3)
    input_[0, 1, *place] = value
    ours = conv3d(input_, weight, padding=1, algorithm=F43_3D)[0, 0]
    directly = torch.conv3d(input_, weight, padding=1)[0, 0]
    assert not torch.isfinite(ours[~torch.isfinite(directly)]).any()
    axes = [[tile for tile in range(3) if 4 * tile - 1 <= index < 4 * tile + 5] for index in place]
    touched = set(product(*axes))
    for index in product(*map(range, ours.shape)):
        assert torch.isfinite(ours[index]) or tuple(i // 4 for i in index) in touched


def test_images_do_not_depend_on_their_batch() -> None:
    batch = uniform(0, 7, 5, 6, 7, 9)
    together = conv3d(batch, WEIGHT, padding=1, algorithm=F43_3D)
    for image, result in zip(batch, together, strict=True):
        assert torch.equal(conv3d(image, WEIGHT, padding=1, algorithm=F43_3D), result)


def test_threads_and_warnings_are_as_they_were() -> None:
    before = torch.get_num_threads(), list(warnings.filters), torch.random.get_rng_state().tolist()
    conv3d(INPUT, WEIGHT, padding=1, algorithm=F43_3D)
    assert (torch.get_num_threads(), list(warnings.filters), torch.random.get_rng_state().tolist()) == before
