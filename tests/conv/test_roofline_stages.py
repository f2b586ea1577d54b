"""Stages of the cost model: their sum is the time, their counts are exact, the bound is below, other machines scale."""

from __future__ import annotations

from dataclasses import replace

import pytest

import winograd
from winograd import nest
from winograd.conv import roofline
from winograd.conv.arguments import ConvArguments
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.machine import NOMINAL
from winograd.conv.native.schedule import Schedule, ScheduleKind
from winograd.conv.roofline import Reals, StageCost, direct_cost, filter_cost, stage_costs, stage_rows, winograd_ms

F2, F4 = winograd.best(2, 3), winograd.best(4, 3)
FUSED, STAGED = ScheduleKind.FUSED, ScheduleKind.STAGED


def layer(channels: int, outputs: int, *sizes: int, dtype: str = "float32") -> ConvShape:
    weight = (outputs, channels, *(3,) * len(sizes))
    return ConvArguments(padding=1).shape((1, channels, *sizes), weight, dtype=dtype)


CASES = [
    (layer(64, 128, 16, 56, 56), nest(F4, F4, F4), Schedule(FUSED, 14)),
    (layer(256, 256, 8, 28, 28), nest(F4, F4, F4), Schedule(STAGED, 33)),
    (layer(3, 40, 30, 31), nest(F4, F2), Schedule(FUSED, 3)),
    (layer(512, 512, 2, 7, 7), nest(F2, F2, F2), Schedule(STAGED, 16)),
    (layer(17, 33, 100), nest(F4), Schedule(FUSED, 25)),
]


def by_name(stages: tuple[StageCost, ...]) -> dict[str, StageCost]:
    return {stage.name: stage for stage in stages}


@pytest.mark.parametrize(("shape", "algorithm", "schedule"), CASES)
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_time_is_the_sum_of_the_stages(shape, algorithm, schedule, threads) -> None:  # type: ignore[no-untyped-def]
    stages = stage_costs(shape, algorithm, schedule, threads)
    assert [stage.name for stage in stages] == ["input transform", "products", "inverse transform", "call"]
    assert roofline.total_ms(stages) == pytest.approx(winograd_ms(shape, algorithm, schedule, threads), rel=1e-12)


def test_a_stage_that_is_left_out_breaks_the_sum() -> None:
    shape, algorithm, schedule = CASES[0]
    stages = stage_costs(shape, algorithm, schedule)
    for index in range(len(stages)):
        rest = stages[:index] + stages[index + 1 :]
        assert roofline.total_ms(rest) < winograd_ms(shape, algorithm, schedule) * (1 - 1e-6)


def test_operations_and_bytes_are_those_of_the_layer() -> None:
    shape, algorithm, schedule = CASES[0]  # 4 x 14 x 14 tiles of 216 products, 56 blocks
    stages = by_name(stage_costs(shape, algorithm, schedule))
    tiles, size = 4 * 14 * 14, 4 * 216 * 64 * 128
    assert stages["products"].operations == 2 * 216 * tiles * 64 * 128
    assert stages["input transform"].operations == roofline.data_instructions(algorithm) * tiles * 64
    assert stages["inverse transform"].operations == roofline.inverse_instructions(algorithm) * tiles * 128
    assert stages["input transform"].memory_bytes >= 4 * 64 * 16 * 56 * 56
    assert stages["inverse transform"].memory_bytes >= 4 * 128 * 16 * 56 * 56
    assert stages["products"].shared_bytes >= 56 * size
    held = 2 * 4 * 216 * 14 * (64 + 32)
    assert stages["products"].buffer_bytes == pytest.approx(held)


def test_staged_blocks_hold_v_and_m_of_all_outputs() -> None:
    shape, algorithm, schedule = CASES[1]  # 98 tiles in 3 blocks
    products = by_name(stage_costs(shape, algorithm, schedule))["products"]
    assert products.buffer_bytes == pytest.approx(4 * 216 * 98 / 3 * (256 + 256))


@pytest.mark.parametrize(("shape", "algorithm", "schedule"), CASES)
def test_no_stage_is_faster_than_its_bound(shape, algorithm, schedule) -> None:  # type: ignore[no-untyped-def]
    # The fitted rates exceed no peak by more than the noise of both measurements.
    for stage in (*stage_costs(shape, algorithm, schedule), direct_cost(shape), filter_cost(shape, algorithm)):
        assert 0 <= stage.bound_ms <= 1.5 * stage.milliseconds
        assert stage.limited_by in roofline.LIMITS


