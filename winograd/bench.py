"""``python -m winograd.bench``: layers of a network, or whole networks, verified and timed against torch's own.

In: the name of a suite, or of networks, a batch size, a tolerance. Out: a table on stdout; all figures as JSON and a
plot, each atomically to a file; everything else on stderr. Ctrl-C prints what was measured until then, and writes no
file; on a GPU the JSON is written after every layer, and says whether it is complete.
Exit: 0; 1 where a measured error is above the tolerance, a layer cannot be measured on a GPU, or a file or a missing
extra says no; 2 for a wrong command.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Final, TypeVar

from winograd.accuracy.showing.plots.canvas import require_matplotlib
from winograd.arguments import (
    LineParser,
    cores,
    integer,
    memory_bytes,
    parse_words,
    png,
    positive,
    refuse_unknown_network,
)
from winograd.artefact import checked_targets, write_atomically
from winograd.benching.layers import Part
from winograd.benching.random_layers import RANDOM_LAYERS
from winograd.benching.settings import BenchSettings
from winograd.benching.suites import RANDOM, SUITES, make_suite
from winograd.console import Console
from winograd.conv.choosing.prediction import DEFAULT_TOLERANCE, default_tolerance
from winograd.conv.choosing.selection import Filters
from winograd.extras import require

if TYPE_CHECKING:
    from winograd.benching.cuda.result import CudaBenchmark
    from winograd.benching.layers import Suite
    from winograd.benching.runs import Record

_Measured = TypeVar("_Measured")

_CONSOLE: Final = Console("python -m winograd.bench")

_DTYPES: Final = ("float32", "float64", "float16", "bfloat16")

_MOST_RANDOM: Final = 10_000
"""Convolutions that are drawn, at most."""

_GIB: Final = 1 << 30

_EPILOG: Final = f"""\
Every layer is verified against float64 before it is timed. Ours runs in its faster memory format, with filters
transformed beforehand, against the fastest of six variants of torch's convolution. Examples:
  {_CONSOLE.program} --suite c3d --batch 8 --tolerance 2e-6 --json c3d.json --plot c3d.png
  {_CONSOLE.program} --suite i3d_rgb --layer 'Mixed_3*' --layer 'Mixed_4*' --repeats 5
  {_CONSOLE.program} --suite r3d_18 --only stride1
On a GPU, beside cuDNN's convolution in float32 and in TF32, in both memory formats, eager and compiled:
  {_CONSOLE.program} --device cuda --suite c3d --batch 32 --tolerance 5e-6 --json c3d_gpu.json
