"""The cost model: counts that are known exactly, and the order it puts layers in."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import combinations, product

import numpy as np
import pytest

import winograd
from winograd import nest, toom_cook
from winograd.conv.arguments import ConvArguments
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.machine import NOMINAL, Machine
from winograd.conv.native.schedule import Schedule, ScheduleKind
from winograd.conv.roofline import (
    Work,
    data_instructions,
    direct_ms,
    filter_bytes,
    filter_ms,
    inverse_instructions,
    least_winograd_ms,
    multiplications,
    tile_count,
    transformed_bytes,
    winograd_ms,
)


def only_operations() -> Machine:
    """Return the machine with memory and calls that cost nothing."""
    names = ("direct_input_gbs", "direct_output_gbs", "direct_weight_gbs", "fresh_gbs", "core_cache_gbs")
    return replace(NOMINAL, **dict.fromkeys(names, 1e12), direct_call_ms=1e-12)


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


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(("size", "padding", "taps"), [(7, 0, 3), (9, 1, 3), (5, 4, 2), (4, 9, 5), (20, 2, 4)])
def test_taps_that_meet_padding_are_counted_out(stride: int, dilation: int, size: int, padding: int, taps: int) -> None:
    arguments = ConvArguments(stride=stride, padding=(padding, 0), dilation=dilation)
    shape = arguments.shape((1, 64, size, 64), (64, 64, taps, 3), dtype="float32")
    reads = [output * stride + tap * dilation - padding for output in range(shape.output[0]) for tap in range(taps)]
    real = sum(0 <= read < size for read in reads)
    compute = only_operations()
    expected = 2 * shape.macs * real / len(reads) / (2 * NOMINAL.direct_core_gflops * 1e6)
    assert direct_ms(shape, machine=compute) == pytest.approx(expected, rel=1e-5)


# Best direct variant of C3D's layers conv1 to conv5a at batch 1, which `make bench` measures, with torch 2.13.0 on two
# cores of an AMD EPYC (family 25 model 17), 2026-11-20. NOMINAL was fitted to these figures.
FITTED = [
    (layer(3, 64, 16, 112, 112), 16.5),
    (layer(64, 128, 16, 56, 56), 43),
    (layer(128, 256, 8, 28, 28), 19.1),
    (layer(256, 256, 8, 28, 28), 40.1),
    (layer(256, 512, 4, 14, 14), 9.0),
    (layer(512, 512, 4, 14, 14), 18.2),
    (layer(512, 512, 2, 7, 7), 2.5),
]

# C3D's layers by the schedule that ran, on the same machine, 2026-11-21: milliseconds, the least of some 20 calls.
FUSED, STAGED = ScheduleKind.FUSED, ScheduleKind.STAGED
F2, F4, F7 = (winograd.best(m, 3, products=count) for m, count in ((2, 4), (4, 6), (7, 10)))
WINOGRAD = [
    (layer(64, 128, 16, 56, 56), nest(F4, F4, F4), Schedule(FUSED, 14), 8.6),
    (layer(64, 128, 16, 56, 56), nest(F2, F4, F4), Schedule(FUSED, 14), 10.4),
    (layer(64, 128, 16, 56, 56), nest(F2, F2, F2), Schedule(FUSED, 32), 18.1),
    (layer(64, 128, 16, 56, 56), nest(F4, F7, F7), Schedule(FUSED, 13), 9.2),
    (layer(64, 128, 16, 56, 56), nest(F4, F7, F7), Schedule(FUSED, 4), 12.6),
    (layer(128, 256, 8, 28, 28), nest(F4, F4, F4), Schedule(FUSED, 13), 4.4),
    (layer(128, 256, 8, 28, 28), nest(F4, F4, F4), Schedule(STAGED, 49), 4.6),
    (layer(128, 256, 8, 28, 28), nest(F4, F7, F7), Schedule(FUSED, 16), 3.9),
    (layer(128, 256, 8, 28, 28), nest(F4, F4, F7), Schedule(FUSED, 28), 3.7),
    (layer(256, 256, 8, 28, 28), nest(F4, F4, F4), Schedule(STAGED, 33), 7.3),
    (layer(256, 256, 8, 28, 28), nest(F4, F4, F4), Schedule(FUSED, 25), 7.2),
    (layer(256, 256, 8, 28, 28), nest(F4, F4, F7), Schedule(FUSED, 28), 7.4),
    (layer(256, 256, 8, 28, 28), nest(F4, F7, F7), Schedule(STAGED, 16), 8.9),
    (layer(256, 512, 4, 14, 14), nest(F4, F4, F4), Schedule(STAGED, 16), 2.6),
    (layer(512, 512, 4, 14, 14), nest(F4, F4, F4), Schedule(STAGED, 16), 4.9),
    (layer(512, 512, 4, 14, 14), nest(F2, F2, F2), Schedule(STAGED, 49), 8.2),
    (layer(512, 512, 2, 7, 7), nest(F2, F2, F2), Schedule(STAGED, 16), 1.5),
    (layer(512, 512, 2, 7, 7), nest(F2, F4, F4), Schedule(STAGED, 4), 2.9),
    (layer(512, 512, 2, 7, 7), nest(F2, F7, F7), Schedule(STAGED, 1), 8.7),
    (layer(3, 64, 16, 112, 112), nest(F4, F4, F4), Schedule(FUSED, 26), 5.8),
]


@pytest.mark.parametrize(("shape", "measured_ms"), FITTED)
def test_the_nominal_machine_fits_what_it_was_fitted_to(shape: ConvShape, measured_ms: float) -> None:
    # Fewer constants than figures: this is how well one rate and one law for padding describe six layers, no forecast.
    assert direct_ms(shape) == pytest.approx(measured_ms, rel=1 / 4)


def test_layers_rank_as_they_were_measured() -> None:
    predicted = sorted(FITTED, key=lambda row: direct_ms(row[0]))
    assert predicted == sorted(FITTED, key=lambda row: row[1])


def test_the_model_ranks_as_was_measured() -> None:
    """Of two algorithms for one layer that differ by a fifth, the model names the faster one."""
    for first, second in combinations(WINOGRAD, 2):
        if first[0] == second[0] and max(first[3] / second[3], second[3] / first[3]) > 1.2:
            faster = winograd_ms(*first[:3]) < winograd_ms(*second[:3])
            assert faster == (first[3] < second[3])


def test_a_filter_that_must_be_streamed_bounds_a_layer_with_few_tiles() -> None:
    shape = layer(512, 512, 2, 7, 7)
    streamed = filter_bytes(shape, F43_3D) - NOMINAL.cache_bytes
    assert winograd_ms(shape, F43_3D) > streamed / (NOMINAL.stream_gbs * 1e6)
    assert winograd_ms(shape, nest(*[toom_cook(2, 3)] * 3)) < winograd_ms(shape, F43_3D)


FITTED_FIELDS = [field.name for field in fields(Machine) if field.name != "peaks"]


@pytest.mark.parametrize("field", FITTED_FIELDS)
def test_every_constant_counts_and_none_makes_slower_what_is_faster(field: str) -> None:
    few = replace(layer(64, 4, 8, 28, 28), outputs=4)
    depthwise = replace(layer(64, 64, 8, 28, 28), groups=64)

    def milliseconds(machine: Machine) -> float:
        layers = (layer(64, 64, 8, 28, 28), layer(512, 512, 4, 14, 14))
        runs = [(shape, F43_3D, Schedule(kind, 8)) for shape in layers for kind in ScheduleKind]
        runs += [
            (layers[0], nest(F4, F7, F7), Schedule(FUSED, 8)),
            (layer(256, 256, 8, 28, 28), F43_3D, Schedule(STAGED, 98)),
        ]
        runs += [(layers[1], F43_3D, Schedule(FUSED, 1))]
        direct = (
            layer(2, 64, 8, 28, 28),
            layer(3, 64, 16, 56, 56),
            layer(3, 64, 16, 112, 112),
            layers[1],
            few,
            depthwise,
        )
        times = [winograd_ms(*run, 2, machine) for run in runs] + [direct_ms(shape, 2, machine) for shape in direct]
        return sum(times) + filter_ms(layers[0], F43_3D, 2, machine)

    value = getattr(NOMINAL, field)
    is_speed = field.endswith(("gbs", "gflops", "gops", "bytes", "overlap"))
    slower = replace(NOMINAL, **{field: value / 4 if is_speed else value * 4})
    assert milliseconds(slower) > milliseconds(NOMINAL)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_the_bound_is_never_above_the_time(threads: int) -> None:
    for shape, algorithm, _, _ in WINOGRAD:
        work = Work(
            tiles=np.array([float(tile_count(shape, algorithm))]),
            rank=np.array([float(algorithm.rank)]),
            data=np.array([float(data_instructions(algorithm))]),
            inverse=np.array([float(inverse_instructions(algorithm))]),
        )
        bound = least_winograd_ms(shape, work, threads)[0]
        for kind, block in product(ScheduleKind, (1, 3, 14, 50, 1000)):
            schedule = Schedule(kind, min(block, tile_count(shape, algorithm)))
            assert bound <= winograd_ms(shape, algorithm, schedule, threads) * (1 + 1e-9)


def test_more_threads_take_no_longer_and_the_filter_is_read_for_every_block() -> None:
    shape, tiles = layer(256, 256, 8, 28, 28), 98
    for kind in ScheduleKind:
        one, two = (winograd_ms(shape, F43_3D, Schedule(kind, 7), threads) for threads in (1, 2))
        assert two < one < 2 * two
    few, all_ = (winograd_ms(shape, F43_3D, Schedule(STAGED, block)) for block in (7, tiles))
    assert all_ < few


def test_direct_convolution_leaves_out_taps_that_meet_padding() -> None:
    thin, thick = layer(64, 64, 1, 64, 64), layer(64, 64, 64, 64, 64)
    # One plane meets one tap of three, 64 planes all but two in 192.
    compute = only_operations()
    ratio = direct_ms(thick, machine=compute) / direct_ms(thin, machine=compute)
    assert ratio == pytest.approx(64 * (190 / 192) / (1 / 3), rel=0.01)


def test_narrow_inputs_slow_direct_convolution_down() -> None:
    narrow, wide = layer(2, 64, 16, 56, 56), layer(12, 64, 16, 56, 56)
    compute = only_operations()
    per_mac = [direct_ms(shape, machine=compute) / shape.macs for shape in (narrow, wide)]
    assert per_mac[0] == pytest.approx(per_mac[1] * NOMINAL.full_row / 6)