def test_v_and_m_beyond_the_caches_cost_time() -> None:
    shape, algorithm, _ = CASES[1]
    small, large = (by_name(stage_costs(shape, algorithm, Schedule(STAGED, block))) for block in (14, 98))
    assert large["input transform"].memory_bytes > small["input transform"].memory_bytes
    assert large["input transform"].milliseconds > small["input transform"].milliseconds
    small, large = (by_name(stage_costs(shape, algorithm, Schedule(FUSED, block))) for block in (2, 49))
    assert large["products"].shared_bytes * 49 > small["products"].shared_bytes * 2
    assert large["inverse transform"].shared_bytes > small["inverse transform"].shared_bytes


def test_float64_takes_twice_the_bytes_and_the_time_of_its_products() -> None:
    single, double = layer(64, 64, 28, 28), layer(64, 64, 28, 28, dtype="float64")
    algorithm = nest(F4, F4)
    for name in ("filter_bytes", "native_filter_bytes", "transformed_bytes"):
        assert getattr(roofline, name)(double, algorithm) == 2 * getattr(roofline, name)(single, algorithm)
    assert winograd_ms(double, algorithm, Schedule(FUSED, 7)) / winograd_ms(single, algorithm, Schedule(FUSED, 7)) > 1.5
    assert roofline.direct_ms(double) > 2 * roofline.direct_ms(single)


class Complex:
    """A tile whose 16 complex products are 64 real ones, of 32 numbers in U, V and M."""

    m, r, tile, rank, label = (4, 4), (3, 3), (6, 6), 64, "complex"
    data_instructions, inverse_instructions, reals = 300, 200, Reals(32, 32, 32)


def test_complex_products_multiply_more_numbers_than_they_store() -> None:
    shape, tile = layer(64, 64, 28, 28), Complex()
    products = by_name(stage_costs(shape, tile, Schedule(FUSED, 7)))["products"]
    assert products.operations == 2 * 64 * 49 * 64 * 64
    assert roofline.native_filter_bytes(shape, tile) == 4 * 32 * 64 * 64
    assert roofline.transformed_bytes(shape, tile) == 4 * 32 * 49 * 128


def test_copies_take_their_bytes_over_the_bandwidth() -> None:
    assert roofline.copies_ms(0) == 0
    assert roofline.copies_ms(NOMINAL.plain_gbs * 1e6) == pytest.approx(1)
    assert roofline.copies_cost(1e6).memory_bytes == 1e6


def test_the_table_has_a_row_for_each_stage_and_one_for_all() -> None:
    stages = stage_costs(*CASES[0])
    rows = stage_rows(stages)
    assert [row[0] for row in rows] == [*(stage.name for stage in stages), "all"]
    assert {len(row) for row in rows} == {len(roofline.HEADER)}
    assert len(stage_rows([direct_cost(CASES[0][0])])) == 1


@pytest.mark.parametrize(("peak", "slower"), [("core_gflops", 0.25), ("memory_gbs", 0.25), ("shared_gbs", 0.25)])
def test_a_machine_with_a_lower_peak_is_slower(peak: str, slower: float) -> None:
    peaks = replace(NOMINAL.peaks, **{peak: getattr(NOMINAL.peaks, peak) * slower})
    other = NOMINAL.with_peaks(peaks)
    for case in CASES[:2]:
        assert winograd_ms(*case, 2, other) > winograd_ms(*case, 2, NOMINAL)
        before, after = (roofline.bound_ms(stage_costs(*case, 2, machine)) for machine in (NOMINAL, other))
        assert after >= before
        assert winograd_ms(*case, 2, other) < winograd_ms(*case, 2, NOMINAL) / slower


def test_memory_limits_where_operations_are_cheap() -> None:
    fast, slow = NOMINAL.with_ratio(1000), NOMINAL.with_ratio(0.1)
    assert fast.flops_per_byte == pytest.approx(1000)
    limits = [by_name(stage_costs(*CASES[1], 2, machine))["products"].limited_by for machine in (fast, slow)]
    assert limits[0] == "memory" != limits[1]