Whole networks run beside eager torch in both memory formats, with batch norm folded and not, and torch.compile:
  {_CONSOLE.program} --network c3d --network r3d_18 --repeats 9 --json networks.json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; no exception leaves it."""
    words = sys.argv[1:] if argv is None else argv
    parser = _parser()
    return _CONSOLE.status_of(lambda: _run(parser, parse_words(parser, words)))


def _parser() -> LineParser:
    parser = LineParser(
        prog=_CONSOLE.program,
        description="Verify and time the convolutions of a network against the best direct convolution of torch.",
        epilog=_EPILOG,
    )
    others = ", ".join((*SUITES, RANDOM))
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--suite", metavar="NAME", help=f"all convolutions of a network of that name, or {others}")
    what.add_argument(
        "--network", metavar="NAME", action="append", help="a whole network of that name; may come several times"
    )
    parser.add_argument(
        "--without-compiled",
        action="store_true",
        help="leave torch.compile out, of whole networks and of layers on a GPU: it takes minutes",
    )
    parser.add_argument("--only", choices=[part.value for part in Part], help="layers of one kind")
    parser.add_argument("--batch", type=integer(1), default=1, metavar="N", help="images (default: 1)")
    parser.add_argument(
        "--tolerance",
        type=positive,
        metavar="T",
        help=f"relative L2 error allowed, predicted and measured (default: {DEFAULT_TOLERANCE:g}; "
        f"with float64 {default_tolerance('float64'):.1e})",
    )
    parser.add_argument("--dtype", choices=_DTYPES, default=_DTYPES[0], help="of the tensors (default: %(default)s)")
    parser.add_argument(
        "--live", action="store_true", help="transform filters in every call, against variants that do not prepack"
    )
    parser.add_argument(
        "--layer",
        metavar="PATTERN",
        action="append",
        help="layers whose names match a shell pattern such as 'conv3*'; may come several times",
    )
    parser.add_argument(
        "--number",
        type=integer(1, _MOST_RANDOM),
        metavar="N",
        help=f"convolutions that --suite {RANDOM} draws (default: {RANDOM_LAYERS})",
    )
    parser.add_argument("--repeats", type=integer(1), default=15, metavar="N", help="rounds of timing (default: 15)")
    parser.add_argument(
        "--threads",
        type=integer(1, cores()),
        metavar="N",
        help="threads, at most one per core (default: what torch uses)",
    )
    parser.add_argument("--seed", type=integer(0), default=0, metavar="N", help="of inputs and weights (default: 0)")
    parser.add_argument(
        "--device",
        choices=("cpu", "cuda"),
        default="cpu",
        help="cuda times layers of a suite on the current GPU, beside cuDNN in float32 and in TF32 (default: cpu)",
    )
    parser.add_argument(
        "--tuning",
        choices=("model", "measure"),
        help="with --device cuda: how plans are made, by the cost model or by timing candidates (default: measure)",
    )
    parser.add_argument("--wide", action="store_true", help="all figures of every layer in the table")
    parser.add_argument("--json", metavar="FILE", help="all figures, with the time of every round, as JSON")
    parser.add_argument("--plot", type=png, metavar="FILE", help="ratios and errors as PNG")
    return parser


def _run(parser: LineParser, options: argparse.Namespace) -> int:
    checked_targets(options.json, options.plot)
    _require_extras(options)
    suite = None
    if options.suite is None:
        _check_networks(parser, options)
    else:
        suite = _suite(parser, options)
    import torch

    from winograd.benching import runs

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    _CONSOLE.warn_of_load()
    settings = _settings(options)
    if suite is None:
        networks = runs.measure_networks(options.network, settings, _teller(len(options.network)))
        return _measured(options, networks, lambda found: runs.networks_record(settings, found))
    if options.device == "cuda":
        return _measured_on_card(options, suite, settings)
    layers = runs.measure_layers(suite, settings, _teller(len(suite.layers)))
    return _measured(options, layers, lambda found: runs.layers_record(options.suite, settings, found))


def _require_extras(options: argparse.Namespace) -> None:
    require("torch")
    if options.plot is not None:
        require_matplotlib()


_OF_LAYERS: Final = {
    "only": None, "layer": None, "number": None, "live": False, "wide": False, "plot": None, "dtype": _DTYPES[0],
    "device": "cpu", "tuning": None,
}  # fmt: skip
"""Options that ask for something of layers, and what they are where nothing was asked for."""


def _check_networks(parser: LineParser, options: argparse.Namespace) -> None:
    """End the command where a network is unknown, or an option is for layers."""
    for name in options.network:
        refuse_unknown_network(parser, "--network", name)
    for option, unset in _OF_LAYERS.items():
        if getattr(options, option) != unset:
            parser.error(f"argument --{option}: is for --suite; --network measures whole networks in float32")
    _check_clips(parser, options)


def _check_clips(parser: LineParser, options: argparse.Namespace) -> None:
    """End the command where the clips of a network alone take more memory than there is."""
    from winograd.networks.outline import outline

    for name in options.network:
        taken, there = 4 * options.batch * prod(outline(name).input_shape), memory_bytes()
        if taken > there:
            parser.error(
                f"argument --batch: {options.batch} clips of {name} take {taken / _GIB:,.1f} GiB, "
                f"there are {there / _GIB:,.1f}; give fewer"
            )


def _suite(parser: LineParser, options: argparse.Namespace) -> Suite:
    if options.without_compiled and options.device == "cpu":
        parser.error("argument --without-compiled: is for --network, and for --device cuda")
    _check_device(parser, options)
    if options.number is not None and options.suite != RANDOM:
        parser.error(f"argument --number: is for --suite {RANDOM}, got {options.suite[:40]!a}")
    suite = _checked(parser, "suite", lambda: _made(options))
    if options.only is not None:
        suite = _checked(parser, "only", lambda: suite.only(Part(options.only)))
    if options.layer is not None:
        suite = _checked(parser, "layer", lambda: suite.matching(*options.layer))
    if options.device == "cpu":
        _checked(parser, "batch", lambda: suite.of_dtype(options.dtype).within(memory_bytes()))
    return suite.of_dtype(options.dtype)


_OF_CPU: Final = {"live": False, "plot": None, "threads": None}
"""Options of layers that are for the CPU alone, and what they are where nothing was asked for."""


def _check_device(parser: LineParser, options: argparse.Namespace) -> None:
    """End the command where there is no GPU, or an option is not for where the layers run."""
    if options.device == "cpu":
        if options.tuning is not None:
            parser.error("argument --tuning: is for --device cuda")
        return
    for option, unset in _OF_CPU.items():
        if getattr(options, option) != unset:
            parser.error(f"argument --{option}: is for --device cpu")
    import torch

    if not torch.cuda.is_available():
        parser.error("argument --device: torch finds no GPU")


def _made(options: argparse.Namespace) -> Suite:
    return make_suite(options.suite, options.batch, number=options.number or RANDOM_LAYERS, seed=options.seed)


def _checked(parser: LineParser, argument: str, make: Callable[[], Suite]) -> Suite:
    """Return what is made, or end the command with what is wrong with the argument."""
    try:
        return make()
    except ValueError as error:
        parser.error(f"argument --{argument}: {error}")


def _settings(options: argparse.Namespace) -> BenchSettings:
    return BenchSettings(
        batch=options.batch,
        repeats=options.repeats,
        seed=options.seed,
        tolerance=default_tolerance(options.dtype) if options.tolerance is None else options.tolerance,
        dtype=options.dtype,
        filters=Filters.LIVE if options.live else Filters.FROZEN,
        compiled=not options.without_compiled,
        tuning=options.tuning or "measure",
    )


def _teller(of: int) -> Callable[[int, str, str], None]:
    return lambda number, name, step: _CONSOLE.tell(f"{name} ({number} of {of}): {step}")


def _measured(
    options: argparse.Namespace, measurements: Iterator[_Measured], benchmark: Callable[[Sequence[_Measured]], Record]
) -> int:
    """Measure one after the other; what ends that early is said after the table of what was measured before."""
    from winograd.benching.verification import AboveToleranceError

    found: list[_Measured] = []
    try:
        for measured in measurements:
            found.append(measured)
    except KeyboardInterrupt:
        why = "interrupted"
    except (AboveToleranceError, MemoryError, RuntimeError) as error:  # a compiler may be missing, or memory
        why = str(error).partition("\n")[0] or type(error).__name__
    else:
        return _deliver(options, benchmark(found))
    if found:  # no file is written
        _print(benchmark(found), options.wide)
        why = f"{why}; the table is of what was measured until then"
    return _CONSOLE.failed(why)


def _measured_on_card(options: argparse.Namespace, suite: Suite, settings: BenchSettings) -> int:
    """Measure layer by layer; the file has after each what is known until then."""
    from winograd.benching.runs import measure_layers_on_card

    growing = measure_layers_on_card(suite, settings, _teller(len(suite.layers)))
    known: CudaBenchmark | None = None
    try:
        for known in growing:
            _write_json(options, known)
    except KeyboardInterrupt:
        if known is None:
            raise
        _print(known, options.wide)
        return _CONSOLE.failed("interrupted; the table is of what was measured until then")
    assert known is not None
    return _print(known, options.wide) or _status_on_card(known)


def _status_on_card(benchmark: CudaBenchmark) -> int:
    if benchmark.failures:
        return _CONSOLE.failed(f"could not be measured: {', '.join(benchmark.failures)}")
    if benchmark.above_tolerance:
        names = ", ".join(benchmark.above_tolerance)
        return _CONSOLE.failed(f"ours failed, or is above the tolerance {benchmark.tolerance:g}: {names}")
    return 0


def _deliver(options: argparse.Namespace, benchmark: Record) -> int:
    from winograd.benching.plot import benchmark_png
    from winograd.benching.result import Benchmark

    if isinstance(benchmark, Benchmark) and benchmark.above_tolerance:
        names = ", ".join(benchmark.above_tolerance)
        _CONSOLE.tell(f"warning: torch's own convolution is above the tolerance {benchmark.tolerance:g}: {names}")
    try:
        return _print(benchmark, options.wide)
    finally:  # what took minutes is kept even where nobody reads the table
        _write_json(options, benchmark)
        if isinstance(benchmark, Benchmark) and options.plot is not None:
            write_atomically(options.plot, benchmark_png(benchmark))


def _write_json(options: argparse.Namespace, benchmark: Record) -> None:
    if options.json is not None:
        text = json.dumps(benchmark.as_dict(), indent=2, allow_nan=False) + "\n"
        write_atomically(options.json, text.encode("ascii"))


def _print(benchmark: Record, wide: bool) -> int:
    from winograd.benching.runs import record_text

    return _CONSOLE.print(f"{record_text(benchmark, wide=wide)}\n".encode("ascii", "backslashreplace"))


if __name__ == "__main__":
    sys.exit(main())
