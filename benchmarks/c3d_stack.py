"""C3D's convolutions one by one: the best direct variant of torch against generated kernels, interleaved.

    python benchmarks/c3d_stack.py [--batch N] [--repeats N] [--threads N] [--all] [--json FILE]

Every kernel is verified against float64 before it is timed, and its error is printed beside its time. Inputs are
independent and zero-mean, which is what the predicted error is for. Filters are transformed beforehand, as in a frozen
model.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from winograd.algebra.nesting import NestedAlgorithm
from winograd.artefact import write_atomically
from winograd.conv.arguments import ConvArguments
from winograd.conv.direct import direct_variants
from winograd.conv.layout import as_channels_last
from winograd.conv.native import native_convolution
from winograd.conv.plan import DEFAULT_TOLERANCE, Filters, candidates, make_plan, predicted_error
from winograd.conv.shape import ConvShape
from winograd.conv.timing import contenders, fastest, interleaved, measured_on, median_ratio
from winograd.networks import create
from winograd.nn.compare import SCREENING_ROUNDS, record_inputs, relative_l2
from winograd.nn.table import scientific, text_table

USUAL = ("F(2x2x2,3x3x3)", "F(2x4x4,3x3x3)", "F(4x4x4,3x3x3)")
TAPS = (3, 3, 3)
HEADER = ("layer", "by", "planned", "ms", "ratio", "error", "predicted")


@dataclass(frozen=True, slots=True)
class Row:
    """One layer by one algorithm, or by the best direct variant, whose ratio is 1."""

    layer: str
    by: str
    is_planned: bool
    ms: float
    ratio: float
    measured_error: float
    predicted_error: float | None


def main() -> int:
    options = _options()
    if options.threads:
        torch.set_num_threads(options.threads)
    rows: list[Row] = []
    with torch.inference_mode():
        for name, sizes, outputs in _layers(options.batch):
            print(f"{name} ...", file=sys.stderr, flush=True)
            rows += _measure(name, sizes, outputs, options)
    described = {
        "batch": options.batch,
        "repeats": options.repeats,
        "seed": options.seed,
        "threads": torch.get_num_threads(),
        "machine": measured_on(),
    }
    direct_ms, converted_ms = _stack(rows)
    print(json.dumps(described))
    print(text_table(HEADER, [_cells(row) for row in rows], left=3))
    print(
        f"stack, sums of medians, best algorithm each: direct {direct_ms:.1f} ms, native {converted_ms:.1f} ms, "
        f"ratio {direct_ms / converted_ms:.2f}"
    )
    if options.json:
        stack = {"direct_ms": direct_ms, "native_ms": converted_ms, "ratio": direct_ms / converted_ms}
        table = {**described, "rows": [asdict(row) for row in rows], "stack": stack}
        write_atomically(options.json, (json.dumps(table, indent=2, allow_nan=False) + "\n").encode())
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--batch", type=int, default=1, help="images (default: 1)")
    parser.add_argument("--repeats", type=int, default=15, help="rounds of timing (default: 15)")
    parser.add_argument("--seed", type=int, default=0, help="of inputs and weights (default: 0)")
    parser.add_argument("--threads", type=int, help="threads that torch uses (default: what it uses anyway)")
    parser.add_argument(
        "--all", action="store_true", help="all candidates of a plan, not the usual three and the planned"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="the table as JSON")
    return parser.parse_args()


def _layers(batch: int) -> list[tuple[str, tuple[int, ...], int]]:
    """Return name, input sizes (N, C, sizes...) and output channels of the stack's layers."""
    with torch.device("meta"):
        model = create("c3d").eval()
        inputs = record_inputs(model, model.stack, torch.empty(batch, *model.input_shape))
    return [(name, tuple(input.shape), len(model.get_parameter(f"{name}.weight"))) for name, input in inputs.items()]


def _measure(name: str, sizes: tuple[int, ...], outputs: int, options: argparse.Namespace) -> list[Row]:
    generator = torch.Generator().manual_seed(options.seed)
    input = torch.randn(sizes, generator=generator)
    weight = torch.randn(outputs, sizes[1], *TAPS, generator=generator) * (2 / (sizes[1] * prod(TAPS))) ** 0.5
    bias = torch.randn(outputs, generator=generator)
    shape = ConvArguments(padding=1).shape(sizes, tuple(weight.shape), dtype="float32")
    exact = torch.cat([torch.conv3d(x.double(), weight.double(), bias.double(), padding=1) for x in input[:, None]])
    planned = make_plan(shape, filters=Filters.FROZEN).algorithm

    baselines = direct_variants(input, weight, bias, shape)
    screened = interleaved(baselines, SCREENING_ROUNDS)
    direct = {variant: baselines[variant] for variant in contenders(screened)}

    last = as_channels_last(input)
    native = {}
    errors = {}
    for algorithm in _chosen(planned, all_of_them=options.all):
        convolution = native_convolution(algorithm)
        packed = convolution.pack(weight)
        native[algorithm] = lambda run=convolution.convolve, packed=packed: run(last, packed, bias, shape.padding)
        errors[algorithm] = _verified(native[algorithm](), exact, shape, algorithm)
    times = interleaved({**direct, **{a.label: run for a, run in native.items()}}, options.repeats)
    best = fastest({variant: times[variant] for variant in direct})
    direct_error = relative_l2(baselines[best](), exact)
    return [
        Row(name, best, planned is None, median(times[best]), 1.0, direct_error, None),
        *(
            Row(
                name,
                algorithm.label,
                algorithm == planned,
                median(times[algorithm.label]),
                median_ratio(times[best], times[algorithm.label]),
                errors[algorithm],
                predicted_error(shape, algorithm),
            )
            for algorithm in native
        ),
    ]


def _chosen(planned: NestedAlgorithm | None, *, all_of_them: bool) -> list[NestedAlgorithm]:
    return [a for a in candidates(TAPS) if all_of_them or a.label in USUAL or a == planned]


def _verified(output: Tensor, exact: Tensor, shape: ConvShape, algorithm: NestedAlgorithm) -> float:
    error = relative_l2(output, exact)
    if not error <= DEFAULT_TOLERANCE:
        raise SystemExit(f"{algorithm.label} on {shape}: error {error:.1e} is above {DEFAULT_TOLERANCE:.0e}")
    return error


def _stack(rows: list[Row]) -> tuple[float, float]:
    """Return the sums over the layers of the direct time and of the least native time."""
    names = dict.fromkeys(row.layer for row in rows)
    direct = sum(row.ms for row in rows if row.predicted_error is None)
    native = sum(min(row.ms for row in rows if row.layer == name and row.predicted_error is not None) for name in names)
    return direct, native


def _cells(row: Row) -> tuple[str, ...]:
    planned = "planned" if row.is_planned else ""
    figures = (f"{row.ms:.2f}", f"{row.ratio:.2f}", scientific(row.measured_error), scientific(row.predicted_error))
    return (row.layer, row.by, planned, *figures)


if __name__ == "__main__":
    sys.exit(main())
