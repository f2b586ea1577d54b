"""``python -m winograd.error``: the error of an algorithm measured, predicted and bounded, with pictures if asked for.

In: sizes, points or moduli, a dtype, an experiment. Out: tables on stdout; all figures as JSON, and a report as HTML,
each atomically to a file; everything else on stderr.
Exit: 0; 1 where the mathematics, a file or a missing extra says no; 2 for a wrong command.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Final

import numpy as np

from winograd.accuracy.experiment import sample_errors
from winograd.accuracy.formats import ALLOWED, STORED
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import Experiment, as_experiment
from winograd.accuracy.showing.plots.canvas import require_matplotlib
from winograd.accuracy.showing.study import ErrorStudy, study_error
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.nests import nested_algorithm
from winograd.arguments import (
    POINTS_EPILOG,
    LineParser,
    add_moduli,
    add_points,
    add_products,
    add_recipe,
    add_sizes,
    best_algorithm,
    check_products,
    integer,
    parse_words,
    recipe_algorithm,
    sizes_per_axis,
)
from winograd.artefact import checked_targets, write_atomically
from winograd.console import Console

_CONSOLE: Final = Console("python -m winograd.error")
_EXPERIMENTS: Final = ("standard", "layer")
_MOST_CHANNELS: Final = 2**16
_MOST_TRIALS: Final = 10**7
"""Figures of every trial are held for the intervals; so many leave 0.03 % of doubt, in less than a gigabyte."""

_PICTURED: Final = 2**21
"""Errors of a report's pictures, at most."""

_EPILOG: Final = f"""\
{POINTS_EPILOG} Examples:
  {_CONSOLE.program} --m 4 --r 3 --ndim 2
  {_CONSOLE.program} --m 6 --r 3 --ndim 3 --moduli=x,x-1,x+1,x-2/5,x+2/5,x^2+1,inf --experiment layer
  {_CONSOLE.program} --m 4 --r 3 --recipe='x,x-1,x+1,x^2+1{{0,1,-1}},inf data'
  {_CONSOLE.program} --m 4 --r 3 --ndim 2 --best --products 7 --dtype float16 --report error.html
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; no exception leaves it."""
    words = sys.argv[1:] if argv is None else argv
    return _CONSOLE.status_of(lambda: _run(*_read(_parser(), words)))


def _read(parser: LineParser, words: Sequence[str]) -> tuple[argparse.Namespace, Sequence[int], Sequence[int]]:
    options = parse_words(parser, words)
    check_products(parser, options, has_best=options.best)
    return options, *sizes_per_axis(parser, options)


def _parser() -> LineParser:
    parser = LineParser(
        prog=_CONSOLE.program,
        description="Measure, predict and bound the error of a Winograd algorithm F(m, r) on 1 to 3 axes.",
        epilog=_EPILOG,
    )
    add_sizes(parser)
    which = parser.add_mutually_exclusive_group()
    add_points(which)
    add_moduli(which)
    add_recipe(which)
    which.add_argument("--best", action="store_true", help="the best known algorithm, from the catalogue")
    add_products(parser)
    parser.add_argument("--dtype", choices=ALLOWED, default="float32", help="arithmetic (default: float32)")
    parser.add_argument(
        "--experiment",
        choices=_EXPERIMENTS,
        default="standard",
        help="standard: one channel, every step in the dtype; layer: 64 channels, filters transformed in float64, "
        "fused multiply-add (default: standard)",
    )
    parser.add_argument(
        "--channels", type=integer(1, _MOST_CHANNELS), help="input channels, instead of the experiment's"
    )
    parser.add_argument("--storage", choices=STORED, help="transformed data and filters are rounded to this format")
    parser.add_argument(
        "--order",
        choices=[order.value for order in Order],
        help="of the transforms' sums (default: huffman; lowered, as generated code has it, for layer)",
    )
    parser.add_argument(
        "--trials", type=integer(2, _MOST_TRIALS), default=5000, help="tiles that are measured (default: 5000)"
    )
    parser.add_argument("--seed", type=integer(0), default=0, help="of the data (default: 0)")
    parser.add_argument("--json", metavar="FILE", help="all figures as JSON")
    parser.add_argument("--report", metavar="FILE", help="tables and pictures as one HTML page")
    return parser


def _run(options: argparse.Namespace, m: Sequence[int], r: Sequence[int]) -> int:
    checked_targets(options.json, options.report)
    if options.report is not None:
        require_matplotlib()
    nested = _algorithm(options, m, r)
    order = options.order or ("lowered" if options.experiment == "layer" else "huffman")
    study = study_error(
        nested, options.dtype, _experiment(options), options.trials, order, options.seed,
        progress=find_spec("tqdm") is not None,
    )  # fmt: skip
    if options.json is not None:
        text = json.dumps(study.as_dict(), indent=2, allow_nan=False) + "\n"
        write_atomically(options.json, text.encode("ascii"))
    if options.report is not None:
        write_atomically(options.report, _report(study))
    return _CONSOLE.print(f"{study}\n".encode("ascii"))


def _algorithm(options: argparse.Namespace, m: Sequence[int], r: Sequence[int]) -> NestedAlgorithm:
    if options.recipe:
        return recipe_algorithm(m, r, options.recipe)
    if not options.best:
        return nested_algorithm(m, r, options.points, options.moduli)
    nested, warned = best_algorithm(m, r, _stored(options), options.products)
    for message in warned:
        _CONSOLE.tell(f"warning: {message}")
    return nested


def _stored(options: argparse.Namespace) -> str:
    """Return the dtype for which the catalogue chooses and scales: that of transformed data and filters."""
    return "float32" if options.storage == "tf32" else options.storage or options.dtype


def _experiment(options: argparse.Namespace) -> Experiment:
    chosen = as_experiment(options.experiment)
    if options.channels is not None:
        chosen = replace(chosen, channels=options.channels)
    if options.storage is not None:
        chosen = replace(chosen, storage=options.storage, name=f"{chosen.name} ({options.storage} storage)")
    return chosen


def _report(study: ErrorStudy) -> bytes:
    from winograd.accuracy.showing.study_report import study_page

    report = study.report
    outputs = int(np.prod(report.algorithm.m))
    trials = min(report.trials, max(2, _PICTURED // outputs))
    errors = sample_errors(report.algorithm, report.dtype, report.protocol, trials, report.order, report.seed)
    return study_page(study, errors)


if __name__ == "__main__":
    sys.exit(main())
