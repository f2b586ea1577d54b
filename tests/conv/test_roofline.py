"""The cost model: counts that are known exactly, and the order it puts layers in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from winograd import nest, toom_cook
from winograd.conv.arguments import ConvArguments
from winograd.conv.roofline import (
    NOMINAL,
    data_instructions,
    direct_ms,
    filter_bytes,
    filter_ms,
    inverse_instructions,
    multiplications,
    transformed_bytes,
    winograd_ms,
)
from winograd.conv.shape import ConvShape

F43 = toom_cook(4, 3, "0,1,-1,2,-2,inf")
F43_2D, F43_3D = nest(F43, F43), nest(F43, F43, F43)


def layer(channels: int, outputs: int, *sizes: int, batch: int = 1) -> ConvShape:
    taps = (3,) * len(sizes)
    return ConvArguments(padding=1).shape((batch, channels, *sizes), (outputs, channels, *taps), dtype="float32")


def test_counts_are_those_of_lavin_and_gray() -> None:
    f23 = toom_cook(2, 3, "0,1,-1,inf")
    assert (data_instructions(nest(f23, f23)), inverse_instructions(nest(f23, f23))) == (32, 24)
    assert data_instructions(F43_2D) == 12 * 6 + 12 * 6
    assert inverse_instructions(F43_2D) == 10 * 6 + 10 * 4
    assert inverse_instructions(F43_3D) == 10 * 36 + 10 * 24 + 10 * 16


def test_multiplications_and_bytes_count_ragged_tiles_whole() -> None:
    shape = layer(3, 5, 9, 8, batch=2)  # 3 x 2 tiles of 4 x 4
    assert multiplications(shape, F43_2D) == 36 * (2 * 6) * 3 * 5
    assert transformed_bytes(shape, F43_2D) == 4 * 36 * (2 * 6) * (3 + 5)
    assert filter_bytes(shape, F43_2D) == 4 * 36 * 3 * 5


# Best direct variant of C3D's layers conv2 to conv5a at batch 1, which `make bench` measures, with torch 2.13.0
# on two cores of an AMD EPYC (family 25 model 17), 2026-11-20. NOMINAL was fitted to these figures.
FITTED = [
    (layer(64, 128, 16, 56, 56), 95),
    (layer(128, 256, 8, 28, 28), 45),
    (layer(256, 256, 8, 28, 28), 88),
    (layer(256, 512, 4, 14, 14), 19),
    (layer(512, 512, 4, 14, 14), 40),
    (layer(512, 512, 2, 7, 7), 4.7),
]


@pytest.mark.parametrize(("shape", "measured_ms"), FITTED)
def test_the_nominal_machine_fits_what_it_was_fitted_to(shape: ConvShape, measured_ms: float) -> None:
    # Fewer constants than figures: this is how well one rate and one law for padding describe six layers, no forecast.
    assert direct_ms(shape) == pytest.approx(measured_ms, rel=1 / 4)


def test_layers_rank_as_they_were_measured() -> None:
    predicted = sorted(FITTED, key=lambda row: direct_ms(row[0]))
    assert predicted == sorted(FITTED, key=lambda row: row[1])


def test_a_filter_that_must_be_streamed_bounds_a_layer_with_few_tiles() -> None:
    shape = layer(512, 512, 2, 7, 7)
    assert winograd_ms(shape, F43_3D) > filter_bytes(shape, F43_3D) / (NOMINAL.dram_gbs * 1e6)
    assert winograd_ms(shape, nest(*[toom_cook(2, 3)] * 3)) < winograd_ms(shape, F43_3D)


def test_every_speed_counts() -> None:
    shape = layer(64, 64, 8, 28, 28)
    cached = replace(NOMINAL, cache_bytes=1 << 40)
    for name in ("gflops", "gemm_efficiency", "transform_gops", "dram_gbs", "cache_gbs"):
        slower = replace(cached, **{name: getattr(cached, name) / 10})
        assert winograd_ms(shape, F43_3D, slower) > winograd_ms(shape, F43_3D, cached), name
    assert winograd_ms(shape, F43_3D, replace(NOMINAL, cache_bytes=0)) > winograd_ms(shape, F43_3D, cached)
    assert filter_ms(shape, F43_3D, replace(NOMINAL, filter_gops=0.07)) == pytest.approx(10 * filter_ms(shape, F43_3D))


def test_direct_convolution_leaves_out_taps_that_meet_padding() -> None:
    thin, thick = layer(64, 64, 1, 64, 64), layer(64, 64, 64, 64, 64)
    # One plane meets one tap of three, 64 planes all but two in 192.
    assert direct_ms(thick) / direct_ms(thin) == pytest.approx(64 * (190 / 192) / (1 / 3), rel=0.01)


def test_narrow_inputs_slow_direct_convolution_down() -> None:
    narrow, wide = layer(3, 64, 16, 56, 56), layer(9, 64, 16, 56, 56)
    assert direct_ms(narrow) == pytest.approx(direct_ms(wide), rel=0.01)
