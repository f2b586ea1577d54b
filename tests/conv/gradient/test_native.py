"""The native gradient of a filter: exact where its arithmetic is, within its roundings elsewhere, clear in refusals."""

from __future__ import annotations

from dataclasses import replace
from math import prod, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from tests.conv.native_cases import cases, integers, wide_cases  # noqa: E402
from winograd import best, nest, toom_cook  # noqa: E402
from winograd.algebra.growth import kappa  # noqa: E402
from winograd.algebra.nesting import NestedAlgorithm  # noqa: E402
from winograd.algebra.tiling import tile_axes  # noqa: E402
from winograd.codegen.build import load  # noqa: E402
from winograd.codegen.lower import Lowering  # noqa: E402
from winograd.codegen.nested import count_passes, lower_nested  # noqa: E402
from winograd.codegen.targets.c.gradient import emit_gradient  # noqa: E402
from winograd.conv.gradient import native as native_gradient  # noqa: E402
from winograd.conv.gradient.native import DTYPES, NativeFilterGradient, filter_gradient  # noqa: E402
from winograd.conv.scratch import carve  # noqa: E402
from winograd.conv.tensors.layout import Layout, in_layout  # noqa: E402

F2, F4 = toom_cook(2, 3), toom_cook(4, 3)
F2_3D, F4_3D = nest(F2, F2, F2), nest(F4, F4, F4)
PADDING = ((1, 1),) * 3
SIGMAS = 8
layouts = st.sampled_from(Layout)


def direct_f64(input, grad_output, padding) -> torch.Tensor:
    """Return the gradient in float64: input and gradient convolved, channels and batch changing places."""
    sides = [side for pair in reversed(padding) for side in pair]
    padded = torch.nn.functional.pad(input.double(), sides).transpose(0, 1)
    convolve = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}[len(padding)]
    return convolve(padded, grad_output.double().transpose(0, 1)).transpose(0, 1)


def gradient_like(input, outputs: int, taps, padding, seed: int) -> torch.Tensor:
    """Return small integers of the shape of the output."""
    sizes = [n + sum(pair) - r + 1 for n, r, pair in zip(input.shape[2:], taps, padding, strict=True)]
    return integers(input.shape[0], outputs, *sizes, seed=seed)


def allowed(nested: NestedAlgorithm, dtype: str, tiles: int, expected: torch.Tensor) -> float:
    """Return `SIGMAS` standard deviations of the error, as the self-test of emitted convolutions allows it.

    Every rounding on the way, one per instruction and per tile of the sum, counts as if it were one of the products.
    """
    passes = lower_nested(nested).data, lower_nested(nested, Lowering(transposed=True)).inverse
    steps = sum(count_passes((step,)).instructions // step.runs for one in passes for step in one)
    growth = float(prod(kappa(axis) for axis in nested.axes))
    unit = torch.finfo(DTYPES[dtype]).eps / 2
    return SIGMAS * unit * sqrt(growth * (tiles + steps + 1)) * float(expected.square().mean().sqrt())


@given(cases() | wide_cases(), st.sampled_from(list(DTYPES)), layouts, layouts, st.integers(0, 20))
@settings(max_examples=150)
def test_f2_equals_the_direct_gradient_exactly_on_integers(
    case, dtype: str, source: Layout, other: Layout, block: int
) -> None:
    # With the points 0, +-1 all numbers of V and M are integers up to 32, sums of their products below 2^24, and what
    # follows is a small multiple of 1/8 in float64: only the sum's own rounding could show, and there is none.
    shape, outputs, padding, seed = case
    input = integers(*shape, seed=seed)
    grad_output = gradient_like(input, outputs, (3,) * len(padding), padding, seed + 1)
    gradient = filter_gradient(nest(*[F2] * len(padding)), dtype)
    found = gradient.gradient(
        in_layout(input, source).to(gradient.dtype),
        in_layout(grad_output, other).to(gradient.dtype),
        padding,
        block or None,
    )
    assert found.is_contiguous()
    assert torch.equal(found, direct_f64(input, grad_output, padding).to(gradient.dtype))


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize(
    "nested",
    [
        F4_3D,
        nest(toom_cook(2, 3), toom_cook(4, 3), toom_cook(3, 5)),
        nest(toom_cook(1, 1), *[toom_cook(4, 3)] * 2),
        nest(*[best(4, 3, products=7)] * 2),
        nest(toom_cook(3, 1), toom_cook(4, 5)),
        nest(toom_cook(6, 2)),
    ],
    ids=repr,
)
@pytest.mark.parametrize(("channels", "outputs"), [(3, 1), (70, 33)])
def test_error_is_within_the_rounding_of_its_steps(
    nested: NestedAlgorithm, dtype: str, channels: int, outputs: int
) -> None:
    padding = tuple((number, 1) for number in range(nested.ndim))
    input = integers(2, channels, *(5, 9, 38)[-nested.ndim :], seed=1)
    grad_output = gradient_like(input, outputs, nested.r, padding, 2)
    tiling = tile_axes(tuple(input.shape[2:]), nested.m, nested.r, padding)
    expected = direct_f64(input, grad_output, padding)
    gradient = filter_gradient(nested, dtype)
    most = allowed(nested, dtype, 2 * tiling.count, expected)
    for block in (None, 1, 7):
        found = gradient.gradient(input.to(gradient.dtype), grad_output.to(gradient.dtype), padding, block)
        assert float((found - expected).abs().max()) <= most
    assert most < 1e-3 * float(expected.abs().max())  # what is allowed would notice a wrong coefficient


@given(wide_cases(), st.sampled_from(list(DTYPES)), st.integers(0, 20))
@settings(max_examples=20)
def test_layouts_and_threads_do_not_change_a_bit(case, dtype: str, block: int) -> None:
    shape, outputs, padding, seed = case
    gradient = filter_gradient(nest(*[F4] * len(padding)), dtype)
    generator = torch.Generator().manual_seed(seed)
    input = torch.randn(shape, generator=generator, dtype=gradient.dtype)
    like = gradient_like(input, outputs, (3,) * len(padding), padding, seed)
    grad_output = torch.randn(like.shape, generator=generator, dtype=gradient.dtype)
    threads, found = torch.get_num_threads(), []
    try:
        for number, source in enumerate(Layout):
            for other in Layout:
                torch.set_num_threads(1 + number)
                arguments = in_layout(input, source), in_layout(grad_output, other), padding, block or None
                found.append(gradient.gradient(*arguments))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, found[0]) for one in found)


