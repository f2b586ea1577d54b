"""What the schedules of the native backend gain on each layer of a suite, and in which stage the time goes.

    python benchmarks/kernel_schedules.py [--suite c3d_stack] [--batch N] [--tolerance T] [--repeats N] [--json FILE]

Every layer runs by the algorithm of its plan, warm, channels last, and by every schedule in turn: fused and staged,
with few tiles and many. Results of all schedules are compared bit for bit before they are timed. Shares of the stages
are samples of the processor's clock by function, which Linux's perf takes where it is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch

from winograd.artefact import write_atomically
from winograd.benching.layers import BenchLayer
from winograd.benching.measurement import draw_tensors, multiplications
from winograd.benching.suites import make_suite
from winograd.conv.choosing.selection import Filters
from winograd.conv.measuring.timing import interleaved, measured_on
from winograd.conv.native.kernel import native_convolution
from winograd.conv.native.schedule import Schedule, ScheduleKind
from winograd.conv.plan.record import Backend
from winograd.conv.planning.make import make_plan
from winograd.conv.tensors.layout import as_channels_last
from winograd.nn.table import text_table

FUSED_TILES, STAGED_TILES = (8, 14, 28), (16, 32, 64)
STAGES = {
    "data": r"_(data_|addresses|gather)",
    "products": r"_product",
    "inverse": r"_(inverse_|epilogue|spread)",
    "waiting": r"libgomp",
    "system": r"\[k\]",
}
SAMPLING_S = 2.0


@dataclass(frozen=True, slots=True)
class Row:
    """One layer by every schedule, by its name, and the shares of the stages by the planned one, if known."""

    layer: str
    algorithm: str
    planned: str
    executed_gflop: float
    ms: dict[str, float]
    shares: dict[str, float] | None


def main() -> int:
    options = _options()
    with torch.inference_mode():
        rows = [row for layer in make_suite(options.suite, options.batch).layers for row in _measure(layer, options)]
    described = {
        "suite": options.suite,
        "batch": options.batch,
        "tolerance": options.tolerance,
        "repeats": options.repeats,
        "threads": torch.get_num_threads(),
        "machine": measured_on(),
    }
    print(json.dumps(described))
    print(_times_table(rows))
    print(_shares_table(rows))
    if options.json:
        table = {**described, "rows": [asdict(row) for row in rows]}
        write_atomically(options.json, (json.dumps(table, indent=2, allow_nan=False) + "\n").encode())
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--suite", default="c3d_stack", help="whose layers (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=1, help="images (default: 1)")
    parser.add_argument("--tolerance", type=float, default=2e-6, help="of the plans (default: 2e-6)")
    parser.add_argument("--repeats", type=int, default=15, help="rounds of timing (default: 15)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the tables as JSON")
    return parser.parse_args()


def _measure(layer: BenchLayer, options: argparse.Namespace) -> Iterator[Row]:
    """Yield the row of a layer, or nothing where the plan is no native one."""
    print(f"{layer.name} ...", file=sys.stderr, flush=True)
    threads = torch.get_num_threads()
    plan = make_plan(layer.shape, tolerance=options.tolerance, filters=Filters.FROZEN, threads=threads)
    if plan.backend is not Backend.NATIVE or plan.algorithm is None or plan.schedule is None:
        return
    input, weight, bias = draw_tensors(layer, seed=0)
    convolution = native_convolution(plan.algorithm)
    packed, last = convolution.pack(weight), as_channels_last(input)
    runs = {
        _name(schedule): partial(convolution.convolve, last, packed, bias, layer.shape.padding, schedule=schedule)
        for schedule in dict.fromkeys([plan.schedule, *_schedules()])
    }
    outputs = [run() for run in runs.values()]
    if not all(torch.equal(outputs[0], other) for other in outputs[1:]):
        raise SystemExit(f"{layer.name}: results depend on the schedule")
    del outputs
    times = interleaved(runs, options.repeats)
    yield Row(
        layer=layer.name,
        algorithm=plan.algorithm_label,
        planned=_name(plan.schedule),
        executed_gflop=2e-9 * multiplications(plan),
        ms={name: median(values) for name, values in times.items()},
        shares=_shares(runs[_name(plan.schedule)]),
    )


def _schedules() -> Iterator[Schedule]:
    for kind, blocks in ((ScheduleKind.FUSED, FUSED_TILES), (ScheduleKind.STAGED, STAGED_TILES)):
        for block in blocks:
            yield Schedule(kind, block)


def _name(schedule: Schedule) -> str:
    return f"{schedule.kind.name.lower()} {schedule.block}"


def _shares(run: Callable[[], object]) -> dict[str, float] | None:
    """Return which part of the time each stage takes, from samples of this process while it runs again and again."""
    if shutil.which("perf") is None:
        return None
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "samples"
        command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "2000", "-p", str(os.getpid()), "-o", str(file)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as recorder:
            end = time.monotonic() + SAMPLING_S
            while time.monotonic() < end:
                run()
            recorder.send_signal(signal.SIGINT)
        report = ["perf", "report", "-i", str(file), "--stdio", "--sort", "dso,symbol", "-w", "0"]
        done = subprocess.run(report, capture_output=True, text=True, check=False)
    return _sum_shares(done.stdout)


def _sum_shares(report: str) -> dict[str, float] | None:
    """Return the shares by stage from the lines of perf's report."""
    shares = dict.fromkeys([*STAGES, "other"], 0.0)
    for line in report.splitlines():
        found = re.match(r"\s*([\d.]+)%\s+(.*)", line)
        if found:
            stage = next((stage for stage, pattern in STAGES.items() if re.search(pattern, found[2])), "other")
            shares[stage] += float(found[1]) / 100
    return shares if sum(shares.values()) > 0 else None


def _times_table(rows: list[Row]) -> str:
    names = [_name(schedule) for schedule in _schedules()]
    header = ("layer", "algorithm", "planned", "ms", "GFLOP/s", *names)
    cells = []
    for row in rows:
        own = row.ms[row.planned]
        others = [f"{row.ms[name]:.2f}" for name in names]
        cells.append(
            (row.layer, row.algorithm, row.planned, f"{own:.2f}", f"{row.executed_gflop / own * 1e3:.0f}", *others)
        )
    return text_table(header, cells, left=3)


def _shares_table(rows: list[Row]) -> str:
    if all(row.shares is None for row in rows):
        return "shares of the stages: perf is not installed, or takes no samples here"
    header = ("layer", "ms", *STAGES, "other")
    cells = [
        (row.layer, f"{row.ms[row.planned]:.2f}", *(f"{share:.0%}" for share in row.shares.values()))
        for row in rows
        if row.shares is not None
    ]
    return text_table(header, cells)


if __name__ == "__main__":
    sys.exit(main())
