"""``python -m winograd.gen``: the code of an algorithm, to stdout or atomically to a file.

In: sizes, points or moduli, a target. Out: the artefact, or a table of counts, alone on stdout, or the artefact in a
file; everything else on stderr, a warning where the predicted error leaves nothing of a float32 result among it.
Exit: 0; 1 where the mathematics or a file says no, or ``--check`` finds a difference; 2 for a wrong command.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winograd.accuracy.cataloguing.header_notes import catalogued, measured, predicted
from winograd.accuracy.formats import ALLOWED, STORED
from winograd.accuracy.showing.explanation import explanation
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
    argument,
    best_algorithm,
    check_products,
    parse_words,
    recipe_algorithm,
    sizes_per_axis,
)
from winograd.artefact import first_difference, write_atomically
from winograd.codegen.command import DEFAULT_NAME, recipe_words
from winograd.codegen.emit import ARITHMETIC, TARGETS, checked_dtype, checked_schedule, checked_stage, emit
from winograd.codegen.lower import DEFAULT_LOWERING, Lowering, SumOrder
from winograd.codegen.names import checked_name
from winograd.codegen.targets.contract import Stage
from winograd.console import Console

_CONSOLE: Final = Console("python -m winograd.gen")
_MEASURED: Final = "Measured; from this line on --check compares nothing:"
_LONGEST_MEASUREMENT: Final = 4096
_LONGEST_HEADER: Final = 4096
_COMMAND: Final = re.compile(rb"^[^\n]*Made by winograd [^ :]*: (python -m winograd\.gen [ !#-~]+)", re.MULTILINE)
_EPILOG: Final = f"""\
{POINTS_EPILOG} Examples:
  {_CONSOLE.program} --m 4 --r 3 --ndim 3 --target c -o f4.c
  {_CONSOLE.program} --m 2,4,4 --r 3 --points=0,1,-1,inf --points=0,1,-1,2,-2,inf --points=0,1,-1,2,-2,inf
  {_CONSOLE.program} --m 4 --r 3 --moduli=x,x-1,x+1,x^2+1,inf --target numpy
  {_CONSOLE.program} --m 4 --r 3 --ndim 3 --target c --dtype float16 --stage data --no-fma
  {_CONSOLE.program} --m 4 --r 3 --recipe='x,x-1,x+1,x^2+1{{0,1,-1}},inf data' --target numpy
  {_CONSOLE.program} --m 6 --r 3 --ndim 2 --best float16 --products 9 --explain
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the words of the command ask for."""

    options: argparse.Namespace
    m: tuple[int, ...]
    r: tuple[int, ...]
    stage: Stage
    dtype: str
    lowering: Lowering
    schedule: str


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; no exception leaves it."""
    words = sys.argv[1:] if argv is None else argv
    return _CONSOLE.status_of(lambda: _run(arguments_of(words)))


def arguments_of(words: Sequence[str]) -> Wanted:
    """Return what the words of a command ask for, or exit with the line that says what is wrong with them."""
    reader = parser()
    options = parse_words(reader, words)
    if options.target not in TARGETS:
        reader.print_help(sys.stderr)
        reader.error(f"argument --target: {options.target[:40]!a} is unknown; {', '.join(TARGETS)} are allowed")
    check_products(reader, options, has_best=options.best is not None)
    if options.measure and (options.explain or TARGETS[options.target].comment is None):
        what = "a table" if options.explain else f"{options.target} code"
        reader.error(f"argument --measure: {what} has no place for comments; python -m winograd.error measures")
    if options.measure and options.transposed:
        reader.error("argument --measure: not allowed with --transposed, which has no outputs to measure the error of")
    m, r = sizes_per_axis(reader, options)
    lowering = Lowering(SumOrder(options.order), options.fma, options.transposed)
    try:
        stage = checked_stage(options.target, options.stage, lowering)
        dtype = checked_dtype(options.target, options.dtype)
        schedule = checked_schedule(options.target, options.schedule, stage)
    except ValueError as error:
        what, _, message = str(error).partition(" ")
        reader.error(f"argument --{what}: {message}")
    return Wanted(options, m, r, stage, dtype, lowering, schedule)


def parser() -> LineParser:
    """Return the parser of the command."""
    made = LineParser(
        prog=_CONSOLE.program,
        description="Generate the code of the Winograd (Toom-Cook) algorithm F(m, r) on 1 to 3 axes.",
        epilog=_EPILOG,
    )
    add_sizes(made)
    _add_choice(made)
    _add_code(made)
    mode = made.add_mutually_exclusive_group()
    mode.add_argument("-o", "--output", metavar="FILE", help="write FILE whole or not at all (default: -, stdout)")
    mode.add_argument("--check", metavar="FILE", help="compare with FILE: exit 0 if it is up to date, else 1")
    mode.add_argument(
        "--explain", action="store_true", help="print what every pass gained, and the counts, instead of code"
    )
    made.add_argument("--measure", action="store_true", help="append the measured error, which --check skips")
    return made


def _add_choice(parser: LineParser) -> None:
    """Add what chooses the algorithm."""
    which = parser.add_mutually_exclusive_group()
    add_points(which)
    add_moduli(which)
    add_recipe(which)
    which.add_argument(
        "--best",
        choices=ALLOWED,
        metavar="DTYPE",
        help="the best known algorithm for transformed data and filters stored in DTYPE, from the catalogue; "
        "the code of a convolution keeps them in float32 (float64 with --dtype float64), which --best float32 fits",
    )
    add_products(parser)


