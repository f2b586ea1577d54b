"""FFT or Winograd: every layer of C3D and VGG-16 by both FFT forms, by Winograd of every tile, by its plan, and direct.

    python benchmarks/fft_or_winograd.py [--layers PATTERN] [--tiles N] [--repeats N] [--tolerance T] [--json FILE]

The question of Zlateski et al., "FFT convolutions are faster than Winograd on modern CPUs" (arXiv 1809.07851). Filters
are packed beforehand, inputs lie channels last, batch 1. Of the FFT tiles those are measured that the cost model finds
fastest for the layer, in both forms; of Winograd F(2) to F(8) on every axis. Each takes the fastest of the schedules
worth comparing, by three rounds beside the plan; then the fastest of each kind take part in rounds together. Errors are
relative L2 errors against float64. Tiles of the transforms have lengths that radices 2, 3, 5 and 7 give.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from winograd.accuracy.catalogue import best
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.artefact import write_atomically
from winograd.benching.layers import BenchLayer
from winograd.benching.measurement import draw_tensors, planned_runs
from winograd.benching.suites import make_suite
from winograd.benching.surroundings import speed_variables
from winograd.benching.verification import float64_reference, measured_errors
from winograd.conv import roofline
from winograd.conv.choosing.selection import Filters
from winograd.conv.direct.variants import direct_variants
from winograd.conv.fft import FftForm, FftTile, fft_convolution
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.measuring.timing import fastest, interleaved, measured_on
from winograd.conv.native.kernel import NativeConvolution, native_convolution
from winograd.conv.native.schedule import Schedule, schedules
from winograd.conv.plan.record import Plan
from winograd.conv.planning.make import make_plan
from winograd.conv.running.packing import pack_for_plan
from winograd.conv.tensors.layout import as_channels_last
from winograd.nn.table import scientific, text_table

SEED = 0
SCREENING = 3
WINOGRAD = range(2, 9)
LENGTHS = (4, 5, 6, 7, 8, 9, 10, 12, 14, 16)
MOST_PLANES = 3000
"""Numbers of a transformed tile at most: V of 64 channels of one such tile fills most of a core's own cache of 1 MB."""

Run = Callable[[], Tensor]
Algorithm = FftTile | NestedAlgorithm


@dataclass(frozen=True, slots=True)
class Row:
    """One layer by one algorithm.

    ``kind`` is regular, gauss, winograd, plan or direct; ``ms`` the median of the screening, ``final_ms`` that of the
    rounds together, for the fastest of each kind. ``multiplications`` are those of a tile over its outputs.
    """

    layer: str
    kind: str
    algorithm: str
    schedule: str
    multiplications: float | None
    predicted_ms: float | None
    ms: float
    final_ms: float | None
    error: float


def main() -> int:
    options = _options()
    layers = [layer for layer in _layers() if fnmatchcase(layer.name, options.layers)]
    if not layers:
        raise SystemExit(f"{options.layers[:40]!a} matches no layer of {', '.join(one.name for one in _layers())}")
    _compile_all(layers, options)
    with torch.inference_mode():
        rows = [row for layer in layers for row in _measure(layer, options)]
    described = {
        "batch": 1,
        "tolerance": options.tolerance,
        "repeats": options.repeats,
        "seed": SEED,
        "threads": torch.get_num_threads(),
        "machine": measured_on(),
        "variables": speed_variables(),
    }
    print(json.dumps(described))
    print(_table(rows))
    if options.json:
        table = {**described, "rows": [asdict(row) for row in rows]}
        write_atomically(options.json, (json.dumps(table, indent=2, allow_nan=False) + "\n").encode())
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--layers", default="*", metavar="PATTERN", help='such as "vgg*" (default: all)')
    parser.add_argument("--tiles", type=int, default=4, help="FFT tiles of a layer that are measured (default: 4)")
    parser.add_argument("--tolerance", type=float, default=2e-6, help="of the plans (default: 2e-6)")
    parser.add_argument("--repeats", type=int, default=9, help="rounds of timing together (default: 9)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the table as JSON")
    return parser.parse_args()


