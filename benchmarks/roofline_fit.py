"""Fit the constants of the cost model to measured times, and test them on layers that the fit does not see.

    python benchmarks/roofline_fit.py STUDY DIRECT PEAKS [--json FILE]

STUDY is what `roofline_study.py measure` wrote, DIRECT what `direct_times.py` did, and PEAKS what `measure_machine.py`
did. Every third layer of STUDY, and of DIRECT, is left out of the fit. Direct convolution is fitted to its times among
those of others too, where its weights are in no cache. The JSON is the machine whose fields
`winograd.conv.machine.NOMINAL` has, rounded to three digits.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from roofline_layers import DENSE, candidate_of, tested_layers
from scipy.optimize import least_squares

from winograd.artefact import write_atomically
from winograd.conv import roofline
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.machine import NOMINAL, Machine
from winograd.conv.machine.speeds import Peaks
from winograd.conv.native.schedule import Schedule, ScheduleKind

DIRECT_FIELDS = [
    *("direct_core_gflops", "depthwise_core_gflops", "full_outputs"),
    *("direct_input_gbs", "direct_output_gbs", "direct_weight_gbs", "fresh_gbs", "direct_call_ms"),
]
KEPT = ("peaks", "fresh_bytes", "full_row", "filter_core_gops")
"""Not fitted. Of layers with few channels the networks have stems only: ``full_row`` is from the random convolutions of
bench, two to eight channels."""
WINOGRAD_FIELDS = [field.name for field in fields(Machine) if field.name not in (*KEPT, *DIRECT_FIELDS)]
TIMES_OFF = 0.1
"""Logarithms of ratios beyond this count less than by their squares: some times were disturbed."""
PRIOR = 1.0
"""How much a constant is held to what is known of it: so much times the logarithm of the ratio counts as one time."""
PHYSICAL = {
    "core_gflops": 255.0,
    "instruction_ns": 0.15,
    "least_rows": 4.0,
    "lost_rows": 0.5,
    "sum_channels": 6.0,
    "own_data_ns": 0.4,
    "own_inverse_ns": 0.4,
    "own_held_bytes": 1.5e6,
    "core_cache_gbs": 95.0,
    "stream_gbs": 45.0,
    "plain_gbs": 40.0,
    "output_gbs": 35.0,
    "winograd_call_ms": 0.03,
    "wait_ms": 0.01,
    "large_tile_share": 0.3,
    "overlap": 2.0,
    "direct_core_gflops": 245.0,
    "direct_input_gbs": 45.0,
    "direct_output_gbs": 35.0,
    "direct_weight_gbs": 30.0,
    "depthwise_core_gflops": 200.0,
    "full_outputs": 16.0,
    "fresh_gbs": 6.0,
    "direct_call_ms": 0.015,
    "shared_data_ns": 10.0,
    "shared_inverse_ns": 0.1,
    "spilled_ns": 1.0,
    "shared_held_bytes": 18e6,
    "cache_bytes": 12e6,
}
"""Where the fit begins: clock and width of the cores, latency and number of their units, bandwidths of the probe, and
for the rest what earlier fits found."""
NEAR = 4.0
"""Times of the best candidate of a layer; beyond, a candidate is never chosen and is not fitted."""

Row = tuple[ConvShape, Any, Schedule, float]
Array = NDArray[np.float64]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("direct", type=Path)
    parser.add_argument("peaks", type=Path)
    parser.add_argument("--json", type=Path, metavar="FILE", help="the fitted machine")
    options = parser.parse_args()
    layers = json.loads(options.study.read_text())["layers"]
    study, test = winograd_rows(layers), tested_layers()
    direct = direct_rows(json.loads(options.direct.read_text())["layers"])
    peaks = Peaks(**json.loads(options.peaks.read_text())["peaks"])
    machine = replace(NOMINAL, peaks=peaks, **PHYSICAL)
    alone = [row for index, row in enumerate(direct) if index % 3 != 1]
    among_others = [(DENSE[name], None, None, layers[name]["direct_ms"]) for name in study if name not in test]
    machine = _fitted(machine, DIRECT_FIELDS, alone + among_others, _direct)
    seen = [row for name in study if name not in test for row in study[name]]
    machine = _fitted(machine, WINOGRAD_FIELDS, seen, _winograd)
    if options.json:
        write_atomically(options.json, machine.to_json().encode())
    _print("direct, fitted", machine, alone, _direct)
    _print("direct, tested", machine, direct[1::3], _direct)
    _print("winograd, fitted", machine, seen, _winograd)
    _print("winograd, tested", machine, [row for name in test for row in study[name]], _winograd)
    print("tested layers:", ", ".join(test))
    for field in (*DIRECT_FIELDS, *WINOGRAD_FIELDS):
        print(f"    {field}={getattr(machine, field):g},")
    return 0


def winograd_rows(layers: dict[str, Any]) -> dict[str, list[Row]]:
    """Return shape, algorithm, schedule and milliseconds of the candidates of each layer that are worth fitting."""
    found: dict[str, list[Row]] = {}
    for name in DENSE:
        rows = layers.get(name, {}).get("candidates", [])
        limit = NEAR * min((row["ms"] for row in rows), default=0)
        found[name] = [_row(DENSE[name], row) for row in rows if row["ms"] <= limit]
    return found


def _row(shape: ConvShape, row: dict[str, Any]) -> Row:
    kind, block = row["schedule"]
    return shape, candidate_of(shape, row), Schedule(ScheduleKind[kind], block), row["ms"]


def direct_rows(layers: list[dict[str, Any]]) -> list[Row]:
    """Return shapes and milliseconds of the best variant of direct convolution."""
    return [(shape_of(row["shape"]), None, None, row["ms"]) for row in layers]


def shape_of(fields_: dict[str, Any]) -> ConvShape:
    """Return the shape that JSON describes."""
    pairs = {"padding": tuple(map(tuple, fields_["padding"]))}
    tuples = {name: tuple(fields_[name]) for name in ("sizes", "taps", "stride", "dilation")}
    return ConvShape(**{**fields_, **tuples, **pairs})


def _direct(machine: Machine, rows: list[Row]) -> Array:
    return np.array([roofline.direct_ms(row[0], 2, machine) for row in rows])


def _winograd(machine: Machine, rows: list[Row]) -> Array:
    return np.array([roofline.winograd_ms(*row[:3], 2, machine) for row in rows])


def _fitted(machine: Machine, names: list[str], rows: list[Row], predict: Any) -> Machine:
    """Return the machine with those fields that fit the times best, in logarithms, rounded."""
    measured = np.log([row[3] for row in rows])
    start = np.log([getattr(machine, name) for name in names])

    def made(values: Array) -> Machine:
        return replace(machine, **dict(zip(names, np.exp(values).tolist(), strict=True)))

    def residuals(values: Array) -> Array:
        fit = np.log(predict(made(values), rows)) - measured
        return np.concatenate([fit, PRIOR * (values - start)])

    found = least_squares(
        residuals,
        start,
        bounds=(start - 3, start + 3),
        loss="soft_l1",
        f_scale=TIMES_OFF,
        diff_step=1e-3,
        max_nfev=60,
    )
    return replace(machine, **{name: rounded(value) for name, value in zip(names, np.exp(found.x), strict=True)})


def rounded(value: float) -> float:
    """Return a number with three digits."""
    return float(f"{value:.3g}")


def _print(name: str, machine: Machine, rows: list[Row], predict: Any) -> None:
    ratios = predict(machine, rows) / np.array([row[3] for row in rows])
    off = np.abs(np.log(ratios))
    within = float(np.mean((ratios <= 1.3) & (ratios >= 1 / 1.3)))
    print(f"{name}: {len(rows)} times, median off by {median(np.exp(off)) - 1:.1%}, {within:.0%} within 30 %")


if __name__ == "__main__":
    sys.exit(main())