def _add_code(parser: LineParser) -> None:
    """Add what chooses the code; what a target has of stages and dtypes is checked once the target is known."""
    parser.add_argument("--target", default="c", metavar="LANGUAGE", help=f"{', '.join(TARGETS)} (default: c)")
    parser.add_argument(
        "--stage", help=f"{', '.join(Stage)}, as far as the target has them (default: the target's first)"
    )
    of_dtype = "; ".join(f"{name}: {', '.join(target.dtypes)}" for name, target in TARGETS.items() if target.dtypes)
    parser.add_argument("--dtype", help=f"of input, filter and output ({of_dtype}; default: the first)")
    of_schedule = "; ".join(f"{name}: {', '.join(one.schedules)}" for name, one in TARGETS.items() if one.schedules)
    parser.add_argument(
        "--schedule", help=f"how a convolution is divided into kernels ({of_schedule}; default: the first)"
    )
    parser.add_argument(
        "--order",
        choices=list(map(str, SumOrder)),
        metavar="ORDER",
        default=str(DEFAULT_LOWERING.order),
        help=f"of the terms of a sum, where it is free: {', '.join(SumOrder)} (default: {DEFAULT_LOWERING.order})",
    )
    parser.add_argument(
        "--fma",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="fused multiply-add, or one rounding per operation (default: --fma)",
    )
    parser.add_argument(
        "--transposed", action="store_true", help="programs of the transposed matrices, for gradients; not for conv"
    )
    parser.add_argument(
        "--name",
        type=argument(checked_name),
        default=DEFAULT_NAME,
        help="identifier that names in the code derive from (default: winograd)",
    )


def _run(wanted: Wanted) -> int:
    options = wanted.options
    nested, warnings = algorithm_of(wanted)
    if options.explain:
        text = explanation(nested, wanted.lowering, wanted.stage.transforms, options.target)
        _warn(warnings)
        return _CONSOLE.print(text.encode("ascii"))
    notes, warning = predicted(nested, options.target, wanted.dtype, wanted.lowering)
    artefact = _artefact(wanted, nested, notes)
    _warn(warnings if warning is None else [*warnings, warning])
    marker = TARGETS[options.target].comment
    if options.check is not None:
        return _check(options.check, artefact, marker)
    if options.measure and marker is not None:
        artefact += _measured(wanted, nested, marker)
    if options.output not in {None, "-"}:
        write_atomically(options.output, artefact)
        return 0
    return _CONSOLE.print(artefact)


def _warn(messages: Sequence[str]) -> None:
    """Warn of what was made; a command that fails says only why."""
    for message in messages:
        _CONSOLE.tell(f"warning: {message}")


def algorithm_of(wanted: Wanted) -> tuple[NestedAlgorithm, list[str]]:
    """Return the algorithm that is asked for, and warnings."""
    options = wanted.options
    if options.recipe:
        return recipe_algorithm(wanted.m, wanted.r, options.recipe), []
    if options.best is None:
        return nested_algorithm(wanted.m, wanted.r, options.points, options.moduli), []
    nested, warnings = best_algorithm(wanted.m, wanted.r, options.best, options.products)
    return nested, [*warnings, *_stored_otherwise(wanted)]


def _stored_otherwise(wanted: Wanted) -> list[str]:
    """Return a warning where transformed values are not stored in the dtype that the algorithm is the best for."""
    best, target = wanted.options.best, TARGETS[wanted.options.target]
    if best not in STORED or not (target.dtypes or wanted.stage is Stage.CONV):
        return []
    kept = ARITHMETIC[wanted.dtype or "float32"]
    return [
        f"--best {best} is for transformed data and filters stored in {best}; "
        f"this code keeps them in {kept}, for which --best {kept} chooses"
    ]


def _artefact(wanted: Wanted, nested: NestedAlgorithm, notes: Sequence[str]) -> bytes:
    options = wanted.options
    kernel = emit(
        nested,
        options.target,
        stage=wanted.stage,
        dtype=wanted.dtype or None,
        schedule=wanted.schedule if wanted.stage is Stage.CONV and wanted.schedule else None,
        lowering=wanted.lowering,
        name=options.name,
        notes=[*notes, *catalogued(nested)],
        chosen=_chosen(options),
    )
    return kernel.source.encode("ascii")


def _chosen(options: argparse.Namespace) -> str:
    """Return the words that choose the algorithm from the catalogue or by recipes."""
    if options.best is None:
        return " ".join(recipe_words(options.recipe))
    return f"--best {options.best}" + ("" if options.products is None else f" --products {options.products}")


def _measured(wanted: Wanted, nested: NestedAlgorithm, marker: str) -> bytes:
    lines = [_MEASURED, *measured(nested, wanted.dtype, wanted.lowering)]
    return "".join(f"{marker} {line}\n" for line in lines).encode("ascii")


def _check(path: str, artefact: bytes, marker: str | None) -> int:
    longest = len(artefact) + _LONGEST_MEASUREMENT
    with open(path, "rb") as file:
        found = file.read(longest + 1)
    compared = found if marker is None or len(found) > longest else _without_measurement(found, marker)
    difference = first_difference(artefact, compared)
    if difference is None:
        return 0
    command = _command_in(found)
    other = "" if command in {None, _command_in(artefact)} else f"; made by {command}"
    return _CONSOLE.failed(f"{path}: {difference}{other}")


def _command_in(text: bytes) -> str | None:
    """Return the command in the header of a file, if there is one."""
    found = _COMMAND.search(text[:_LONGEST_HEADER])
    return found and found[1].decode("ascii")


def _without_measurement(text: bytes, marker: str) -> bytes:
    """Return the text without its measured end, if nothing but comments follows the line that opens it."""
    before, opening, after = text.partition(f"{marker} {_MEASURED}\n".encode("ascii"))
    only_comments = all(line.startswith(f"{marker} ".encode("ascii")) for line in after.splitlines())
    return before if opening and only_comments else text


if __name__ == "__main__":
    sys.exit(main())
