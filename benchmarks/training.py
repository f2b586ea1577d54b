"""Training steps of convolutions and of whole networks, verified against float64, then timed against torch's own.

    python benchmarks/training.py --layer conv2 --layer conv3b [--suite c3d_stack] [--batch 4] [--json FILE]
    python benchmarks/training.py --network r3d_18 [--batch 4] [--frames 16] [--size 112] [--json FILE]

A layer's step is its forward and the gradients of input, weight and bias; weights are transformed within it. That of a
network is zeroed gradients, forward, cross entropy, backward and a step of SGD. Both sides run in both memory formats,
in one process, in turn; the faster one of each side is compared. Exit status 1 where an error is above what is allowed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from winograd.artefact import checked_targets, write_atomically
from winograd.benching.suites import make_suite
from winograd.benching.surroundings import speed_variables
from winograd.benching.training.layer import measure_step
from winograd.benching.training.network import Sizes, measure_network
from winograd.benching.training.result import NetworkMeasurement, StepMeasurement, TrainingBenchmark
from winograd.benching.training.showing import training_text
from winograd.benching.verification import AboveToleranceError
from winograd.conv.measuring.timing import measured_on

TOLERANCE = 5e-6


def main(words: list[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(words)
    if not options.layer and not options.network:
        parser.error("nothing to measure: give --layer or --network")
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        checked_targets(options.json)
        benchmark = _measured(options)
    except (AboveToleranceError, ValueError, OSError) as error:
        parser.exit(1, f"{parser.prog}: error: {error}\n")
    print(training_text(benchmark), flush=True)
    if options.json is not None:
        text = json.dumps(benchmark.as_dict(), indent=2, allow_nan=False) + "\n"
        write_atomically(options.json, text.encode("ascii"))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="c3d_stack", help="of the layers (default: %(default)s)")
    parser.add_argument("--layer", action="append", default=[], metavar="PATTERN", help="layers by name, several times")
    parser.add_argument("--network", action="append", default=[], metavar="NAME", help="whole networks, several times")
    parser.add_argument("--batch", type=int, default=4, metavar="N")
    parser.add_argument("--frames", type=int, default=16, metavar="N", help="of the networks' clips")
    parser.add_argument("--size", type=int, default=112, metavar="N", help="height and width of the networks' clips")
    parser.add_argument("--small", default="2,8,56", metavar="N,T,S", help="batch, frames, size of the float64 network")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, metavar="T", help="(default: %(default)g)")
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="rounds of timing (default: %(default)s)")
    parser.add_argument(
        "--parts", action="store_true", help="time forward and both gradients of layers one by one, too"
    )
    parser.add_argument("--threads", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser


def _measured(options: argparse.Namespace) -> TrainingBenchmark:
    return TrainingBenchmark(
        layers=tuple(_layers(options)),
        networks=tuple(_networks(options)),
        batch=options.batch,
        repeats=options.repeats,
        seed=options.seed,
        threads=torch.get_num_threads(),
        tolerance=options.tolerance,
        machine=measured_on(),
        environment=speed_variables(),
    )


def _layers(options: argparse.Namespace) -> list[StepMeasurement]:
    if not options.layer:
        return []
    return [
        measure_step(
            layer,
            tolerance=options.tolerance,
            repeats=options.repeats,
            seed=options.seed,
            with_parts=options.parts,
            progress=lambda step, said=layer.name: _tell(f"{said}: {step}"),
        )
        for layer in make_suite(options.suite, options.batch).matching(*options.layer).layers
    ]


def _networks(options: argparse.Namespace) -> list[NetworkMeasurement]:
    small = Sizes(*map(int, options.small.split(",")))
    return [
        measure_network(
            name,
            Sizes(options.batch, options.frames, options.size),
            small,
            tolerance=options.tolerance,
            repeats=options.repeats,
            seed=options.seed,
            progress=lambda step, said=name: _tell(f"{said}: {step}"),
        )
        for name in options.network
    ]


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
