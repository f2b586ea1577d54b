"""``python -m winograd.gen``: the code of an algorithm, to stdout or atomically to a file.

In: sizes, points, target. Out: the artefact alone on stdout, or in a file; everything else on stderr, a warning where
the predicted error leaves nothing of a float32 result among it.
Exit: 0; 1 where the mathematics or a file says no, or ``--check`` finds a difference; 2 for a wrong command.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from winograd.accuracy.model import predict_relative_l2
from winograd.algebra.nesting import NestedAlgorithm
from winograd.arguments import POINTS_EPILOG, LineParser, add_points, add_sizes, argument, parse_words, sizes_per_axis
from winograd.artefact import first_difference, write_atomically
from winograd.codegen.command import DEFAULT_NAME, nested_toom_cook
from winograd.codegen.emit import COMMENT_MARKERS, TARGETS, emit
from winograd.codegen.header import MAX_NOTE_LENGTH
from winograd.codegen.names import checked_name
from winograd.console import Console

_CONSOLE: Final = Console("python -m winograd.gen")
_MEASURED: Final = "Measured; from this line on --check compares nothing:"
_EPILOG: Final = f"""\
{POINTS_EPILOG} Examples:
  {_CONSOLE.program} --m 4 --r 3 --ndim 3 --target c -o f4.c
  {_CONSOLE.program} --m 2,4,4 --r 3 --points=0,1,-1,inf --points=0,1,-1,2,-2,inf --points=0,1,-1,2,-2,inf
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
    return options, *sizes_per_axis(parser, options)


def _parser() -> LineParser:
    parser = LineParser(
        prog=_CONSOLE.program,
        description="Generate the code of the Winograd (Toom-Cook) algorithm F(m, r) on 1 to 3 axes.",
        epilog=_EPILOG,
    )
    add_sizes(parser)
    add_points(parser)
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
    parser.add_argument("--measure", action="store_true", help="append the measured error, which --check skips")
    return parser


def _run(options: argparse.Namespace, m: Sequence[int], r: Sequence[int]) -> int:
    nested = nested_toom_cook(m, r, options.points)
    notes, warning = _predict(nested, options.target)
    artefact = emit(nested, options.target, name=options.name, notes=notes).source.encode("ascii")
    if warning is not None:
        _CONSOLE.tell(f"warning: {warning}")
    marker = f"{COMMENT_MARKERS[options.target]} "
    if options.check is not None:
        return _check(options.check, artefact, marker)
    if options.measure:
        artefact += _measured(nested, marker)
    if options.output is not None:
        write_atomically(options.output, artefact)
        return 0
    return _CONSOLE.print(artefact)


def _predict(nested: NestedAlgorithm, target: str) -> tuple[list[str], str | None]:
    """Return the notes on the predicted error, and a warning where it leaves nothing of a result in float32."""
    try:
        one, many = (predict_relative_l2(nested, channels=count) for count in (1, 64))
    except (OverflowError, ValueError) as error:  # large tiles leave float32's range
        note = f"No error is predicted: {error}"[:MAX_NOTE_LENGTH]
        return [note], f"{nested.label} is useless in float32 at these points: {error}"
    whose = "" if target == "c" else " of this algorithm in C,"
    notes = [
        f"Predicted relative L2 error{whose} in float32 for independent zero-mean inputs (filters transformed in",
        f"float64, everything else with fused multiply-add): {one:.1e} with 1 channel, {many:.1e} with 64 channels.",
    ]
    if one <= 1:
        return notes, None
    return notes, f"{nested.label} is useless in float32 at these points: the predicted relative error is {one:.1e}"


def _measured(nested: NestedAlgorithm, marker: str) -> bytes:
    from winograd.accuracy.experiment import measure_error

    report = measure_error(nested, dtype="float32")
    return f"{marker}{_MEASURED}\n{marker}{report!r}\n".encode("ascii")


def _check(path: str, artefact: bytes, marker: str) -> int:
    difference = first_difference(artefact, _without_measurement(Path(path).read_bytes(), marker))
    return 0 if difference is None else _CONSOLE.failed(f"{path}: {difference}")


def _without_measurement(text: bytes, marker: str) -> bytes:
    """Return the text without its measured end, if nothing but comments follows the line that opens it."""
    before, opening, after = text.partition(f"{marker}{_MEASURED}\n".encode("ascii"))
    only_comments = all(line.startswith(marker.encode("ascii")) for line in after.splitlines())
    return before if opening and only_comments else text


if __name__ == "__main__":
    sys.exit(main())