def _layers() -> list[BenchLayer]:
    suites = (("c3d", make_suite("c3d")), ("vgg", make_suite("vgg16")))
    return [replace(layer, name=f"{name} {layer.name}") for name, suite in suites for layer in suite.layers]


def _tiles(shape: ConvShape, count: int) -> list[FftTile]:
    """Return the tiles in both forms, of those that the model finds fastest in one."""
    found: dict[tuple[int, ...], float] = {}
    for m in _outputs_of_tiles(shape):
        tiles = [FftTile(m, shape.taps, form) for form in FftForm]
        if tiles[-1].planes <= MOST_PLANES:
            found[m] = min(predicted_ms(shape, tile) for tile in tiles)
    return [FftTile(m, shape.taps, form) for m in sorted(found, key=found.__getitem__)[:count] for form in FftForm]


def _outputs_of_tiles(shape: ConvShape) -> Iterator[tuple[int, ...]]:
    """Yield outputs of a tile: the same along height and width, along depth less than twice the outputs there are."""
    choices = [length - shape.taps[-1] + 1 for length in LENGTHS]
    for m in choices:
        if shape.ndim == 2:
            yield (m, m)
        else:
            yield from ((depth, m, m) for depth in choices if depth < 2 * shape.output[0])


def predicted_ms(shape: ConvShape, algorithm: Algorithm, schedule: Schedule | None = None) -> float:
    """Return what the cost model says: the one place that asks it."""
    model: Any = algorithm
    return roofline.winograd_ms(shape, model, schedule, torch.get_num_threads())


def _winograd(shape: ConvShape) -> list[NestedAlgorithm]:
    return [as_nested(best(m, shape.taps[-1], ndim=shape.ndim)) for m in WINOGRAD]


def _convolution(algorithm: Algorithm) -> NativeConvolution:
    return fft_convolution(algorithm) if isinstance(algorithm, FftTile) else native_convolution(algorithm)


def _planes(algorithm: Algorithm) -> int:
    return algorithm.planes if isinstance(algorithm, FftTile) else algorithm.rank


def _algorithms(layer: BenchLayer, options: argparse.Namespace) -> list[Algorithm]:
    return [*_tiles(layer.shape, options.tiles), *_winograd(layer.shape)]


