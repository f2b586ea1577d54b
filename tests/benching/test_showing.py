from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from tests.benching.made_up import benchmark, measurement
from winograd.benching.plot import benchmark_png
from winograd.benching.showing import benchmark_text

BOTH = benchmark(
    measurement("conv1", (9.0, 8.0, 8.0), (2.0, 2.0, 1.0), count=2),
    measurement("conv2", (4.0, 4.0, 4.0), (4.0, 4.0, 4.0), is_direct=True),
)


def row(name: str) -> list[str]:
    return next(line for line in benchmark_text(BOTH, wide=True).splitlines() if line.startswith(f"{name} ")).split()


def test_a_row_has_ratio_and_both_errors_beside_the_times() -> None:
    assert row("conv1") == [
        *("conv1", "2", "64", "to", "128,", "3x3x3", "on", "8x16x16", "native", "F(2x2x2,3x3x3)", "channels_last"),
        *("onednn", "8.00", "2.00", "4.50", "4.00", "to", "8.00", "-7000", "1.2e-06", "1.0e-06", "5.0e-07"),
        *("1000", "300", "250", "50", "1.0", "3.0", "1.0"),
    ]


def test_the_usual_table_fits_a_terminal() -> None:
    long = replace(
        measurement("layer1.0.conv1.0.0", (123.0, 124.0, 125.0), (12.0, 12.5, 13.0), count=4),
        algorithm="native F(4x4x7,3x3x3) of 6x6x10 products",
    )
    lines = benchmark_text(benchmark(long)).partition("\n\n")[2].partition("\n\n")[0].splitlines()
    assert max(map(len, lines)) <= 120
    assert lines[-1].split()[:6] == ["layer1.0.conv1.0.0", "x4", "64>128", "3x3x3", "8x16x16", "F(4x4x7)"]


def test_direct_convolution_has_no_prediction_and_no_memory() -> None:
    assert row("conv2")[-10:] == ["-", "1.0e-06", "5.0e-07", "500", "500", "500", "25", "-", "-", "1.0"]


def test_how_it_was_made_stands_above_and_the_stack_below() -> None:
    text = benchmark_text(BOTH)
    heading, _, rest = text.partition("\n\n")
    for words in ("made_up, batch 1: 3.000 GMACs", "tolerance 1e-05", "a processor, 2 threads, torch 2.0, 2026-11-21"):
        assert words in heading
    for words in (
        "medians of 3 interleaved rounds",
        "seed 0",
        "environment: OMP_NUM_THREADS=2\n",
        "order statistics",
        "float64",
    ):
        assert words in heading
    assert "stack of 2" in rest
    assert "best direct 20.0 ms, ours 8.0 ms, ratio 2.50 (" in rest
    assert "bootstrap" in rest
    assert "750 GFLOP/s effective, 400 executed; worst error 1.0e-06; U 2.0 MiB in all, workspace 3.0 MiB" in rest


def test_what_falls_short_is_said_and_how_much_is_added_where_direct_is_short() -> None:
    slower = measurement("slower", (2.0,) * 6, (2.2,) * 6)
    again = replace(measurement("tiny", (0.1,) * 6, (0.11,) * 6, part="pointwise"), first_rounds=slower.rounds)
    text = benchmark_text(benchmark(*BOTH.layers, slower, again))
    assert "below 0.97 where direct takes 1 ms or more: slower 0.91; 1 measured again" in text
    assert "most added where it takes less: 10 us, tiny" in text
    assert "above the tolerance: none" in text
    assert "\nstride1, 4: best direct 22.0 ms, ours 10.2 ms" in text
    assert "\npointwise, 1: " in text
    assert "none; 0 measured again" in benchmark_text(BOTH)
    assert "most added" not in benchmark_text(BOTH)


def test_strides_and_groups_are_told_apart_and_partly_verified_layers_counted() -> None:
    strided = replace(BOTH.layers[0], stride=(1, 2, 2), dilation=(2, 2, 2), groups=4, verified_outputs=32)
    text = benchmark_text(benchmark(strided))
    assert "64>128 3x3x3 /1x2x2 d2 g4 8x16x16" in text
    assert "; of 1 large ones by some of the output channels" in text
    assert "by some of the output channels" not in benchmark_text(BOTH)


def test_the_plot_is_a_png_and_the_same_one_every_time() -> None:
    assert benchmark_png(BOTH).startswith(b"\x89PNG")
    assert benchmark_png(BOTH) == benchmark_png(BOTH)


def test_a_plot_without_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    with pytest.raises(ModuleNotFoundError, match="plot"):
        benchmark_png(BOTH)
