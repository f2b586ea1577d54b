"""``python -m winograd.gen``: the code of an algorithm, to stdout or atomically to a file.

In: sizes, points, target. Out: the artefact alone on stdout, or in a file; everything else on stderr, a warning where
the predicted error leaves nothing of a float32 result among it.
Exit: 0; 1 where the mathematics or a file says no, or ``--check`` finds a difference; 2 for a wrong command.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn, TypeVar

from winograd.accuracy.model import predict_relative_l2
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.points import parse_points
from winograd.artefact import first_difference, write_atomically
from winograd.codegen.command import DEFAULT_NAME, nested_toom_cook
from winograd.codegen.emit import COMMENT_MARKERS, TARGETS, emit
from winograd.codegen.header import MAX_NOTE_LENGTH
from winograd.codegen.names import checked_name

T = TypeVar("T")

_PROGRAM: Final = "python -m winograd.gen"
_MEASURED: Final = "Measured; from this line on --check compares nothing:"
_SIZES = re.compile(r"[0-9]{1,9}(,[0-9]{1,9}){0,2}", re.ASCII)
_EPILOG: Final = """\
Points are integers, fractions p/q, decimals (meaning exactly that fraction) and inf. Write --points=LIST with an equals
sign where the list begins with a minus. Examples:
  python -m winograd.gen --m 4 --r 3 --ndim 3 --target c -o f4.c
  python -m winograd.gen --m 2,4,4 --r 3 --points=0,1,-1,inf --points=0,1,-1,2,-2,inf --points=0,1,-1,2,-2,inf
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, _line(f"error: {message}"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; no exception leaves it."""
    try:
        return _run(*_read(_parser(), sys.argv[1:] if argv is None else argv))
    except SystemExit as stop:  # argparse: 0 after --help, else 2
        return stop.code if isinstance(stop.code, int) else 2
    except BrokenPipeError:  # whoever reads stdout has seen enough
        return 1
    except OSError as error:
        where = "stdout" if error.filename is None else repr(error.filename)
        return _failed(f"{where}: {error.strerror or error}")
    except KeyboardInterrupt:
        return _failed("interrupted")
    except (ArithmeticError, MemoryError, NotImplementedError, TypeError, ValueError) as error:
        return _failed(str(error) or type(error).__name__)


def _read(parser: _Parser, arguments: Sequence[str]) -> tuple[argparse.Namespace, Sequence[int], Sequence[int]]:
    """Return the options and m and r per axis, or exit with the line that says what is wrong with the command."""
    if not arguments:
        parser.print_help(sys.stderr)
        parser.exit(2)
    options = parser.parse_args(_with_joined_points(arguments))
    if options.target not in TARGETS:
        parser.print_help(sys.stderr)
        parser.error(f"argument --target: {options.target[:40]!a} is unknown; {', '.join(TARGETS)} are allowed")
    ndim = options.ndim or max(len(options.m), len(options.r))
    for name, sizes in (("--m", options.m), ("--r", options.r)):
        if len(sizes) not in {1, ndim}:
            parser.error(f"argument {name}: {len(sizes)} values for {ndim} axes, give one for all or one per axis")
    if len(options.points) not in {0, 1, ndim}:
        parser.error(
            f"argument --points: {len(options.points)} lists for {ndim} axes, give one for all or one per axis"
        )
    return options, (options.m * ndim)[:ndim], (options.r * ndim)[:ndim]


def _parser() -> _Parser:
    parser = _Parser(
        prog=_PROGRAM,
        description="Generate the code of the Winograd (Toom-Cook) algorithm F(m, r) on 1 to 3 axes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    sizes = _argument(_parse_sizes)
    parser.add_argument("--m", type=sizes, required=True, help="outputs of a tile, one value or one per axis: 2,4,4")
    parser.add_argument("--r", type=sizes, required=True, help="taps of the filter, one value or one per axis: 3,3,1")
    parser.add_argument(
        "--ndim", type=_argument(_parse_ndim), help="axes, 1 to 3 (default: as many as values are given)"
    )
    parser.add_argument(
        "--points",
        type=_argument(parse_points),
        action="append",
        default=[],
        metavar="LIST",
        help="m + r - 1 points for all axes, or given once per axis (default: a good published set)",
    )
    parser.add_argument("--target", default="c", help=f"{', '.join(TARGETS)} (default: c)")
    parser.add_argument(
        "--name",
        type=_argument(checked_name),
        default=DEFAULT_NAME,
        help="identifier that names in the code derive from (default: winograd)",
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("-o", "--output", metavar="FILE", help="write FILE atomically instead of stdout")
    mode.add_argument("--check", metavar="FILE", help="compare with FILE: exit 0 if it is up to date, else 1")
    parser.add_argument("--measure", action="store_true", help="append the measured error, which --check skips")
    return parser


def _argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Make argparse show a parser's own message."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


def _parse_sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(map(int, text.split(","))) if _SIZES.fullmatch(text) else ()
    if not sizes or min(sizes) < 1:
        raise ValueError(f"{text[:40]!a} must be an integer of at least 1, or one per axis such as 2,4,4")
    return sizes


def _parse_ndim(text: str) -> int:
    if text not in {"1", "2", "3"}:
        raise ValueError(f"{text[:40]!a} must be 1, 2 or 3")
    return int(text)


def _with_joined_points(arguments: Sequence[str]) -> list[str]:
    """Write ``--points -1,0`` as ``--points=-1,0``, or argparse takes the list for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--points" and re.match(r"-[0-9.]", argument):
            joined[-1] = f"--points={argument}"
        else:
            joined.append(argument)
    return joined


def _run(options: argparse.Namespace, m: Sequence[int], r: Sequence[int]) -> int:
    nested = nested_toom_cook(m, r, options.points)
    notes, warning = _predict(nested, options.target)
    artefact = emit(nested, options.target, name=options.name, notes=notes).source.encode("ascii")
    if warning is not None:
        _tell(f"warning: {warning}")
    marker = f"{COMMENT_MARKERS[options.target]} "
    if options.check is not None:
        return _check(options.check, artefact, marker)
    if options.measure:
        artefact += _measured(nested, marker)
    if options.output is not None:
        write_atomically(options.output, artefact)
        return 0
    return _print(artefact)


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
    return 0 if difference is None else _failed(f"{path}: {difference}")


def _without_measurement(text: bytes, marker: str) -> bytes:
    """Return the text without its measured end, if nothing but comments follows the line that opens it."""
    before, opening, after = text.partition(f"{marker}{_MEASURED}\n".encode("ascii"))
    only_comments = all(line.startswith(marker.encode("ascii")) for line in after.splitlines())
    return before if opening and only_comments else text


def _print(artefact: bytes) -> int:
    if sys.stdout is None:
        return _failed("stdout is closed")
    try:
        sys.stdout.buffer.write(artefact)
        sys.stdout.buffer.flush()
    except OSError:
        # What could not be written must not be tried again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
    return 0


def _failed(message: str) -> int:
    _tell(f"error: {message}")
    return 1


def _tell(message: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(_line(message))


def _line(message: str) -> str:
    """Return a message as one line of printable ASCII, whatever the user's text in it was."""
    shown = "".join(char if char.isascii() and char.isprintable() else ascii(char)[1:-1] for char in message)
    return f"{_PROGRAM}: {shown if len(shown) <= 400 else shown[:400] + '...'}\n"


if __name__ == "__main__":
    sys.exit(main())
