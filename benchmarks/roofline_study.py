"""Predicted against measured times: layers of eight networks by algorithms, schedules and direct convolution.

    python benchmarks/roofline_study.py measure FILE [--candidates 12] [--seconds S] [--seed 0]
    python benchmarks/roofline_study.py report FILE [--machine FILE] [--json FILE] [--plot FILE]

`measure` times each layer of `roofline_layers.py`: all variants of direct convolution, and pairs of algorithm and
schedule that are drawn at random, interleaved, warm, channels last. Layers that FILE has already are left as they are,
so that it can be done in pieces. `report` compares that with the cost model within each layer and over layers, and
those layers that `roofline_fit.py` did not see apart.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import torch
from roofline_layers import DENSE, DIRECT, candidate_of, candidates_of, tested_layers
from scipy.stats import spearmanr

from winograd.accuracy.showing.plots.canvas import COLOURS, new_figure, style
from winograd.artefact import write_atomically
from winograd.conv import roofline
from winograd.conv.choosing.selection import allowed_schedules
from winograd.conv.direct.variants import direct_variants
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.limits import MemoryLimits
from winograd.conv.machine import NOMINAL, Machine
from winograd.conv.measuring.timing import interleaved, measured_on
from winograd.conv.native.kernel import native_convolution
from winograd.conv.native.schedule import Schedule, ScheduleKind
from winograd.conv.tensors.layout import as_channels_last
from winograd.nn.table import text_table

TRIES = 3
QUIET_SHARE = 0.06
"""Of a core that others may take while something is timed; else it is timed again."""


def main() -> int:
    options = _options()
    return options.run(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    measuring = commands.add_parser("measure", help="time the layers")
    measuring.add_argument("file", type=Path)
    measuring.add_argument("--candidates", type=int, default=12, help="pairs of a layer at most (default: 12)")
    measuring.add_argument("--seconds", type=float, default=1.2, help="timing of a layer (default: 1.2)")
    measuring.add_argument("--seed", type=int, default=0)
    measuring.set_defaults(run=_measure)
    reporting = commands.add_parser("report", help="compare them with the cost model")
    reporting.add_argument("file", type=Path)
    reporting.add_argument("--machine", type=Path, metavar="FILE", help="another machine than plans assume, as JSON")
    reporting.add_argument("--json", type=Path, metavar="FILE", help="the table as JSON")
    reporting.add_argument("--plot", type=Path, metavar="FILE", help="predicted against measured, as a picture")
    reporting.set_defaults(run=_report)
    return parser.parse_args()


def _measure(options: argparse.Namespace) -> int:
    done = json.loads(options.file.read_text())["layers"] if options.file.exists() else {}
    for name, shape in {**DENSE, **DIRECT}.items():
        if name in done:
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
        direct = direct_times(input, weight, shape, options.seconds / 2)
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
        "direct_ms": quiet_ms(times.pop("direct")),
        "candidates": [
            {
                "m": candidate.m,
                "ranks": candidate.ranks,
                "schedule": [schedule.kind.name, schedule.block],
                "ms": quiet_ms(values),
            }
            for (candidate, schedule), values in times.items()
        ],
    }


def quiet_ms(times: list[float]) -> float:
    """Return the lower quartile of times: other work on the machine only adds to some of them."""
    return sorted(times)[len(times) // 4]


def direct_times(input: torch.Tensor, weight: torch.Tensor, shape: ConvShape, seconds: float) -> dict[str, float]:
    """Return the milliseconds of each variant of direct convolution, timed for about so long."""
    variants = direct_variants(input, weight, None, shape)
    return {name: quiet_ms(values) for name, values in _timed(variants, seconds).items()}


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


def _report(options: argparse.Namespace) -> int:
    found = json.loads(options.file.read_text())
    machine = Machine.from_json(options.machine.read_text()) if options.machine else NOMINAL
    layers = [compared(name, row, machine) for name, row in found["layers"].items()]
    ranked = [layer for layer in layers if len(layer.predicted_ms) > 1]
    print(_table(layers))
    unseen = set(tested_layers())
    for name, some in (
        ("all layers", ranked),
        ("layers of the fit", [layer for layer in ranked if layer.name not in unseen]),
        ("layers that the fit did not see", [layer for layer in ranked if layer.name in unseen]),
    ):
        print(_summary(name, some))
    print(_errors("chosen plans, all layers", layers))
    if options.json:
        table = {**found, "layers": [asdict(layer) for layer in layers]}
        write_atomically(options.json, (json.dumps(table, indent=1, allow_nan=False) + "\n").encode())
    if options.plot:
        write_atomically(options.plot, picture(layers, found["machine"]))
    return 0


@dataclass(frozen=True, slots=True)
class Layer:
    """Times of a layer by the name of what ran, "direct" among it, the rank correlation and the choice."""

    name: str
    measured_ms: dict[str, float]
    predicted_ms: dict[str, float]
    spearman: float | None
    chosen: str
    best: str

    @property
    def cost(self) -> float:
        """Time of what is chosen over the least one."""
        return self.measured_ms[self.chosen] / self.measured_ms[self.best]

    @property
    def ratio(self) -> float:
        """Predicted over measured time of what is chosen."""
        return self.predicted_ms[self.chosen] / self.measured_ms[self.chosen]


def compared(name: str, row: dict[str, Any], machine: Machine) -> Layer:
    """Return the times of a layer beside those that are predicted for it."""
    shape = {**DENSE, **DIRECT}[name]
    measured = {"direct": row["direct_ms"]}
    predicted = {"direct": roofline.direct_ms(shape, 2, machine)}
    for one in row["candidates"]:
        kind, block = one["schedule"]
        candidate = candidate_of(shape, one)
        spelt = f"{candidate.label} of {candidate.rank} products, {kind.lower()} {block}"
        measured[spelt] = one["ms"]
        predicted[spelt] = roofline.winograd_ms(shape, candidate, Schedule(ScheduleKind[kind], block), 2, machine)
    names = list(measured)
    several = len(names) > 2
    return Layer(
        name=name,
        measured_ms=measured,
        predicted_ms=predicted,
        spearman=float(spearmanr([predicted[one] for one in names], [measured[one] for one in names])[0])
        if several
        else None,
        chosen=min(names, key=predicted.__getitem__),
        best=min(names, key=measured.__getitem__),
    )


def _table(layers: list[Layer]) -> str:
    header = ("layer", "chosen", "candidates", "rank correlation", "measured", "predicted", "best", "cost")
    cells = [
        (
            layer.name,
            layer.chosen,
            str(len(layer.measured_ms)),
            "" if layer.spearman is None else f"{layer.spearman:.2f}",
            f"{layer.measured_ms[layer.chosen]:.3g}",
            f"{layer.predicted_ms[layer.chosen]:.3g}",
            f"{layer.measured_ms[layer.best]:.3g}",
            f"{layer.cost:.2f}",
        )
        for layer in layers
    ]
    return text_table(header, cells, left=2)


def _summary(name: str, layers: list[Layer]) -> str:
    correlation = median(layer.spearman for layer in layers if layer.spearman is not None)
    cost = median(layer.cost for layer in layers)
    return (
        f"{name}: {len(layers)}, rank correlation {correlation:.2f}, cost of the choice {cost - 1:.1%} (medians)\n"
        + _errors(name, layers)
    )


def _errors(name: str, layers: list[Layer]) -> str:
    within = [layer for layer in layers if 1 / 1.3 <= layer.ratio <= 1.3]
    off = median(max(layer.ratio, 1 / layer.ratio) for layer in layers) - 1
    return f"{name}: times of {len(within)} of {len(layers)} within 30 %, median off by {off:.1%}"


def picture(layers: list[Layer], machine: dict[str, Any]) -> bytes:
    """Draw predicted against measured times of everything that was measured, as a PNG."""
    figure = new_figure(6.5, 6.0)
    axes = figure.subplots()
    for direct, label, colour in ((False, "Winograd", COLOURS[0]), (True, "direct", COLOURS[1])):
        points = [
            (layer.measured_ms[name], layer.predicted_ms[name])
            for layer in layers
            for name in layer.measured_ms
            if (name == "direct") == direct
        ]
        axes.loglog(*zip(*points, strict=True), ".", color=colour, label=label, markersize=4)
    chosen = [(layer.measured_ms[layer.chosen], layer.predicted_ms[layer.chosen]) for layer in layers]
    axes.loglog(*zip(*chosen, strict=True), "o", color="black", fillstyle="none", markersize=6, label="chosen")
    ends = [min(min(pair) for pair in chosen), max(max(pair) for pair in chosen) * 3]
    axes.loglog(ends, ends, color="black", linewidth=0.8)
    for factor in (1 / 1.3, 1.3):
        axes.loglog(ends, [factor * end for end in ends], color="black", linewidth=0.5, linestyle="--")
    axes.set_xlabel("measured, ms")
    axes.set_ylabel("predicted, ms")
    axes.legend(frameon=False)
    figure.suptitle(
        f"{machine['processor']}, 2 threads, torch {machine['torch']}, {machine['date']}", fontsize="medium"
    )
    target = BytesIO()
    with style():
        figure.savefig(target, format="png", dpi=120)
    return target.getvalue()


if __name__ == "__main__":
    sys.exit(main())