def test_any_strides() -> None:
    base, other = integers(2, 6, 5, 7, 8, seed=3), integers(2, 9, 5, 14, 7, seed=4)
    gradient = filter_gradient(F2_3D)
    for input in (base[..., 1:], base.flip(4)[..., :7], base[:1, :, :1, :, 1:].expand(2, 6, 5, 7, 7)):
        for grad_output in (
            other[..., ::2, :],
            other.transpose(3, 4)[..., :7],
            other[:, :, :, :1].expand(2, 9, 5, 7, 7),
        ):
            expected = direct_f64(input, grad_output, PADDING)
            assert torch.equal(gradient.gradient(input, grad_output).double(), expected)


def test_parts_of_a_batch_begin_where_they_begin() -> None:
    input, grad_output = integers(3, 4, 5, 5, 5, seed=1)[1:], integers(4, 4, 5, 5, 5, seed=2)[2:]
    assert torch.equal(
        filter_gradient(F2_3D).gradient(input, grad_output).double(), direct_f64(input, grad_output, PADDING)
    )


@pytest.mark.parametrize(
    ("sound", "broken"),
    [
        ("held, first > 0)", "held, 0)"),
        ("adds || first > 0", "adds"),
        ("{0, 0, 0}", "{1, 0, 0}"),
        ("winograd_v_of(call, position, block, held)", "winograd_v_of(call, position, 0, held)"),
        ("winograd_m_of(call, position, panel, held),", "winograd_m_of(call, position, 0, held),"),
    ],
)
def test_a_kernel_that_is_wrong_is_noticed(sound: str, broken: str) -> None:
    kernel = emit_gradient(F2_3D)
    assert kernel.source.count(sound) == 1
    gradient = NativeFilterGradient(F2_3D)
    gradient._library = native_gradient._declared(load(replace(kernel, source=kernel.source.replace(sound, broken))))
    input, grad_output = integers(3, 70, 9, 9, 9, seed=5), integers(3, 40, 9, 9, 9, seed=6)
    right = True
    for block in (1000, 60):
        found = gradient.gradient(
            in_layout(input, Layout.CHANNELS_LAST), in_layout(grad_output, Layout.CHANNELS_LAST), block=block
        )
        right &= torch.equal(found.double(), direct_f64(input, grad_output, PADDING))
    assert not right


