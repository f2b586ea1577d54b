"""Arguments that several commands read: sizes, points and moduli, each once for all axes or once per axis.

In: words of a command line. Out: numbers, points and moduli, parsed by grammars of our own; text is never evaluated.
Refused: everything else, in one line on stderr and with exit status 2.
"""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Final, NoReturn, TypeVar

from winograd.algebra.moduli import Modulus, parse_moduli
from winograd.algebra.nesting import NestedAlgorithm, as_nested, nest
from winograd.algebra.points import MAX_POINTS_LENGTH, parse_points
from winograd.console import one_line

T = TypeVar("T")

POINTS_EPILOG: Final = """\
Points are integers, fractions p/q, decimals (meaning exactly that fraction) and inf. Write --points=LIST with an equals
sign where the list begins with a minus.\
"""

_SIZES = re.compile(r"[0-9]{1,9}(,[0-9]{1,9}){0,2}", re.ASCII)
_INTEGER = re.compile(r"[0-9]{1,18}", re.ASCII)


class LineParser(argparse.ArgumentParser):
    """A parser whose errors are one line; options cannot be shortened, and the epilog is printed as it is."""

    def __init__(self, *, prog: str, description: str, epilog: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Exit with status 2 and one line."""
        self.exit(2, one_line(self.prog, f"error: {message}"))


def argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Make argparse show a parser's own message."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


def integer(least: int, most: int = 10**18 - 1) -> Callable[[str], int]:
    """Return a parser of integers from ``least`` to ``most``, for argparse."""

    def parse(text: str) -> int:
        if not _INTEGER.fullmatch(text) or not least <= int(text) <= most:
            limit = "with 18 digits at most" if most == 10**18 - 1 else f"at most {most}"
            raise ValueError(f"{text[:40]!a} must be an integer of at least {least}, {limit}")
        return int(text)

    return argument(parse)


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """Add ``--m``, ``--r`` and ``--ndim``."""
    sizes = argument(_parse_sizes)
    parser.add_argument("--m", type=sizes, required=True, help="outputs of a tile, one value or one per axis: 2,4,4")
    parser.add_argument("--r", type=sizes, required=True, help="taps of the filter, one value or one per axis: 3,3,1")
    parser.add_argument(
        "--ndim", type=argument(_parse_ndim), help="axes, 1 to 3 (default: as many as values are given)"
    )


def add_points(parser: argparse._ActionsContainer) -> None:
    """Add ``--points``, which may be given once per axis."""
    parser.add_argument(
        "--points",
        type=argument(parse_points),
        action="append",
        default=[],
        metavar="LIST",
        help="m + r - 1 points for all axes, or given once per axis (default: a good published set)",
    )


def add_moduli(parser: argparse._ActionsContainer) -> None:
    """Add ``--moduli``, which may be given once per axis."""
    parser.add_argument(
        "--moduli",
        type=argument(_parse_moduli),
        action="append",
        default=[],
        metavar="LIST",
        help="moduli for all axes, or given once per axis, such as x,x-1,x+1,x^2+1,inf",
    )


def parse_words(parser: LineParser, words: Sequence[str]) -> argparse.Namespace:
    """Parse the words of a command; without any, print help to stderr and exit with status 2.

    ``--points -1,0`` is read as ``--points=-1,0``, which argparse alone takes for an option.
    """
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(2)
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in {"--points", "--moduli"} and re.match(r"-[0-9.x]", word):
            joined[-1] = f"{joined[-1]}={word}"
        else:
            joined.append(word)
    return parser.parse_args(joined)


def sizes_per_axis(parser: LineParser, options: argparse.Namespace) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return m and r per axis, or exit with the line that says which numbers of values do not fit the axes."""
    ndim = options.ndim or max(len(options.m), len(options.r))
    for name, sizes in (("--m", options.m), ("--r", options.r)):
        if len(sizes) not in {1, ndim}:
            parser.error(f"argument {name}: {len(sizes)} values for {ndim} axes, give one for all or one per axis")
    for name in ("points", "moduli"):
        lists = getattr(options, name, [])
        if len(lists) not in {0, 1, ndim}:
            parser.error(f"argument --{name}: {len(lists)} lists for {ndim} axes, give one for all or one per axis")
    return (options.m * ndim)[:ndim], (options.r * ndim)[:ndim]


def best_algorithm(
    m: Sequence[int], r: Sequence[int], dtype: str, products: int | None = None
) -> tuple[NestedAlgorithm, list[str]]:
    """Return the nest of the best known algorithms of the catalogue, and what it warns of.

    Raises
    ------
    TypeError, ValueError
        As `winograd.best` does.

    Examples
    --------
    >>> best_algorithm((4, 2), (3, 3), "float32")
    (<F(4x2,3x3), 24 multiplications>, [])
    """
    from winograd.accuracy.catalogue import best

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        if len(set(m)) == len(set(r)) == 1:
            nested = as_nested(best(m[0], r[0], len(m), dtype, products))
        else:
            nested = nest(*(as_nested(best(*size, len(m), dtype, products)).axes[0] for size in zip(m, r, strict=True)))
    return nested, [str(warning.message) for warning in caught]


def _parse_sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(map(int, text.split(","))) if _SIZES.fullmatch(text) else ()
    if not sizes or min(sizes) < 1:
        raise ValueError(f"{text[:40]!a} must be an integer of at least 1, or one per axis such as 2,4,4")
    return sizes


def _parse_ndim(text: str) -> int:
    if text not in {"1", "2", "3"}:
        raise ValueError(f"{text[:40]!a} must be 1, 2 or 3")
    return int(text)


def _parse_moduli(text: str) -> tuple[Modulus, ...]:
    if len(text) > MAX_POINTS_LENGTH:
        raise ValueError(f"moduli of {len(text)} characters, at most {MAX_POINTS_LENGTH} are allowed")
    return parse_moduli(text)
