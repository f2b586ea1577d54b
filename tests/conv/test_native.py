"""The native backend: exact where its arithmetic is, within the model where it rounds, clear in what it refuses."""

from __future__ import annotations

import ctypes
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from tests.conv.native_cases import cases, direct_f64, integers  # noqa: E402
from winograd import nest, toom_cook  # noqa: E402
from winograd.accuracy.model import predict_relative_l2  # noqa: E402
from winograd.algebra.tiling import tile_axes  # noqa: E402
from winograd.codegen.targets.c import CHANNEL_BLOCK  # noqa: E402
from winograd.conv import scratch  # noqa: E402
from winograd.conv.native import kernel  # noqa: E402
from winograd.conv.native.interface import kernel_shape  # noqa: E402
from winograd.conv.native.kernel import NativeConvolution, native_convolution  # noqa: E402
from winograd.conv.native.schedule import Schedule, ScheduleKind  # noqa: E402
from winograd.conv.tensors.layout import Layout  # noqa: E402

F2, F3, F4 = (toom_cook(m, 3) for m in (2, 3, 4))
F2_3D, F4_3D = nest(F2, F2, F2), nest(F4, F4, F4)


@given(cases(), st.booleans(), st.booleans(), st.booleans(), st.sampled_from(ScheduleKind), st.integers(1, 20))
def test_f2_equals_direct_convolution_exactly_on_integers(case, with_bias, relu, adds, kind, block) -> None:
    # With the points 0, +-1 every intermediate value is a small multiple of 1/8: float32 holds it exactly.
    shape, outputs, padding, seed = case
    input, weight = integers(*shape, seed=seed), integers(outputs, shape[1], *[3] * len(padding), seed=seed + 1)
    bias = integers(outputs, seed=seed + 2) if with_bias else None
    convolution = native_convolution(nest(*[F2] * len(padding)))
    expected = direct_f64(input, weight, bias, padding)
    residual = integers(*expected.shape, seed=seed + 3) if adds else None
    schedule = Schedule(kind, block)
    output = convolution.convolve(input, convolution.pack(weight), bias, padding, relu, residual, schedule)
    if residual is not None:
        expected = expected + residual
    assert torch.equal(output.double(), expected.relu() if relu else expected)


def test_one_changed_value_of_the_packed_filter_is_noticed() -> None:
    input, weight = integers(1, 4, 5, 5, 5, seed=1), integers(3, 4, 3, 3, 3, seed=2)
    convolution = native_convolution(F2_3D)
    packed = convolution.pack(weight)
    packed.values[0] += 1
    output = convolution.convolve(input, packed)
    assert not torch.equal(output.double(), direct_f64(input, weight, None, ((1, 1),) * 3))


@pytest.mark.parametrize("outputs", [*list(product((2, 3, 4), repeat=3))[::3], (4, 4, 4)], ids=str)
@pytest.mark.parametrize("channels", [3, 64, 200])
def test_error_is_what_the_model_predicts(outputs: tuple[int, ...], channels: int) -> None:
    nested = nest(*(toom_cook(m, 3) for m in outputs))
    generator = torch.Generator().manual_seed(0)
    input = torch.randn(2, channels, 8, 13, 13, generator=generator)
    weight = torch.randn(20, channels, 3, 3, 3, generator=generator)
    convolution = native_convolution(nested)
    output = convolution.convolve(input, convolution.pack(weight))
    expected = direct_f64(input, weight, None, ((1, 1),) * 3)
    measured = float((output - expected).norm() / expected.norm())
    predicted = predict_relative_l2(nested, channels=channels, channel_block=CHANNEL_BLOCK)
    # Zeros of the padding only lower the error; 1.3 covers the model's 8 % for few channels and the spread of one draw.
    assert measured <= 1.3 * predicted
    assert measured >= 0.3 * predicted


