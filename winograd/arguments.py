"""Arguments that several commands read: sizes, points, moduli, recipes, for all axes or once per axis; and others.

In: words of a command line. Out: numbers, points, moduli, options and algorithms, parsed by grammars of our own; text
is never evaluated. Refused: everything else, in one line on stderr and with exit status 2.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from fractions import Fraction
from typing import Final, NoReturn, TypeVar

from winograd.accuracy.recipe import MAX_RECIPE_LENGTH
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.moduli import Modulus, parse_moduli
from winograd.algebra.nesting import NestedAlgorithm, as_nested, nest
from winograd.algebra.origin import DIRECT
from winograd.algebra.points import MAX_POINTS_LENGTH, Infinity, parse_points
from winograd.console import one_line

T = TypeVar("T")

POINTS_EPILOG: Final = """\
Points are integers, fractions p/q, decimals (meaning exactly that fraction) and inf. Write --points=LIST with an equals
sign where the list begins with a minus.\
"""

_SIZES = re.compile(r"[0-9]{1,9}(,[0-9]{1,9}){0,2}", re.ASCII)
_INTEGER = re.compile(r"[0-9]{1,18}", re.ASCII)
_OPTION = re.compile(r"([a-z_][a-z0-9_]{0,40})=([A-Za-z0-9_.+-]{1,40})", re.ASCII)
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})(e[+-]?[0-9]{1,2})?", re.ASCII | re.IGNORECASE)


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

    @property
    def options(self) -> list[str]:
        """The options that the command has, in the order of its help."""
        return [name for action in self._actions for name in action.option_strings]

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


def positive(text: str) -> float:
    """Return a number above 0, for argparse: neither infinite nor nan.

    Examples
    --------
    >>> positive("1e-5")
    1e-05
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text[:40]!a} must be a number above 0, such as 1e-5")
    return value


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """Return how much memory this machine has; 2^63 where it does not say."""
    names = getattr(os, "sysconf_names", {})
    known = {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= set(names)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if known else 2**63


def ending(suffix: str) -> Callable[[str], str]:
    """Return a parser of paths that end in so, for argparse.

    Examples
    --------
    >>> ending(".svg")("c3d.svg")
    'c3d.svg'
    """

    def parse(text: str) -> str:
        if not text.lower().endswith(suffix):
            raise ValueError(f"{text[:40]!a} must end in {suffix}")
        return text

    return argument(parse)


png: Final = ending(".png")
"""A path that ends in .png, for argparse."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--option``, which may be given several times: options of a network, as pairs of name and value."""
    parser.add_argument(
        "--option",
        type=argument(parse_option),
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the network, such as mid_channels=torchvision; may come several times",
    )


def parse_option(text: str) -> tuple[str, int | float | str]:
    """Return name and value of an option of a network: an integer, a decimal number, or a word.

    Raises
    ------
    ValueError
        For everything else.

    Examples
    --------
    >>> [parse_option(text) for text in ("num_classes=7", "norm_eps=1e-3", "form=port")]
    [('num_classes', 7), ('norm_eps', 0.001), ('form', 'port')]
    """
    found = _OPTION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!a} must be NAME=VALUE such as mid_channels=torchvision")
    name, value = found.groups()
    if _WHOLE.fullmatch(value):
        return name, int(value)
    return name, float(value) if _DECIMAL.fullmatch(value) else value


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
        type=argument(_parse_points),
        action="append",
        default=[],
        metavar="LIST",
        help="m + r - 1 points for all axes, or given once per axis, or direct for an axis with one output or one tap "
        "(default: a good published set)",
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


def add_recipe(parser: argparse._ActionsContainer) -> None:
    """Add ``--recipe``, which may be given once per axis."""
    parser.add_argument(
        "--recipe",
        type=argument(_parse_recipe),
        action="append",
        default=[],
        metavar="TEXT",
        help="how the algorithm is built, as the catalogue, the search and files print it, for all axes or given once "
        "per axis: 'x,x-1,x+1,x^2+1{0,1,-1},inf data', 'transposed ...', 'outputs 2:4 + 2:4', direct",
    )


def add_products(parser: argparse._ActionsContainer) -> None:
    """Add ``--products``, which `check_products` refuses without ``--best``."""
    parser.add_argument(
        "--products", type=integer(1, 4096), metavar="N", help="multiplications allowed per axis, with --best"
    )


def check_products(parser: LineParser, options: argparse.Namespace, *, has_best: bool) -> None:
    """Exit with one line where ``--products`` stands without ``--best``."""
    if options.products is not None and not has_best:
        parser.error("argument --products: is for --best only; --points and --moduli say how many products there are")


