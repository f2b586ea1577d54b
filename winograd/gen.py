"""``python -m winograd.gen``: the code of an algorithm, to stdout or atomically to a file.

In: sizes, points or moduli, a target. Out: the artefact, or a table of counts, alone on stdout, or the artefact in a
file; everything else on stderr, a warning where the predicted error leaves nothing of a float32 result among it.
Exit: 0; 1 where the mathematics or a file says no, or ``--check`` finds a difference; 2 for a wrong command.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Final

from winograd.accuracy.cataloguing.header_notes import catalogued, predicted
from winograd.accuracy.formats import ALLOWED
from winograd.accuracy.showing.table import text_table
from winograd.algebra.nesting import NestedAlgorithm
from winograd.arguments import (
    POINTS_EPILOG,
    LineParser,
    add_moduli,
    add_points,
    add_sizes,
    argument,
    best_algorithm,
    integer,
    parse_words,
    sizes_per_axis,
)
from winograd.artefact import first_difference, write_atomically
from winograd.codegen.command import DEFAULT_NAME, find_recipe, generator_command, nested_algorithm
from winograd.codegen.emit import TARGETS, emit
from winograd.codegen.names import checked_name
from winograd.codegen.pipeline import Gain
from winograd.codegen.report import AxisReport, report_on
from winograd.console import Console

_CONSOLE: Final = Console("python -m winograd.gen")
_MEASURED: Final = "Measured; from this line on --check compares nothing:"
_EPILOG: Final = f"""\
{POINTS_EPILOG} Examples:
  {_CONSOLE.program} --m 4 --r 3 --ndim 3 --target c -o f4.c
  {_CONSOLE.program} --m 2,4,4 --r 3 --points=0,1,-1,inf --points=0,1,-1,2,-2,inf --points=0,1,-1,2,-2,inf
  {_CONSOLE.program} --m 4 --r 3 --moduli=x,x-1,x+1,x^2+1,inf --target numpy
  {_CONSOLE.program} --m 6 --r 3 --ndim 2 --best float16 --products 9 --explain
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; no exception leaves it."""
    words = sys.argv[1:] if argv is None else argv
    return _CONSOLE.status_of(lambda: _run(*_read(_parser(), words)))


def _read(parser: LineParser, words: Sequence[str]) -> tuple[argparse.Namespace, Sequence[int], Sequence[int]]:
    """Return the options and m and r per axis, or exit with the line that says what is wrong with the command."""
    options = parse_words(parser, words)
    if options.target not in TARGETS:
        parser.print_help(sys.stderr)
        parser.error(f"argument --target: {options.target[:40]!a} is unknown; {', '.join(TARGETS)} are allowed")
    if options.products is not None and options.best is None:
        parser.error("argument --products: is for --best only; --points and --moduli say how many products there are")
    if options.measure and (options.explain or TARGETS[options.target].comment is None):
        what = "a table" if options.explain else f"{options.target} code"
        parser.error(f"argument --measure: {what} has no place for comments; python -m winograd.error measures")
    return options, *sizes_per_axis(parser, options)


def _parser() -> LineParser:
    parser = LineParser(
        prog=_CONSOLE.program,
        description="Generate the code of the Winograd (Toom-Cook) algorithm F(m, r) on 1 to 3 axes.",
        epilog=_EPILOG,
    )
    add_sizes(parser)
    which = parser.add_mutually_exclusive_group()
    add_points(which)
    add_moduli(which)
    which.add_argument(
        "--best", choices=ALLOWED, metavar="DTYPE", help="the best known algorithm for DTYPE, from the catalogue"
    )
    parser.add_argument(
        "--products", type=integer(1, 4096), metavar="N", help="multiplications allowed per axis, with --best"
    )
    parser.add_argument("--target", default="c", help=f"{', '.join(TARGETS)} (default: c)")
    parser.add_argument(
        "--name",
        type=argument(checked_name),
        default=DEFAULT_NAME,
        help="identifier that names in the code derive from (default: winograd)",
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("-o", "--output", metavar="FILE", help="write FILE atomically instead of stdout")
    mode.add_argument("--check", metavar="FILE", help="compare with FILE: exit 0 if it is up to date, else 1")
    mode.add_argument(
        "--explain", action="store_true", help="print what every pass gained, and the counts, instead of code"
    )
    parser.add_argument("--measure", action="store_true", help="append the measured error, which --check skips")
    return parser


def _run(options: argparse.Namespace, m: Sequence[int], r: Sequence[int]) -> int:
    nested = _algorithm(options, m, r)
    if options.explain:
        return _CONSOLE.print(_explanation(nested).encode("ascii"))
    artefact = emit(nested, options.target, name=options.name, notes=_notes(options, nested)).source.encode("ascii")
    marker = TARGETS[options.target].comment
    if options.check is not None:
        return _check(options.check, artefact, marker)
    if options.measure and marker is not None:
        artefact += _measured(nested, marker)
    if options.output is not None:
        write_atomically(options.output, artefact)
        return 0
    return _CONSOLE.print(artefact)


def _algorithm(options: argparse.Namespace, m: Sequence[int], r: Sequence[int]) -> NestedAlgorithm:
    if options.best is None:
        return nested_algorithm(m, r, options.points, options.moduli)
    nested, warned = best_algorithm(m, r, options.best, options.products)
    for message in warned:
        _CONSOLE.tell(f"warning: {message}")
    return nested


def _notes(options: argparse.Namespace, nested: NestedAlgorithm) -> list[str]:
    """Return what stands at the end of the header; a warning on the error goes to stderr."""
    notes, warning = predicted(nested, options.target)
    if warning is not None:
        _CONSOLE.tell(f"warning: {warning}")
    notes += catalogued(nested)
    if options.best is not None and find_recipe(nested) is None:
        allowed = "" if options.products is None else f" --products {options.products}"
        chosen = [f"--best {options.best}{allowed}"]
        notes.append(f"Command: {generator_command(nested.m, nested.r, chosen, options.target, options.name)}")
    return notes


def _explanation(nested: NestedAlgorithm) -> str:
    """Return what every pass gained on every axis, and what a tile costs, as two tables."""
    report = report_on(nested)
    passes = [(_program_label(one, nested), gain.name, *_changes(gain)) for one in report.axes for gain in one.gains]
    totals = [
        (
            total.stage,
            str(total.counts.instructions),
            str(total.counts.unfused),
            _listed(total.order),
            _listed(total.stored),
        )
        for total in report.tile
    ]
    return (
        f"{nested.label}: {nested.rank} multiplications for {prod(nested.m)} outputs.\n"
        "Instructions of every axis' programs before and after each pass: an addition, a multiplication or a fused\n"
        "multiply-add is one. Live: values that registers must hold at once.\n\n"
        f"{text_table(('program', 'pass', 'instructions', 'without FMA', 'live'), passes)}\n\n"
        "Instructions of a whole tile; stored: values between two axes.\n\n"
        f"{text_table(('transform', 'instructions', 'without FMA', 'order of axes', 'stored'), totals)}\n"
    )


def _program_label(one: AxisReport, nested: NestedAlgorithm) -> str:
    axis = nested.axes[one.axes[0]]
    where = "" if nested.ndim == 1 else f", axes {_listed(one.axes)}" if len(one.axes) > 1 else f", axis {one.axes[0]}"
    return f"{one.stage} of F({axis.m},{axis.r}){where}"


def _changes(gain: Gain) -> tuple[str, str, str]:
    return (
        f"{gain.before.instructions} -> {gain.after.instructions}",
        f"{gain.before.unfused} -> {gain.after.unfused}",
        f"{gain.live_before} -> {gain.live_after}",
    )


def _listed(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers)) or "-"


def _measured(nested: NestedAlgorithm, marker: str) -> bytes:
    from winograd.accuracy.experiment import measure_error

    report = measure_error(nested, dtype="float32")
    return f"{marker} {_MEASURED}\n{marker} {report!r}\n".encode("ascii")


def _check(path: str, artefact: bytes, marker: str | None) -> int:
    found = Path(path).read_bytes()
    difference = first_difference(artefact, found if marker is None else _without_measurement(found, marker))
    return 0 if difference is None else _CONSOLE.failed(f"{path}: {difference}")


def _without_measurement(text: bytes, marker: str) -> bytes:
    """Return the text without its measured end, if nothing but comments follows the line that opens it."""
    before, opening, after = text.partition(f"{marker} {_MEASURED}\n".encode("ascii"))
    only_comments = all(line.startswith(f"{marker} ".encode("ascii")) for line in after.splitlines())
    return before if opening and only_comments else text


if __name__ == "__main__":
    sys.exit(main())
