"""How far the predicted error of a layer is off where channels are few and the axes have unlike algorithms.

    python benchmarks/few_channels.py [--seeds N] [--json FILE]

Measured over predicted relative L2 error of generated kernels on 2D layers of 112x112, float32: what plans leave room
for (`winograd.conv.choosing.prediction`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import torch

from winograd.algebra.nesting import NestedAlgorithm
from winograd.artefact import write_atomically
from winograd.benching.layers import BenchLayer
from winograd.benching.measurement import draw_tensors, planned_runs
from winograd.benching.verification import float64_reference, measured_errors
from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.candidates import AxisChoice, Candidate, axis_choices
from winograd.conv.choosing.prediction import float32_error
from winograd.conv.choosing.selection import Filters
from winograd.conv.measuring.timing import measured_on
from winograd.conv.planning.make import make_plan

CHANNELS, OUTPUTS, SIZE = (3, 16, 32, 64), 32, 112
NESTS = (((8, 10), (8, 14)), ((7, 9), (7, 11)), ((4, 6), (8, 12)), ((6, 8), (6, 8)), ((4, 6), (4, 6)))
"""Outputs of a tile and products, by axis."""


@dataclass(frozen=True)
class Row:
    algorithm: str
    products: tuple[int, ...]
    channels: int
    predicted: float
    measured_over_predicted: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="inputs and weights of each layer (default: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the table as JSON")
    options = parser.parse_args()
    with torch.inference_mode():
        rows = list(measured_rows(options.seeds))
    print("algorithm       products  channels  measured / predicted")
    for row in rows:
        products = "x".join(map(str, row.products))
        print(f"{row.algorithm:14s}  {products:8s}  {row.channels:8d}  {row.measured_over_predicted:20.3f}")
    if options.json:
        table = {"seeds": options.seeds, "machine": measured_on(), "rows": [asdict(row) for row in rows]}
        write_atomically(options.json, (json.dumps(table, indent=2, allow_nan=False) + "\n").encode())


def measured_rows(seeds: int) -> Iterator[Row]:
    """Yield a row for every nest and number of channels."""
    for pair in NESTS:
        candidate = Candidate(tuple(choice(*axis) for axis in pair))
        for channels in CHANNELS:
            yield measured_row(candidate.algorithm, candidate.ranks, channels, seeds)


def choice(m: int, products: int) -> AxisChoice:
    """Return what plans know under these numbers for 3 taps."""
    return next(one for one in axis_choices(3, SIZE) if (one.m, one.rank) == (m, products))


def measured_row(algorithm: NestedAlgorithm, products: tuple[int, ...], channels: int, seeds: int) -> Row:
    """Return the mean ratio over some inputs and weights."""
    weight_sizes = (OUTPUTS, channels, 3, 3)
    shape = ConvArguments(padding=1).shape((1, channels, SIZE, SIZE), weight_sizes, dtype="float32")
    plan = make_plan(shape, algorithm=algorithm, filters=Filters.FROZEN)
    predicted, errors = float32_error(shape, algorithm), []
    for seed in range(seeds):
        input, weight, bias = draw_tensors(BenchLayer("layer", shape, has_bias=False), seed)
        exact = float64_reference(input, weight, bias, shape)
        errors.append(measured_errors(planned_runs(plan, input, weight, bias), exact)["channels_last"])
    return Row(algorithm.label, products, channels, predicted, mean(errors) / predicted)


if __name__ == "__main__":
    main()
