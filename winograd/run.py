"""``python -m winograd.run``: a 3D network on a real clip, directly and converted: error and speed of every layer.

In: the name of a network and a video file. Out: a table on stdout, the same as JSON, and a plot; progress on stderr.
Refused, in one line: unknown networks and bad options (exit 2); unreadable files, missing extras (exit 1).
Exit 1, too, where outputs are not finite or a converted layer's measured error is above the tolerance.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from winograd.arguments import positive
from winograd.artefact import checked_targets, write_atomically
from winograd.running.progress import ProgressLines
from winograd.running.settings import DTYPES, RunSettings

if TYPE_CHECKING:
    from winograd.running.result import NetworkRun

_PROGRAM: Final = "python -m winograd.run"

_EXTRAS: Final = {"torch": "torch", "av": "video", "matplotlib": "plot"}
"""Modules needed here, and the extras that install them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as stop:  # argparse: 0 after --help, else 2
        return stop.code if isinstance(stop.code, int) else 2
    required = ["torch", "av", *(["matplotlib"] if options.plot is not None else [])]
    lacking = [module for module in required if not _installed(module)]
    return _failed(_install(lacking[0])) if lacking else _reported(options)


def _reported(options: argparse.Namespace) -> int:
    """Run, and turn what a user can meet into one line and an exit status."""
    from winograd.networks.registry import UnknownNetworkError

    progress = ProgressLines(sys.stderr, _PROGRAM)
    status = 1
    try:
        failure = _run(options, progress)
    except UnknownNetworkError as error:
        failure, status = str(error), 2
    except BrokenPipeError:  # whoever reads stdout has seen enough
        return 1
    except OSError as error:
        failure = f"{error.filename or 'stdout'}: {error.strerror or error}"
    except KeyboardInterrupt:
        failure = "interrupted"
    except (ImportError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        failure = str(error).partition("\n")[0] or type(error).__name__
    progress.end()
    return 0 if failure is None else _failed(failure, status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM, description="Run a 3D network on a video clip, directly and converted.", allow_abbrev=False
    )
    add = parser.add_argument
    add("network", help="name of a network, such as c3d")
    add("--clip", required=True, metavar="FILE", help="a video; clips are from its first to its last frames")
    add("--other-clip", metavar="FILE", help="a second video, whose first frames are the second clip")
    add(
        "--option",
        action="append",
        default=[],
        type=_option,
        metavar="NAME=VALUE",
        help="an option of the network, such as form=port; may come several times",
    )
    add("--weights", metavar="FILE", help="a checkpoint (default: He initialisation, see --seed)")
    add("--seed", type=_integer(0), default=0, help="of the He initialisation (default: 0)")
    add("--batch", type=_integer(1), default=1, help="clips that run at once (default: 1)")
    add("--frames", type=_integer(1), help="frames of a clip (default: those of the network)")
    add("--size", type=_integer(1), help="height and width of a clip (default: those of the network)")
    add("--dtype", choices=DTYPES, default="float32", help="of weights and clips (default: float32)")
    add("--tolerance", type=positive, help="predicted error allowed (default: 1e-5; 1.9e-14 with float64)")
    add("--threads", type=_integer(1), help="threads, at most one per core (default: what torch uses)")
    add("--repeats", type=_integer(0), default=15, help="rounds of timing, 0 for none (default: 15)")
    add("--json", metavar="FILE", help="the table as JSON (default: winograd-NETWORK.json)")
    add("--plot", metavar="FILE", help="the plot as PNG (default: winograd-NETWORK.png)")
    return parser


def _integer(least: int) -> Callable[[str], int]:
    def parsed(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not least <= int(text[:19]) < 2**63:
            raise argparse.ArgumentTypeError(f"{text[:40]!a} must be an integer of at least {least}")
        return int(text)

    return parsed


def _option(text: str) -> tuple[str, int | float | str]:
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals and value):
        raise argparse.ArgumentTypeError(f"{text[:40]!a} must be NAME=VALUE")
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            pass
    return name, value


def _checked_threads(count: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count > cores:
        raise ValueError(f"argument --threads: {count}, must be at most {cores}, the cores of this machine")
    return count


def _settings(options: argparse.Namespace) -> RunSettings:
    return RunSettings(
        network=options.network,
        clip=options.clip,
        other_clip=options.other_clip,
        weights=options.weights,
        seed=options.seed,
        batch=options.batch,
        frames=options.frames,
        size=options.size,
        dtype=options.dtype,
        tolerance=options.tolerance,
        repeats=options.repeats,
        options=tuple(options.option),
    )


def _run(options: argparse.Namespace, progress: ProgressLines) -> str | None:
    """Compare, print and write; return what is wrong with the errors that were measured, or None."""
    import torch

    from winograd.running.execute import outlined, run_network

    outlined(options.network, **dict(options.option))  # an unknown name comes before anything else that is wrong
    json_path = options.json or f"winograd-{options.network}.json"
    plot_path = options.plot or f"winograd-{options.network}.png"
    checked_targets(json_path, plot_path)
    if not plot_path.lower().endswith(".png"):
        raise ValueError(f"argument --plot: {plot_path}, must end in .png")
    if options.threads:
        torch.set_num_threads(_checked_threads(options.threads))
    run = run_network(_settings(options), progress)
    progress.end()
    if run.not_finite:
        raise ValueError(f"outputs of {', '.join(run.not_finite)} are not finite; check the weights and the clip")
    for warning in run.warnings:
        print(f"{_PROGRAM}: warning: {warning}", file=sys.stderr)
    print(run)
    text = json.dumps(run.as_dict(), indent=2, allow_nan=False) + "\n"
    write_atomically(json_path, text.encode())
    print(f"table as JSON: {json_path}")
    _plot(run, plot_path)
    return run.excess


def _plot(run: NetworkRun, path: str) -> None:
    if not _installed("matplotlib"):
        print(f"no plot: {_install('matplotlib')}", file=sys.stderr)
        return
    from winograd.nn.plot import draw_comparison

    write_atomically(path, draw_comparison(run.comparison, f"{run.title}, {run.weights}"))
    print(f"plot: {path}")


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _install(module: str) -> str:
    return f'{module} is not installed; pip install "winograd[{_EXTRAS[module]}]"'


def _failed(line: str, status: int = 1) -> int:
    print(f"{_PROGRAM}: {line}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
