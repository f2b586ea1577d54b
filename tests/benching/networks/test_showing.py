"""Figures of whole networks as numbers, text and Markdown."""

from __future__ import annotations

import json

from tests.benching.networks.small_networks import benchmark, times
from winograd.benching.networks.showing import networks_text
from winograd.benching.networks.tables import networks_table
from winograd.benching.statistics import Ratio


def test_ratios_compare_folded_with_folded() -> None:
    ratios = times().ratios
    assert ratios["unfolded"] == Ratio(3.0, 2.0, 4.0)
    assert ratios["folded"] == Ratio(3.0, 3.0, 3.0)
    assert ratios["compiled"] == Ratio(2.5, 2.5, 2.5)


def test_without_norms_ours_is_compared_with_the_one_form_of_torch() -> None:
    ratios = times(folded=False).ratios
    assert ratios["folded"] == Ratio(4.0, 4.0, 4.0)
    assert ratios["compiled"] == Ratio(2.5, 2.5, 2.5)
    assert list(times(folded=False, compiled=False).ratios) == ["unfolded", "folded"]


def test_the_table_has_a_row_for_each_rival() -> None:
    text = networks_text(benchmark(times(), times(folded=False, compiled=False)))
    lines = text.splitlines()
    assert "environment: OMP_NUM_THREADS=2" in lines
    rows = [line.split() for line in lines if "channels_last" in line or "contiguous" in line]
    assert rows[0] == ["small", "1x2x4x8x8", "eager", "torch", "contiguous", "8.0", "3.0e-07"]
    assert rows[2] == ["torch.compile,", "frozen", "channels_last", "5.0", "3.0e-07", "2.50", "2.50-2.50"]
    assert rows[4] == ["ours,", "folded", "channels_last", "2.0", "2.0e-06", "3.00", "3.00-3.00"]
    assert len(rows) == 8
    assert lines[-1] == (
        "small: 1 of 2 convolutions by Winograd; weights 1.0 MiB, transformed and packed 2.0 MiB, "
        "workspace 0.5 MiB at most"
    )


def test_markdown_from_json_has_a_dash_for_what_did_not_run() -> None:
    figures = json.loads(json.dumps(benchmark(times(), times(folded=False, compiled=False)).as_dict()))
    lines = networks_table([figures]).splitlines()
    assert lines[2] == (
        "| small | 8.0 (3.0e-07) | 6.0 (3.0e-07) | 5.0 (3.0e-07) | 3.0 (2.0e-06) | 2.0 (2.0e-06) | "
        "3.00 (2.00 to 4.00) | 3.00 (3.00 to 3.00) | 2.50 (2.50 to 2.50) |"
    )
    assert lines[3] == (
        "| small | 8.0 (3.0e-07) | - | - | 3.0 (2.0e-06) | 2.0 (2.0e-06) | "
        "3.00 (2.00 to 4.00) | 4.00 (4.00 to 4.00) | - |"
    )