def parse_words(parser: LineParser, words: Sequence[str]) -> argparse.Namespace:
    """Parse the words of a command; without any, print help to stderr and exit with status 2.

    ``--points -1,0`` is read as ``--points=-1,0``, which argparse alone takes for an option.
    """
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(2)
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in {"--points", "--moduli", "--recipe"} and re.match(r"-[0-9.x]", word):
            joined[-1] = f"{joined[-1]}={word}"
        else:
            joined.append(word)
    _refuse_unknown_options(parser, joined)
    return parser.parse_args(joined)


def _refuse_unknown_options(parser: LineParser, words: Sequence[str]) -> None:
    """Exit with the line that names an option which the command does not have, before what argparse finds missing."""
    for word in words:
        if word == "--":
            return
        name = word.partition("=")[0]
        if not name.startswith("--") or name in parser.options:
            continue
        nearest = get_close_matches(name, parser.options, n=3)
        parser.error(
            f"argument {name[:40]}: is unknown; "
            + (f"nearest: {', '.join(nearest)}" if nearest else f"{parser.prog} --help lists all options")
        )


def refuse_unknown_network(parser: LineParser, argument: str, name: str) -> None:
    """Exit with the line that gives the nearest names where no network has that name; torch is not loaded for it."""
    from winograd.networks.registry import UnknownNetworkError, check_network

    try:
        check_network(name)
    except UnknownNetworkError as error:
        parser.error(f"argument {argument}: {error}")


def sizes_per_axis(parser: LineParser, options: argparse.Namespace) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return m and r per axis, or exit with the line that says which numbers of values do not fit the axes."""
    ndim = options.ndim or max(len(options.m), len(options.r))
    for name, sizes in (("--m", options.m), ("--r", options.r)):
        if len(sizes) not in {1, ndim}:
            parser.error(f"argument {name}: {len(sizes)} values for {ndim} axes, give one for all or one per axis")
    for name in ("points", "moduli", "recipe"):
        lists = getattr(options, name, [])
        if len(lists) not in {0, 1, ndim}:
            parser.error(f"argument --{name}: {len(lists)} lists for {ndim} axes, give one for all or one per axis")
    return (options.m * ndim)[:ndim], (options.r * ndim)[:ndim]


def recipe_algorithm(m: Sequence[int], r: Sequence[int], recipes: Sequence[str]) -> NestedAlgorithm:
    """Return the nest that recipes and constructions of the catalogue make.

    Parameters
    ----------
    m, r : sequence of int
        Outputs and taps per axis.
    recipes : sequence of str
        See `winograd.accuracy.cataloguing.assembly`; parts of a sum are taken from the catalogue. One for every axis,
        except that an axis with one output or one tap beside others takes the direct algorithm if it does not fit
        there. Else one per axis.

    Raises
    ------
    ValueError
        For a text that is none, does not fit its axis or has parts that are not in the catalogue.

    Examples
    --------
    >>> recipe_algorithm((4, 1), (3, 3), ["x,x-1,x+1,x^2+1{0,1,-1},inf data"])
    <F(4x1,3x3), 21 multiplications>
    >>> recipe_algorithm((4,), (3,), ["outputs 2:4 + 2:4"])
    <F(4,3), 8 multiplications>
    """
    sizes = list(zip(m, r, strict=True))
    may_be_direct = len(recipes) == 1 and any(1 not in size for size in sizes)
    each = list(recipes) * (len(sizes) if len(recipes) == 1 else 1)
    return nest(*(_of_recipe(*size, text, may_be_direct) for size, text in zip(sizes, each, strict=True)))


def _of_recipe(m: int, r: int, text: str, may_be_direct: bool) -> BilinearAlgorithm:
    from winograd.accuracy.catalogue import catalogue
    from winograd.accuracy.cataloguing.assembly import assemble, direct

    try:
        return assemble(m, r, text, catalogue().build)
    except ValueError:
        if may_be_direct and 1 in (m, r):
            return direct(m, r)
        raise


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
        raise ValueError(
            f"{text[:40]!a} must be an integer of at least 1 with 9 digits at most, or 2 or 3 of them such as 2,4,4"
        )
    return sizes


def _parse_ndim(text: str) -> int:
    if text not in {"1", "2", "3"}:
        raise ValueError(f"{text[:40]!a} must be 1, 2 or 3")
    return int(text)


def _parse_points(text: str) -> tuple[Fraction | Infinity, ...]:
    return () if text.strip(" ") == DIRECT else parse_points(text)


def _parse_recipe(text: str) -> str:
    if not text or len(text) > MAX_RECIPE_LENGTH:
        raise ValueError(f"recipe of {len(text)} characters, 1 to {MAX_RECIPE_LENGTH} are allowed")
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"recipe {text[:40]!a} must be printable ASCII")
    return text


def _parse_moduli(text: str) -> tuple[Modulus, ...]:
    if len(text) > MAX_POINTS_LENGTH:
        raise ValueError(f"moduli of {len(text)} characters, at most {MAX_POINTS_LENGTH} are allowed")
    return parse_moduli(text)
