"""Predicted against measured times: layers of eight networks by algorithms, schedules and direct convolution.

    python benchmarks/roofline_study.py measure FILE [--part I/N] [--candidates 12] [--seconds S] [--seed 0]
    python benchmarks/roofline_study.py report FILE [--json FILE] [--plot FILE]

`measure` times each layer of `roofline_layers.py`: all variants of direct convolution, and pairs of algorithm and
schedule that are drawn at random, interleaved, warm, channels last; FILE keeps what earlier parts measured. `report`
compares that with the cost model, within each layer and over layers, on those that `roofline_fit.py` did not see too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import torch
from roofline_layers import DENSE, DIRECT, candidates_of

from winograd.artefact import write_atomically
from winograd.conv.direct import direct_variants
from winograd.conv.layout import as_channels_last
from winograd.conv.limits import MemoryLimits
from winograd.conv.native import native_convolution
from winograd.conv.schedule import Schedule
from winograd.conv.selection import allowed_schedules
from winograd.conv.shape import ConvShape
from winograd.conv.timing import interleaved, measured_on

TRIES = 4
QUIET_SHARE = 0.04
"""Of a core that others may take while something is timed; else it is timed again."""


def main() -> int:
    options = _options()
    return options.run(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    measuring = commands.add_parser("measure", help="time the layers")
    measuring.add_argument("file", type=Path)
    measuring.add_argument("--part", default="1/1", metavar="I/N", help="every N-th layer from the I-th on")
    measuring.add_argument("--only", metavar="TEXT", help="layers whose names have it")
    measuring.add_argument("--candidates", type=int, default=12, help="pairs of a layer at most (default: 12)")
    measuring.add_argument("--seconds", type=float, default=1.2, help="timing of a layer (default: 1.2)")
    measuring.add_argument("--seed", type=int, default=0)
    measuring.set_defaults(run=_measure)
    return parser.parse_args()


def _measure(options: argparse.Namespace) -> int:
    first, step = map(int, options.part.split("/"))
    layers = list({**DENSE, **DIRECT}.items())[first - 1 :: step]
    for name, shape in layers:
        if options.only and options.only not in name:
            continue
        start = time.perf_counter()
        row = _measured(name, shape, options)
        print(f"{time.perf_counter() - start:5.1f} s  {name}", file=sys.stderr, flush=True)
        _keep(options, name, row)
    return 0


def _keep(options: argparse.Namespace, name: str, row: dict[str, Any]) -> None:
    """Write a layer beside those that the file has."""
    found = json.loads(options.file.read_text()) if options.file.exists() else {"layers": {}}
    found |= {"machine": measured_on(), "threads": torch.get_num_threads(), "seed": options.seed}
    found["layers"][name] = row
    write_atomically(options.file, (json.dumps(found, indent=1, allow_nan=False) + "\n").encode())


def drawn_pairs(name: str, shape: ConvShape, count: int, seed: int) -> list[tuple[Any, Schedule]]:
    """Return pairs of algorithm and schedule of a layer, as many as wanted, the same for the same seed."""
    if name not in DENSE:
        return []
    pairs = [
        (candidate, schedule)
        for candidate in candidates_of(shape)
        for schedule in allowed_schedules(shape, candidate, MemoryLimits().workspace, torch.get_num_threads())
    ]
    return Random(f"{seed} {name}").sample(pairs, min(count, len(pairs)))


def _measured(name: str, shape: ConvShape, options: argparse.Namespace) -> dict[str, Any]:
    torch.manual_seed(options.seed)
    with torch.inference_mode():
        input, weight = torch.randn(shape.batch, shape.channels, *shape.sizes), torch.randn(shape.weight_sizes)
        direct = _direct_ms(input, weight, shape, options.seconds)
        best = min(direct, key=direct.__getitem__)
        runs: dict[Any, Callable[[], object]] = {"direct": direct_variants(input, weight, None, shape)[best]}
        last, packed = as_channels_last(input), {}
        for candidate, schedule in drawn_pairs(name, shape, options.candidates, options.seed):
            kernel = native_convolution(candidate.algorithm)
            if candidate not in packed:
                packed[candidate] = kernel.pack(weight)
            run = partial(kernel.convolve, last, packed[candidate], None, shape.padding, schedule=schedule)
            runs[candidate, schedule] = run
        times = _timed(runs, options.seconds) if len(runs) > 1 else {"direct": [direct[best]]}
    return {
        "direct": direct,
        "direct_ms": median(times.pop("direct")),
        "candidates": [
            {
                "m": candidate.m,
                "ranks": candidate.ranks,
                "schedule": [schedule.kind.name, schedule.block],
                "ms": median(values),
            }
            for (candidate, schedule), values in times.items()
        ],
    }


def _direct_ms(input: torch.Tensor, weight: torch.Tensor, shape: ConvShape, seconds: float) -> dict[str, float]:
    variants = direct_variants(input, weight, None, shape)
    return {name: median(values) for name, values in _timed(variants, seconds / 2).items()}


def _timed(runs: dict[Any, Callable[[], object]], seconds: float) -> dict[Any, list[float]]:
    """Return times of so many rounds as take about so long, 5 at least and 40 at most, while nobody else computes."""
    start = time.perf_counter()
    interleaved(runs, 1)
    once = (time.perf_counter() - start) / 2
    found = []
    for _ in range(TRIES):
        busy, began = _others_s(), time.perf_counter()
        times = interleaved(runs, min(max(round(seconds / once), 5), 40))
        share = (_others_s() - busy) / (time.perf_counter() - began)
        found.append((share, times))
        if share < QUIET_SHARE:
            break
        time.sleep(1)
    share, times = min(found, key=lambda one: one[0])
    if share >= QUIET_SHARE:
        print(f"other processes take {share:.0%} of a core", file=sys.stderr)
    return times


def _others_s() -> float:
    """Return the seconds that all cores have computed for others than this process, stolen time included."""
    fields = [int(text) for text in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    busy = (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")
    own = os.times()
    return busy - own.user - own.system


if __name__ == "__main__":
    sys.exit(main())