def test_many_tiles_do_not_raise_the_error() -> None:
    generator, gradient, errors = torch.Generator().manual_seed(1), filter_gradient(nest(F4, F4)), []
    for tiles in (64, 1024):
        input = torch.randn(tiles // 16, 8, 16, 16, generator=generator)
        grad_output = torch.randn(tiles // 16, 16, 16, 16, generator=generator)
        expected = direct_f64(input, grad_output, PADDING[1:])
        found = gradient.gradient(input, grad_output, PADDING[1:])
        errors.append(float((found - expected).norm() / expected.norm()))
    # One running sum over 1024 tiles would quadruple the variance of 64; blocks of 64 keep it within a quarter.
    assert errors[1] < 1.25 * errors[0]


def test_workspace_is_what_is_asked_for_and_smaller_with_smaller_blocks() -> None:
    gradient, asked = filter_gradient(F4_3D), []

    def memory(size: int) -> torch.Tensor:
        asked.append(size)
        return carve((size,))[0]

    input, grad_output = integers(1, 20, 8, 20, 40, seed=1), integers(1, 40, 8, 20, 40, seed=2)
    tiling = tile_axes((8, 20, 40), F4_3D.m, F4_3D.r, PADDING)
    for block in (None, 1, 9):
        gradient.gradient(input, grad_output, block=block, memory=memory)
        first = Layout.CHANNELS_FIRST
        assert asked.pop() == gradient.workspace_bytes(tiling, 1, 20, 40, block, first, first)
    sizes = [gradient.workspace_bytes(tiling, 1, 20, 40, block) for block in (1, 9, 50)]
    assert sizes == sorted(sizes)
    # A tile more takes V of 20 channels and M of two panels of 32 outputs, or of three of 16.
    assert sizes[2] - sizes[1] <= 4 * F4_3D.rank * (41 * (20 + 64) + 32)


def test_memory_that_is_too_small_is_our_own_error() -> None:
    input, grad_output = integers(1, 2, 4, 4, 4, seed=1), integers(1, 2, 4, 4, 4, seed=2)
    with pytest.raises(RuntimeError, match="internal error: a workspace of 8 bytes, the kernel needs"):
        filter_gradient(F2_3D).gradient(input, grad_output, memory=lambda _size: torch.empty(2))


def test_reading_does_not_copy_memory_that_is_copied_when_written() -> None:
    input, grad_output = (torch._lazy_clone(torch.ones(1, 2, 4, 4, 4)) for _ in range(2))
    filter_gradient(F2_3D).gradient(input, grad_output)
    assert torch._C._is_cow_tensor(input)
    assert torch._C._is_cow_tensor(grad_output)


@pytest.mark.parametrize(
    ("input", "grad_output", "message"),
    [
        ((1, 2, 4, 4), (1, 2, 4, 4, 4), "input has 4 dimensions, must have 5"),
        ((1, 2, 4, 4, 4), (1, 2, 4, 4, 5), "grad_output has shape .* must be .1, 2, 4, 4, 4."),
        ((2, 2, 4, 4, 4), (1, 2, 4, 4, 4), "grad_output has shape .* must be .2, 2, 4, 4, 4."),
        ((1, 0, 4, 4, 4), (1, 2, 4, 4, 4), "input of shape .* is empty"),
        ((1, 2, 4, 4, 4), (1, 0, 4, 4, 4), "grad_output of shape .* is empty"),
    ],
)
def test_tensors_that_do_not_match_are_refused(input, grad_output, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        filter_gradient(F2_3D).gradient(torch.zeros(input), torch.zeros(grad_output))


def test_other_dtypes_and_devices_are_refused() -> None:
    ones = torch.ones(1, 2, 4, 4, 4)
    with pytest.raises(ValueError, match=r"dtype 'float16', the native gradient has float32, float64"):
        filter_gradient(F2_3D, "float16")
    with pytest.raises(ValueError, match=r"grad_output is torch\.float64 on cpu, must be float32 on the CPU"):
        filter_gradient(F2_3D).gradient(ones, ones.double())
    with pytest.raises(ValueError, match=r"input is torch\.float32 on meta, must be float32 on the CPU"):
        filter_gradient(F2_3D).gradient(ones.to("meta"), ones)


def test_what_the_kernel_refuses_is_our_own_error() -> None:
    gradient = NativeFilterGradient(F2_3D)

    class Objecting:
        def winograd_workspace_floats(self, *_arguments: object) -> int:
            return 4

        def winograd_filter_gradient(self, *_arguments: object) -> bytes:
            return b"the moon is full"

    gradient._library = Objecting()
    ones = torch.ones(1, 2, 4, 4, 4)
    with pytest.raises(RuntimeError, match="internal error: the kernel refuses its arguments: the moon is full"):
        gradient.gradient(ones, ones)
