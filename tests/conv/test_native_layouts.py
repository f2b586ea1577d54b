"""The native backend reads and writes channels first or last, in 16 or 32 bits: the same numbers, and no copies."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from tests.conv.native_cases import cases, direct_f64, integers, lies_in, wide_cases  # noqa: E402
from winograd import nest, toom_cook  # noqa: E402
from winograd.algebra.tiling import tile_axes  # noqa: E402
from winograd.conv import scratch  # noqa: E402
from winograd.conv.native import operands  # noqa: E402
from winograd.conv.native.kernel import DTYPES, NativeConvolution, native_convolution  # noqa: E402
from winograd.conv.native.schedule import Schedule, ScheduleKind  # noqa: E402
from winograd.conv.tensors.layout import Layout, in_layout  # noqa: E402

F2, F4 = toom_cook(2, 3), toom_cook(4, 3)
F2_3D, F4_3D = nest(F2, F2, F2), nest(F4, F4, F4)
FIRST, LAST = Layout
PADDING = ((1, 1),) * 3
PAIRS = list(product(Layout, Layout))
layouts, flags = st.sampled_from(Layout), st.booleans()
schedules = st.builds(Schedule, st.sampled_from(ScheduleKind), st.integers(1, 20))


@given(cases() | wide_cases(), st.sampled_from(list(DTYPES)), layouts, layouts, layouts, flags, flags, flags, schedules)
@settings(max_examples=150)
def test_f2_equals_direct_convolution_exactly_in_every_layout_and_dtype(
    case, dtype: str, source: Layout, target: Layout, other: Layout, with_bias, adds, relu, schedule: Schedule
) -> None:
    # Integers up to 4 are exact in 16 bits, every intermediate value is in float32: only the output is rounded.
    shape, outputs, padding, seed = case
    input, weight = integers(*shape, seed=seed), integers(outputs, shape[1], *[3] * len(padding), seed=seed + 1)
    bias = integers(outputs, seed=seed + 2) if with_bias else None
    expected = direct_f64(input, weight, bias, padding)
    residual = integers(*expected.shape, seed=seed + 3) if adds else None
    if residual is not None:
        expected = expected + residual
    convolution = native_convolution(nest(*[F2] * len(padding)), dtype)
    output = convolution.convolve(
        in_layout(input, source).to(convolution.dtype),
        convolution.pack(weight.to(convolution.dtype)),
        None if bias is None else bias.to(convolution.working),
        padding,
        relu,
        None if residual is None else in_layout(residual, other).to(convolution.dtype),
        schedule,
        target,
    )
    assert torch.equal(output, (expected.relu() if relu else expected).to(convolution.dtype))
    assert lies_in(output, target)


@given(wide_cases(), st.sampled_from(list(DTYPES)), st.sampled_from([1, 3, 4, 6]), flags, schedules)
@settings(max_examples=40)
def test_layouts_do_not_change_a_bit(case, dtype: str, m: int, relu: bool, schedule: Schedule) -> None:
    shape, outputs, padding, seed = case
    generator = torch.Generator().manual_seed(seed)
    convolution = native_convolution(nest(*[toom_cook(m, 3)] * len(padding)), dtype)
    input = torch.randn(shape, generator=generator).to(convolution.dtype)
    packed = convolution.pack(torch.randn(outputs, shape[1], *[3] * len(padding), generator=generator).to(input))
    results = [
        convolution.convolve(in_layout(input, source), packed, None, padding, relu, None, schedule, target)
        for source, target in PAIRS
    ]
    assert all(torch.equal(result, results[0]) for result in results)


@pytest.mark.parametrize("nested", [nest(F4, toom_cook(1, 1), toom_cook(1, 1)), nest(toom_cook(1, 1), F4, F4)], ids=str)
@pytest.mark.parametrize("width", [1, 15, 16, 33])
def test_axes_without_taps(nested, width: int) -> None:
    generator = torch.Generator().manual_seed(3)
    convolution = native_convolution(nested)
    input = torch.randn(2, 17, 5, 6, width, generator=generator)
    weight = torch.randn(18, 17, *nested.r, generator=generator)
    padding = tuple((taps // 2, taps // 2) for taps in nested.r)
    results = [
        convolution.convolve(in_layout(input, source), convolution.pack(weight), None, padding, layout=target)
        for source, target in PAIRS
    ]
    assert all(torch.equal(result, results[0]) for result in results)
    exact = direct_f64(input, weight, None, padding)
    # Far above the rounding of 17 * 9 products, and far below the outputs, whose deviation is about 10.
    assert float((results[0] - exact).abs().max()) < 1e-3


@pytest.mark.parametrize("length", [2**18, 2**18 + 24, 2**18 + 1])
def test_outputs_that_no_cache_holds(length: int) -> None:
    # 20 outputs of so many float32 numbers are more than 16 MiB: whole lines are written past the caches.
    input, weight, bias = integers(1, 2, length, seed=1), integers(20, 2, 3, seed=2), integers(20, seed=3)
    convolution = native_convolution(nest(F2))
    expected = direct_f64(input, weight, bias, ((1, 1),))
    for target in Layout:
        output = convolution.convolve(input, convolution.pack(weight), bias, ((1, 1),), layout=target)
        assert torch.equal(output.double(), expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bits_are_the_float32_result_rounded_once(dtype: str) -> None:
    generator = torch.Generator().manual_seed(4)
    half, single = native_convolution(F4_3D, dtype), native_convolution(F4_3D)
    input = torch.randn(1, 19, 5, 6, 37, generator=generator).to(half.dtype)
    input[0, 0, 0, 0, :8] = torch.tensor([float("nan"), float("inf"), 1e-7, -6e-8, 0.0, -0.0, 1e-40, 6e4]).to(
        half.dtype
    )
    weight = torch.randn(33, 19, 3, 3, 3, generator=generator).to(half.dtype)
    residual = torch.randn(1, 33, 5, 6, 37, generator=generator).to(half.dtype)
    bias = torch.randn(33, generator=generator)
    packed = half.pack(weight)
    assert packed.values.dtype == torch.float32
    assert torch.equal(packed.values, single.pack(weight.float()).values)
    for source, target in PAIRS:
        ours = half.convolve(in_layout(input, source), packed, bias, PADDING, True, residual, layout=target)
        wide = single.convolve(input.float(), packed, bias, PADDING, True, residual.float())
        assert torch.equal(ours.isnan(), wide.to(half.dtype).isnan())
        assert ours.isnan().any()
        assert torch.equal(ours.nan_to_num(0.0), wide.to(half.dtype).nan_to_num(0.0))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_two_roundings_would_be_noticed(dtype: str) -> None:
    generator = torch.Generator().manual_seed(5)
    half = native_convolution(F2_3D, dtype)
    input = torch.randn(1, 9, 5, 6, 7, generator=generator).to(half.dtype)
    packed = half.pack(torch.randn(33, 9, 3, 3, 3, generator=generator).to(half.dtype))
    residual = torch.randn(1, 33, 5, 6, 7, generator=generator).to(half.dtype)
    once, before = (half.convolve(input, packed, residual=added) for added in (residual, None))
    assert not torch.equal(once, before + residual)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dense_tensors_are_not_copied(dtype: str) -> None:
    input = torch.zeros(2, 3, 4, 5, 6, dtype=DTYPES[dtype])
    for layout in Layout:
        dense = in_layout(input, layout)
        assert (operands.readable(dense)[0].data_ptr(), operands.readable(dense)[1]) == (dense.data_ptr(), layout)
    last = in_layout(input, LAST)[..., 1:]
    assert operands.readable(last)[1] is LAST
    assert operands.readable(last)[0].data_ptr() != last.data_ptr()
    assert operands.readable(input[:, :, 1:])[1] is FIRST


@pytest.mark.parametrize(("true", "false"), [(FIRST, LAST), (LAST, FIRST)])
def test_a_wrong_layout_is_noticed(monkeypatch: pytest.MonkeyPatch, true: Layout, false: Layout) -> None:
    input, weight = in_layout(integers(1, 4, 5, 5, 6, seed=1), true), integers(3, 4, 3, 3, 3, seed=2)
    convolution = native_convolution(F2_3D)
    packed, expected = convolution.pack(weight), direct_f64(input, weight, None, PADDING)
    assert torch.equal(convolution.convolve(input, packed).double(), expected)
    monkeypatch.setattr(operands, "dense_layout", lambda _: false)
    assert not torch.equal(convolution.convolve(input, packed).double(), expected)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_stated_bytes_are_what_is_taken_in_every_layout(source: Layout, target: Layout) -> None:
    convolution = native_convolution(F4_3D)
    packed = convolution.pack(torch.zeros(70, 20, 3, 3, 3))
    scratch.release_workspace()
    tiling = tile_axes((9, 9, 9), (4, 4, 4), (3, 3, 3), PADDING)
    convolution.convolve(in_layout(torch.zeros(1, 20, 9, 9, 9), source), packed, layout=target)
    stated = convolution.workspace_bytes(tiling, 1, 20, 70, input_layout=source, layout=target)
    assert scratch.kept_bytes() == stated
    least = convolution.workspace_bytes(tiling, 1, 20, 70)
    assert (stated > least) == (FIRST in (source, target))


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(
        ValueError, match="dtype 'complex64', the native backend has float32, float16, bfloat16, float64"
    ):
        NativeConvolution(F2_3D, "complex64")
    half = native_convolution(F2_3D, "bfloat16")
    input = torch.zeros(1, 2, 4, 4, 4, dtype=torch.bfloat16)
    packed = half.pack(torch.zeros(3, 2, 3, 3, 3, dtype=torch.bfloat16))
    with pytest.raises(ValueError, match=r"input is torch.float32 on cpu, must be bfloat16 on the CPU"):
        half.convolve(input.float(), packed)
    with pytest.raises(ValueError, match=r"residual is torch.float32 on cpu, must be bfloat16"):
        half.convolve(input, packed, residual=torch.zeros(1, 3, 4, 4, 4))
    with pytest.raises(ValueError, match=r"residual has shape \(1, 3, 4, 4, 1\), the output has \(1, 3, 4, 4, 4\)"):
        half.convolve(input, packed, residual=torch.zeros(1, 3, 4, 4, 1, dtype=torch.bfloat16))
    with pytest.raises(ValueError, match=r"bias is torch.bfloat16 of shape \(3,\), must be float32 \(3,\)"):
        half.convolve(input, packed, torch.zeros(3, dtype=torch.bfloat16))