def test_many_channels_do_not_raise_the_error() -> None:
    generator = torch.Generator().manual_seed(1)
    convolution, errors = native_convolution(F4_3D), []
    for channels in (64, 1024):
        input = torch.randn(1, channels, 4, 8, 8, generator=generator)
        weight = torch.randn(16, channels, 3, 3, 3, generator=generator)
        output = convolution.convolve(input, convolution.pack(weight))
        expected = direct_f64(input, weight, None, ((1, 1),) * 3)
        errors.append(float((output - expected).norm() / expected.norm()))
    # One running sum over 1024 channels would quadruple the variance of 64; blocks of 64 keep it within a quarter.
    assert errors[1] < 1.25 * errors[0]


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "expanded", "flipped", "sliced"])
def test_any_strides(layout: str) -> None:
    base = integers(2, 6, 5, 7, 6, seed=3)
    weight = integers(5, 6, 3, 3, 3, seed=4)
    input = {
        "contiguous": base,
        "channels_last": base.to(memory_format=torch.channels_last_3d),
        "expanded": base[:1, :, :1].expand(2, 6, 5, 7, 6),
        "flipped": base.flip(3).transpose(3, 4),
        "sliced": base[:, :, :, ::2, 1:],
    }[layout]
    convolution = native_convolution(F2_3D)
    output = convolution.convolve(input, convolution.pack(weight.transpose(3, 4)))
    assert torch.equal(output.double(), direct_f64(input, weight.transpose(3, 4), None, ((1, 1),) * 3))
    assert output.is_contiguous() != (layout == "channels_last")


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("where", [(0, 0, 0), (4, 5, 6), (8, 8, 8)], ids=str)
def test_non_finite_input(poison: float, where: tuple[int, int, int]) -> None:
    input, weight = torch.randn(1, 3, 9, 9, 9), torch.randn(4, 3, 3, 3, 3)
    input[(0, 1, *where)] = poison
    convolution = native_convolution(F4_3D)
    clean = input.clone()
    clean[(0, 1, *where)] = 0
    output = convolution.convolve(input, convolution.pack(weight))
    direct = torch.conv3d(input, weight, padding=1)
    assert not output[~direct.isfinite()].isfinite().any()
    # Tiles that do not read the poisoned value give the very same numbers as without it.
    tiling = tile_axes((9, 9, 9), (4, 4, 4), (3, 3, 3), ((1, 1),) * 3)
    without = convolution.convolve(clean, convolution.pack(weight))
    touched = 0
    for index in tiling.indices():
        ranges = [axis.input_range(i) for axis, i in zip(tiling.axes, index, strict=True)]
        reads = all(low <= position < high for (low, high), position in zip(ranges, where, strict=True))
        box = tuple(slice(*axis.output_range(i)) for axis, i in zip(tiling.axes, index, strict=True))
        touched += reads
        if not reads:
            assert torch.equal(output[(..., *box)], without[(..., *box)])
    assert touched >= 1


def test_relu_keeps_nan() -> None:
    convolution = native_convolution(nest(F2))
    input = torch.tensor([[[1.0, 2.0, float("nan"), 0.0, 0.0, 0.0, 0.0, 0.0]]])
    output = convolution.convolve(input, convolution.pack(-torch.ones(1, 1, 3)), padding=((1, 1),), relu=True)
    assert output.isnan().any()
    assert output[0, 0, 0] == 0


def test_same_bits_in_every_call_and_on_every_number_of_threads() -> None:
    generator = torch.Generator().manual_seed(2)
    input = torch.randn(2, 40, 6, 9, 9, generator=generator)
    convolution = native_convolution(F4_3D)
    packed = convolution.pack(torch.randn(33, 40, 3, 3, 3, generator=generator))
    threads = torch.get_num_threads()
    outputs = []
    try:
        for count in (1, 2, 2):
            torch.set_num_threads(count)
            outputs.append(convolution.convolve(input, packed))
    finally:
        torch.set_num_threads(threads)
    outputs.append(convolution.convolve(input, packed, schedule=Schedule(ScheduleKind.STAGED, 5)))
    assert all(torch.equal(outputs[0], other) for other in outputs[1:])


def test_eight_threads_at_once() -> None:
    convolution = native_convolution(F2_3D)
    weight = integers(7, 5, 3, 3, 3, seed=5)
    packed = convolution.pack(weight)
    inputs = [integers(1, 5, 4 + size, 6, 7, seed=size) for size in range(8)]
    with ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(lambda input: convolution.convolve(input, packed), inputs * 3))
    for input, output in zip(inputs * 3, outputs, strict=True):
        assert torch.equal(output.double(), direct_f64(input, weight, None, ((1, 1),) * 3))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_after_a_fork() -> None:
    convolution = native_convolution(F2_3D)
    input, weight = integers(1, 5, 6, 6, 7, seed=6), integers(7, 5, 3, 3, 3, seed=7)
    expected = convolution.convolve(input, convolution.pack(weight))
    child = os.fork()
    if child == 0:
        same = torch.equal(convolution.convolve(input, convolution.pack(weight)), expected)
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_copies_of_large_tensors_after_a_fork() -> None:
    convolution, threads = native_convolution(F2_3D), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        # More than the 2^15 numbers from which on torch copies by several threads, with gaps, so that they are copied.
        input, weight = integers(1, 8, 9, 32, 33, seed=6)[..., 1:], integers(130, 8, 3, 3, 66, seed=7)[..., ::22]
        residual = integers(1, 130, 9, 32, 33, seed=8)[..., 1:]
        expected = convolution.convolve(input, convolution.pack(weight), residual=residual)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(120)  # ends a child that waits for threads which are gone
            output = convolution.convolve(input, convolution.pack(weight), residual=residual)
            kept = torch.get_num_threads() == 2
            torch.set_num_threads(1)  # for the comparison, which would wait for them as well
            os._exit(0 if kept and torch.equal(output, expected) else 1)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        torch.set_num_threads(threads)


