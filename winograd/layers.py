"""``python -m winograd.layers``: what a network is, in numbers: layers, parameters, multiplications, memory.

In: the name of a network, or a pattern of names; batch, sizes of the clip, options of the network. Out: its tables on
stdout, or a line for each network that matches; all of it as JSON, as a page and as pictures, atomically to files;
everything else on stderr.
Exit: 0; 1 where a file or a missing extra says no; 2 for a wrong command, sizes that no network takes among them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from winograd.accuracy.showing.table import text_table
from winograd.arguments import (
    LineParser,
    add_options,
    argument,
    ending,
    integer,
    parse_words,
    png,
    refuse_unknown_network,
)
from winograd.artefact import checked_targets, write_atomically
from winograd.console import Console
from winograd.extras import require

if TYPE_CHECKING:
    from winograd.networks.description.record import Description

_CONSOLE: Final = Console("python -m winograd.layers")

_EPILOG: Final = f"""\
Examples:
  {_CONSOLE.program} c3d --classes 487
  {_CONSOLE.program} '*csn*' --frames 32
  {_CONSOLE.program} p3d_63 --option form=port --picture p3d.svg --plot p3d.png --json p3d.json
"""

_TILES: Final = re.compile(r"[0-9]{1,2}(,[0-9]{1,2}){0,5}", re.ASCII)

_LARGEST_TILE: Final = 32
"""Outputs per axis: what plans have is far below."""

_FILES: Final = ("json", "html", "picture", "plot")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; no exception leaves it."""
    words = sys.argv[1:] if argv is None else argv
    parser = _parser()
    return _CONSOLE.status_of(lambda: _run(parser, parse_words(parser, words)))


def _parser() -> LineParser:
    parser = LineParser(
        prog=_CONSOLE.program,
        description="Describe a network in numbers: layers, parameters, multiplications, memory.",
        epilog=_EPILOG,
    )
    parser.add_argument("network", metavar="NAME", help="of a network, or a pattern such as 'r3d_*' for a line each")
    parser.add_argument("--batch", type=integer(1), default=1, metavar="N", help="clips (default: 1)")
    parser.add_argument("--frames", type=integer(1), metavar="N", help="of a clip (default: the network's own)")
    parser.add_argument("--size", type=integer(1), metavar="N", help="height and width (default: the network's own)")
    parser.add_argument("--classes", type=integer(1), metavar="N", help="scores (default: 400)")
    add_options(parser)
    parser.add_argument(
        "--tiles", type=argument(_parse_tiles), metavar="LIST", help="outputs per axis of the tiles (default: 2,4,6)"
    )
    parser.add_argument("--json", metavar="FILE", help="all of it as JSON; of several networks as a list")
    parser.add_argument("--html", metavar="FILE", help="tables and pictures as one page")
    parser.add_argument("--picture", type=ending(".svg"), metavar="FILE", help="the network drawn, as SVG")
    parser.add_argument("--plot", type=png, metavar="FILE", help="multiplications and memory of the layers, as PNG")
    return parser


def _parse_tiles(text: str) -> tuple[int, ...]:
    tiles = tuple(map(int, text.split(","))) if _TILES.fullmatch(text) else ()
    if not tiles or min(tiles) < 1 or max(tiles) > _LARGEST_TILE:
        raise ValueError(f"{text[:40]!a} must be 1 to 6 integers of 1 to {_LARGEST_TILE} such as 2,4,6")
    return tiles


def _run(parser: LineParser, options: argparse.Namespace) -> int:
    checked_targets(*(getattr(options, name) for name in _FILES))
    names = _names(parser, options)
    if options.network not in names:
        _refuse_pictures(parser, options, len(names))
    require("torch")
    if options.plot is not None or options.html is not None:
        from winograd.accuracy.showing.plots.canvas import require_matplotlib

        require_matplotlib()
    found = [_described(parser, options, name) for name in names]
    if options.network not in names:
        return _deliver_list(options, found)
    return _deliver(options, found[0])


def _names(parser: LineParser, options: argparse.Namespace) -> list[str]:
    """Return the networks that match; a name that none has is refused with the nearest ones."""
    from winograd.networks.registry import list_networks

    names = list_networks(options.network)
    if not names:
        refuse_unknown_network(parser, "NAME", options.network)
    return names


def _described(parser: LineParser, options: argparse.Namespace, name: str) -> Description:
    from winograd.networks.description.describing import TILES, describe
    from winograd.networks.outline import outline

    given = dict(options.option)
    if options.classes is not None:
        given["num_classes"] = options.classes
    try:
        model = outline(name, **given)
        channels, frames, height, width = model.input_shape
        shape = (channels, options.frames or frames, options.size or height, options.size or width)
        return describe(name, batch=options.batch, input_shape=shape, tiles=options.tiles or TILES, **given)
    except (TypeError, ValueError) as error:
        parser.error(f"{name}: {error}")


def _deliver(options: argparse.Namespace, described: Description) -> int:
    from winograd.networks.description.page import description_page
    from winograd.networks.description.picture import picture_svg
    from winograd.networks.description.plot import description_png

    makers: dict[str, Callable[[], bytes]] = {
        "json": lambda: _json(described.as_dict()),
        "html": lambda: description_page(described),
        "picture": lambda: picture_svg(described).encode("ascii") + b"\n",
        "plot": lambda: description_png(described),
    }
    for name in _FILES:
        if getattr(options, name) is not None:
            write_atomically(getattr(options, name), makers[name]())
    return _CONSOLE.print(f"{described}\n".encode("ascii", "backslashreplace"))


def _refuse_pictures(parser: LineParser, options: argparse.Namespace, count: int) -> None:
    """End the command, before minutes are spent, where a file that shows one network is asked for several."""
    for name in _FILES[1:]:
        if getattr(options, name) is not None:
            parser.error(f"argument --{name}: is for one network, {options.network!a} are {count}")


def _deliver_list(options: argparse.Namespace, found: Sequence[Description]) -> int:
    from winograd.networks.description.showing import OVERVIEW, overview_row

    if options.json is not None:
        write_atomically(options.json, _json([described.as_dict() for described in found]))
    table = text_table(OVERVIEW, [overview_row(described) for described in found], left=(0, 1))
    return _CONSOLE.print(f"{table}\n".encode("ascii"))


def _json(figures: Any) -> bytes:
    return (json.dumps(figures, indent=2, allow_nan=False) + "\n").encode("ascii")


if __name__ == "__main__":
    sys.exit(main())