def _compile_all(layers: Sequence[BenchLayer], options: argparse.Namespace) -> None:
    """Compile every kernel, some at a time."""
    wanted = dict.fromkeys(algorithm for layer in layers for algorithm in _algorithms(layer, options))
    print(f"{len(wanted)} kernels ...", file=sys.stderr, flush=True)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(_convolution, wanted))


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer with its tensors, its plan ready to run, and what it must give."""

    layer: BenchLayer
    input: Tensor
    weight: Tensor
    bias: Tensor | None
    plan: Plan
    planned: Run
    exact: Tensor

    @property
    def shape(self) -> ConvShape:
        return self.layer.shape


def _measure(layer: BenchLayer, options: argparse.Namespace) -> Iterator[Row]:
    print(f"{layer.name} ...", file=sys.stderr, flush=True)
    made = _made(layer, options)
    found: dict[str, tuple[Row, Run]] = {}
    others = []
    for algorithm in _algorithms(layer, options):
        row, run = _screened(made, algorithm)
        kept = found.get(row.kind)
        if kept is not None:
            others.append(max(row, kept[0], key=lambda one: one.ms))
        if kept is None or row.ms < kept[0].ms:
            found[row.kind] = row, run
    found["plan"] = _planned(made), made.planned
    found["direct"] = _direct(made)
    times = interleaved({kind: run for kind, (_, run) in found.items()}, options.repeats)
    yield from (replace(row, final_ms=median(times[kind])) for kind, (row, _) in found.items())
    yield from others


def _made(layer: BenchLayer, options: argparse.Namespace) -> Layer:
    input, weight, bias = draw_tensors(layer, SEED)
    plan = make_plan(layer.shape, tolerance=options.tolerance, filters=Filters.FROZEN, threads=torch.get_num_threads())
    planned = planned_runs(plan, input, weight, bias, pack_for_plan(plan, weight))["channels_last"]
    exact = float64_reference(input, weight, bias, layer.shape)
    return Layer(layer, as_channels_last(input), weight, bias, plan, planned, exact)


def _screened(made: Layer, algorithm: Algorithm) -> tuple[Row, Run]:
    """Return the row of an algorithm by its fastest schedule, and what runs it."""
    shape, convolution = made.shape, _convolution(algorithm)
    packed = convolution.pack(made.weight)
    runs: dict[Any, Run] = {
        schedule: partial(convolution.convolve, made.input, packed, made.bias, shape.padding, schedule=schedule)
        for schedule in _schedules(shape, algorithm)
    }
    times = interleaved({**runs, "plan": made.planned}, SCREENING)
    schedule = min(runs, key=lambda one: median(times[one]))
    is_fft = isinstance(algorithm, FftTile)
    return Row(
        layer=made.layer.name,
        kind=str(algorithm.form) if isinstance(algorithm, FftTile) else "winograd",
        algorithm=algorithm.label.partition(" ")[0] if is_fft else algorithm.label,
        schedule=_spelled(schedule),
        multiplications=algorithm.rank / torch.Size(algorithm.m).numel(),
        predicted_ms=predicted_ms(shape, algorithm, schedule),
        ms=median(times[schedule]),
        final_ms=None,
        error=_error(runs[schedule], made.exact),
    ), runs[schedule]


def _schedules(shape: ConvShape, algorithm: Algorithm) -> tuple[Schedule, ...]:
    model: Any = algorithm
    return schedules(
        roofline.tile_count(shape, model),
        channels=shape.channels,
        outputs=shape.outputs,
        rank=_planes(algorithm),
        threads=torch.get_num_threads(),
    )


def _planned(made: Layer) -> Row:
    plan = made.plan
    return Row(
        layer=made.layer.name,
        kind="plan",
        algorithm=plan.algorithm_label,
        schedule="" if plan.schedule is None else _spelled(plan.schedule),
        multiplications=None,
        predicted_ms=None if plan.algorithm is None else predicted_ms(made.shape, plan.algorithm, plan.schedule),
        ms=median(interleaved({"plan": made.planned}, SCREENING)["plan"]),
        final_ms=None,
        error=_error(made.planned, made.exact),
    )


def _direct(made: Layer) -> tuple[Row, Run]:
    variants = direct_variants(made.input.contiguous(), made.weight, made.bias, made.shape)
    times = interleaved(variants, SCREENING)
    name = fastest(times)
    row = Row(
        layer=made.layer.name,
        kind="direct",
        algorithm=name,
        schedule="",
        multiplications=float(torch.Size(made.shape.taps).numel()),
        predicted_ms=roofline.direct_ms(made.shape, torch.get_num_threads()),
        ms=median(times[name]),
        final_ms=None,
        error=_error(variants[name], made.exact),
    )
    return row, variants[name]


def _spelled(schedule: Schedule) -> str:
    return f"{schedule.kind.name.lower()} {schedule.block}"


def _error(run: Run, exact: Tensor) -> float:
    return measured_errors({"": run}, exact)[""]


def _table(rows: Sequence[Row]) -> str:
    """Return the rows as text; those that took part in the rounds together, the best of their kind, have a star."""
    header = ("layer", "kind", "algorithm", "schedule", "mult/output", "predicted ms", "ms", "together ms", "error")
    cells = [
        (
            row.layer,
            row.kind + "*" * (row.final_ms is not None),
            row.algorithm,
            row.schedule,
            "" if row.multiplications is None else f"{row.multiplications:.2f}",
            "" if row.predicted_ms is None else f"{row.predicted_ms:.2f}",
            f"{row.ms:.2f}",
            "" if row.final_ms is None else f"{row.final_ms:.2f}",
            scientific(row.error),
        )
        for row in rows
    ]
    return text_table(header, cells, left=4)


if __name__ == "__main__":
    sys.exit(main())
