"""``python -m winograd.run``: a 3D network on a real clip, directly and converted: error and speed of every layer.

In: the name of a network and a video file. Out: a table on stdout; all figures as JSON and a plot, each atomically to a
file; everything else on stderr.
Exit: 0; 1 where outputs are not finite, a converted layer's measured error is above the tolerance, or a file or a
missing extra says no; 2 for a wrong command, options and sizes that the network does not take among them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from winograd.arguments import (
    LineParser,
    add_options,
    cores,
    integer,
    parse_words,
    png,
    positive,
    refuse_unknown_network,
)
from winograd.artefact import checked_targets, write_atomically
from winograd.console import Console
from winograd.extras import not_installed, require
from winograd.running.progress import ProgressLines
from winograd.running.settings import DTYPES, RunSettings

if TYPE_CHECKING:
    from winograd.running.result import NetworkRun

_CONSOLE: Final = Console("python -m winograd.run")

_EPILOG: Final = f"""\
Examples:
  {_CONSOLE.program} c3d --clip examples/clips/bigbuckbunny.mp4
  {_CONSOLE.program} i3d_two_stream --clip holiday.mp4 --frames 32 --repeats 0
  {_CONSOLE.program} p3d_63 --clip holiday.mp4 --option form=port --weights p3d.pth
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; no exception leaves it."""
    words = sys.argv[1:] if argv is None else argv
    parser = _parser()
    return _CONSOLE.status_of(lambda: _run(parser, parse_words(parser, words)))


def _parser() -> LineParser:
    parser = LineParser(
        prog=_CONSOLE.program,
        description="Run a 3D network on a video clip, directly and converted.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("network", metavar="NAME", help="of a network, such as c3d")
    add("--clip", required=True, metavar="FILE", help="a video; clips are from its first to its last frames")
    add("--other-clip", metavar="FILE", help="a second video, whose first frames are the second clip")
    add_options(parser)
    add("--weights", metavar="FILE", help="a checkpoint (default: He initialisation, see --seed)")
    add("--seed", type=integer(0), default=0, metavar="N", help="of the He initialisation (default: 0)")
    add("--undamped", action="store_true", help="do not scale residual branches after the He initialisation")
    add("--batch", type=integer(1), default=1, metavar="N", help="clips that run at once (default: 1)")
    add("--frames", type=integer(1), metavar="N", help="of a clip (default: those of the network)")
    add("--size", type=integer(1), metavar="N", help="height and width of a clip (default: those of the network)")
    add("--dtype", choices=DTYPES, default="float32", help="of weights and clips (default: float32)")
    add(
        "--tolerance",
        type=positive,
        metavar="T",
        help="predicted error allowed (default: 1e-5; 1.9e-14 with float64)",
    )
    add(
        "--threads",
        type=integer(1, cores()),
        metavar="N",
        help="threads, at most one per core (default: what torch uses)",
    )
    add("--repeats", type=integer(0), default=15, metavar="N", help="rounds of timing, 0 for none (default: 15)")
    add("--json", metavar="FILE", help="the table as JSON (default: winograd-NETWORK.json)")
    add("--plot", type=png, metavar="FILE", help="the plot as PNG (default: winograd-NETWORK.png)")
    return parser


def _run(parser: LineParser, options: argparse.Namespace) -> int:
    refuse_unknown_network(parser, "NAME", options.network)
    require("torch", "av", *(["matplotlib"] if options.plot is not None else []))
    json_path = options.json or f"winograd-{options.network}.json"
    plot_path = options.plot or f"winograd-{options.network}.png"
    settings = _settings(parser, options)
    checked_targets(json_path, plot_path)
    if options.threads is not None:
        import torch

        torch.set_num_threads(options.threads)
    run = _compared(parser, settings)
    if run.not_finite is not None:
        return _CONSOLE.failed(run.not_finite)
    for warning in run.warnings:
        _CONSOLE.tell(f"warning: {warning}")
    status = _deliver(run, json_path, plot_path)
    return status if run.excess is None else _CONSOLE.failed(run.excess)


def _settings(parser: LineParser, options: argparse.Namespace) -> RunSettings:
    """Return what is asked for, or end the command where no such network can be built."""
    from winograd.networks.outline import outline

    network_options = dict(options.option)
    try:
        outline(options.network, **network_options)
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        parser.error(f"{options.network}: {error}")
    try:
        return RunSettings(
            network=options.network,
            clip=options.clip,
            other_clip=options.other_clip,
            weights=options.weights,
            seed=options.seed,
            undamped=options.undamped,
            batch=options.batch,
            frames=options.frames,
            size=options.size,
            dtype=options.dtype,
            tolerance=options.tolerance,
            repeats=options.repeats,
            options=tuple(network_options.items()),
        )
    except ValueError as error:
        parser.error(str(error))


def _compared(parser: LineParser, settings: RunSettings) -> NetworkRun:
    """Run the network with progress on stderr, or end the command where it takes no clips of that shape."""
    from winograd.networks.outline import ShapeError
    from winograd.running.execute import run_network

    progress = ProgressLines(sys.stderr, _CONSOLE.program)
    try:
        return run_network(settings, progress)
    except ShapeError as error:
        progress.end()
        parser.error(str(error))
    finally:
        progress.end()


def _deliver(run: NetworkRun, json_path: str, plot_path: str) -> int:
    try:
        status = _print(str(run))
    finally:  # what took minutes is kept even where nobody reads the table
        text = json.dumps(run.as_dict(), indent=2, allow_nan=False) + "\n"
        write_atomically(json_path, text.encode("ascii"))
        is_drawn = _draw(run, plot_path)
    return status or _print(f"table as JSON: {json_path}" + (f"\nplot: {plot_path}" if is_drawn else ""))


def _draw(run: NetworkRun, path: str) -> bool:
    """Write the plot, or say why there is none."""
    if find_spec("matplotlib") is None:
        _CONSOLE.tell(f"no plot: {not_installed('matplotlib')}")
        return False
    from winograd.nn.plot import draw_comparison

    write_atomically(path, draw_comparison(run.comparison, f"{run.title}, {run.weights}"))
    return True


def _print(text: str) -> int:
    return _CONSOLE.print(f"{text}\n".encode("ascii", "backslashreplace"))


if __name__ == "__main__":
    sys.exit(main())