def test_stated_bytes_are_what_is_taken() -> None:
    convolution = native_convolution(F4_3D)
    packed = convolution.pack(torch.zeros(70, 20, 3, 3, 3))
    assert packed.nbytes == convolution.filter_bytes(20, 70)
    scratch.release_workspace()
    tiling = tile_axes((9, 9, 9), (4, 4, 4), (3, 3, 3), ((1, 1),) * 3)
    convolution.convolve(torch.zeros(1, 20, 9, 9, 9).to(memory_format=torch.channels_last_3d), packed)
    assert scratch.kept_bytes() == convolution.workspace_bytes(tiling, 1, 20, 70)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c, x, p: c.convolve(x.double(), p), "input is torch.float64 on cpu, must be float32 on the CPU"),
        (lambda c, x, p: c.convolve(x[0], p), "input has 4 dimensions, must have 5"),
        (lambda c, x, p: c.convolve(x[:, :1], p), "input has 1 channels, the packed filter needs 2"),
        (lambda c, x, p: c.convolve(x[:0], p), "is empty"),
        (
            lambda c, x, p: c.convolve(x, p, torch.zeros(4)),
            r"bias is torch.float32 of shape \(4,\), must be float32 \(3,\)",
        ),
        (lambda c, x, p: c.convolve(x, p, padding=((0, 0),) * 2), "must be for the same number"),
        (lambda c, x, p: c.convolve(x[..., :1], p, padding=((0, 0),) * 3), "smaller than the filter of 3 taps"),
        (lambda _, x, p: native_convolution(F4_3D).convolve(x, p), "made by another algorithm"),
        (lambda c, _x, _p: c.pack(torch.zeros(3, 2, 3, 3, 5)), r"weight has taps \(3, 3, 5\)"),
    ],
)
def test_what_does_not_fit_is_refused(change, message: str) -> None:
    convolution = native_convolution(F2_3D)
    packed = convolution.pack(torch.zeros(3, 2, 3, 3, 3))
    with pytest.raises(ValueError, match=message):
        change(convolution, torch.zeros(1, 2, 4, 4, 4), packed)


def test_the_default_device_and_dtype_play_no_part() -> None:
    input, weight = integers(1, 5, 6, 6, 7, seed=8), integers(7, 5, 3, 3, 3, seed=9)
    convolution = native_convolution(F2_3D)
    expected = direct_f64(input, weight, None, ((1, 1),) * 3)
    default = torch.get_default_dtype()
    scratch.release_workspace()
    try:
        torch.set_default_dtype(torch.float64)
        with torch.device("meta"):
            output = convolution.convolve(input, convolution.pack(weight))
    finally:
        torch.set_default_dtype(default)
    assert torch.equal(output.double(), expected)


@given(
    st.tuples(*[st.integers(1, 40)] * 3), st.integers(1, 4), st.sampled_from([1, 3, 64, 100, 512]), st.integers(1, 512)
)
def test_a_kernel_that_may_choose_chooses_as_plans_say_it_does(sizes, batch: int, channels: int, outputs: int) -> None:
    convolution, tiling = native_convolution(F4_3D), tile_axes(sizes, (4, 4, 4), (3, 3, 3), ((1, 1),) * 3)
    last, threads = Layout.CHANNELS_LAST, 2
    chosen = convolution._schedule(tiling, batch, channels, outputs, threads)
    shape = kernel_shape(tiling, batch, channels, outputs, chosen, last, last)
    floats = convolution._library.winograd_workspace_floats
    said = floats(ctypes.byref(shape), threads)
    shape.schedule = shape.block = 0
    assert floats(ctypes.byref(shape), threads) == said


def test_a_later_process_reads_what_the_first_one_emitted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WINOGRAD_CACHE_DIR", str(tmp_path / "kernels"))
    NativeConvolution(nest(F2))
    monkeypatch.setattr(kernel, "emit", lambda *_, **__: pytest.fail("emitted"))
    NativeConvolution(nest(F2))
    with pytest.raises(pytest.fail.Exception, match="emitted"):
        NativeConvolution(nest(F2), "float64")
