"""The FFT backend against direct convolution: as exact as float32 sums of so many roundings are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from tests.conv.native_cases import cases, direct_f64, integers  # noqa: E402
from winograd.codegen.fourier.lines import Pass  # noqa: E402
from winograd.codegen.fourier.tile import FftTile, data_passes, inverse_passes  # noqa: E402
from winograd.codegen.program import Program  # noqa: E402
from winograd.codegen.targets.c import CHANNEL_BLOCK  # noqa: E402
from winograd.codegen.targets.c.fourier import GROWTH  # noqa: E402
from winograd.conv.fft import FftForm, convolve_fft, fft_convolution, pack_fft  # noqa: E402
from winograd.conv.native.schedule import Schedule, ScheduleKind  # noqa: E402

UNIT = 2.0**-24


def deepest(program: Program) -> int:
    """Return how many instructions follow each other at most."""
    depth = [0] * program.inputs
    for node in program.nodes:
        depth.append(1 + max(depth[argument] for argument in node.args))
    return max(depth[output] for output in program.outputs)


def roundings(passes: Sequence[Pass]) -> int:
    """Return how often a number is rounded on its way through passes at most."""
    return sum(max(deepest(lines.program) for lines in step) for step in passes)


def expected_error(tile: FftTile, channels: int) -> float:
    """Return an error to expect relative to full windows of inputs of equal variance.

    Transforms keep norms, so that errors of intermediate numbers arrive at the outputs with the size that they had,
    relative to the norms there: every rounding, of which the relative variance is u^2 / 3 at most, counts once. A sum
    over channels is rounded once a channel of a block, at a half of its size on average, and once a block; the filter
    is rounded once. The Gauss form doubles the variance of what happens to products.
    """
    transforms = roundings(data_passes(tile)) + roundings(inverse_passes(tile))
    sums = min(channels, CHANNEL_BLOCK) + math.ceil(channels / CHANNEL_BLOCK)
    return UNIT * math.sqrt((transforms + GROWTH[tile.form] * (sums + 2)) / 3)


def taken_by(batch_sizes: Sequence[int], m: Sequence[int]) -> tuple[int, ...]:
    return tuple(m[: len(batch_sizes) - 2])


@settings(deadline=None, max_examples=60)
@given(cases(), st.sampled_from(FftForm), st.sampled_from([(4, 6, 6), (3, 2, 8)]), st.booleans(), st.booleans())
def test_outputs_are_within_rounding_of_direct_convolution(case, form, outputs_of_tile, with_bias, last) -> None:
    sizes, outputs, padding, seed = case
    generator = torch.Generator().manual_seed(seed)
    input = torch.randn(sizes, generator=generator)
    weight = torch.randn(outputs, sizes[1], *[3] * len(padding), generator=generator)
    bias = torch.randn(outputs, generator=generator) if with_bias else None
    given_input = input.movedim(1, -1).contiguous().movedim(-1, 1) if last else input
    m = taken_by(sizes, outputs_of_tile)
    found = convolve_fft(given_input, weight, bias, m=m, form=form, padding=padding)
    expected = direct_f64(input, weight, bias, padding)
    assert found.shape == expected.shape
    full = math.sqrt(sizes[1] * 3 ** len(padding) + with_bias)
    error = float((found - expected).square().mean().sqrt()) / full
    # 2 for what few inputs and outputs have by chance: of tiles with hardly any input, errors are a few numbers.
    assert error <= 2 * expected_error(FftTile(m, (3,) * len(padding), form), sizes[1])


@pytest.mark.parametrize("form", FftForm)
@pytest.mark.parametrize(
    ("m", "sizes", "channels"),
    [((6, 6), (26, 26), 3), ((10, 10), (32, 32), 200), ((4, 6, 6), (10, 20, 20), 64), ((14,), (200,), 70)],
    ids=str,
)
def test_errors_of_layers_are_what_counting_roundings_says(m, sizes, channels: int, form: FftForm) -> None:
    generator = torch.Generator().manual_seed(0)
    input = torch.randn(2, channels, *sizes, generator=generator)
    weight = torch.randn(40, channels, *[3] * len(m), generator=generator)
    found = convolve_fft(input, weight, m=m, form=form, padding=((0, 0),) * len(m))
    expected = direct_f64(input, weight, None, ((0, 0),) * len(m))
    error = float((found - expected).norm() / expected.norm())
    counted = expected_error(FftTile(m, (3,) * len(m), form), channels)
    assert 0.15 * counted <= error <= counted  # the count is of the longest way, and of the largest roundings


def test_a_wrong_tap_is_noticed() -> None:
    input, weight = torch.ones(1, 4, 9, 9), torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    other = weight.clone()
    other[0, 0, 1, 1] += 1e-4
    padding = ((1, 1),) * 2
    packed = pack_fft(other, (6, 6))
    error = (
        (
            convolve_fft(input, weight, m=(6, 6), padding=padding, packed=packed)
            - direct_f64(input, weight, None, padding)
        )
        .abs()
        .max()
    )
    assert error > 6 * 2 * expected_error(FftTile((6, 6), (3, 3)), 4)


@pytest.mark.parametrize("form", FftForm)
def test_every_schedule_and_number_of_threads_gives_the_same_bits(form: FftForm) -> None:
    input, weight = integers(2, 70, 9, 20, seed=1), integers(40, 70, 3, 3, seed=2)
    convolution = fft_convolution(FftTile((6, 6), (3, 3), form))
    packed, padding = convolution.pack(weight), ((1, 1), (0, 2))
    threads, outputs = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            for schedule in (Schedule(ScheduleKind.FUSED, 3), Schedule(ScheduleKind.STAGED, 5), None):
                outputs.append(convolution.convolve(input, packed, None, padding, schedule=schedule))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(outputs[0], other) for other in outputs[1:])


def test_a_packed_filter_is_for_its_tile_and_form_only() -> None:
    input, weight = torch.zeros(1, 2, 8, 8), torch.zeros(3, 2, 3, 3)
    packed = pack_fft(weight, (6, 6), "gauss")
    assert packed.nbytes == 4 * FftTile((6, 6), (3, 3), "gauss").planes * 2 * 32
    for m, form in (((4, 4), "gauss"), ((6, 6), "regular")):
        with pytest.raises(ValueError, match="made by another algorithm than FFT"):
            convolve_fft(input, weight, m=m, form=form, padding=((1, 1),) * 2, packed=packed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input": torch.zeros(1, 2, 8)}, "input has 3 dimensions, must have 4"),
        ({"input": torch.zeros(1, 3, 8, 8)}, "input has 3 channels, the packed filter needs 2"),
        ({"input": torch.zeros(1, 2, 8, 8).double()}, "must be float32 on the CPU"),
        ({"input": torch.zeros(0, 2, 8, 8)}, "is empty"),
        ({"m": (6,)}, "must be for the same 1 to 3 axes"),
        ({"form": "karatsuba"}, "'karatsuba' is not a valid FftForm"),
        ({"padding": ((0, 0), (0, -1))}, "must be at least 0"),
    ],
)
def test_what_does_not_fit_is_refused(change, message: str) -> None:
    given_ = {"input": torch.zeros(1, 2, 8, 8), "m": (6, 6), "form": "gauss", "padding": ((1, 1),) * 2} | change
    with pytest.raises(ValueError, match=message):
        convolve_fft(given_.pop("input"), torch.zeros(3, 2, 3, 3), **given_)
