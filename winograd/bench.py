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
from difflib import get_close_matches
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, TypeVar

from winograd.accuracy.showing.plots.canvas import require_matplotlib
from winograd.arguments import LineParser, cores, integer, parse_words, png, positive
from winograd.artefact import checked_targets, write_atomically
from winograd.benching.layers import Part
from winograd.benching.random_layers import RANDOM_LAYERS
from winograd.benching.suites import RANDOM, SUITES, make_suite
from winograd.console import Console
from winograd.conv.choosing.prediction import DEFAULT_TOLERANCE, default_tolerance

if TYPE_CHECKING:
    import torch

    from winograd.benching.cuda.result import CudaBenchmark
    from winograd.benching.layers import Suite
    from winograd.benching.networks.result import NetworksBenchmark, NetworkTimes
    from winograd.benching.result import Benchmark, LayerMeasurement
    from winograd.conv.gpu.card import Card

    _Shown = Benchmark | NetworksBenchmark | CudaBenchmark

_Measured = TypeVar("_Measured")

_CONSOLE: Final = Console("python -m winograd.bench")

_DTYPES: Final = ("float32", "float64", "float16", "bfloat16")

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
        type=integer(1),
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

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    _CONSOLE.warn_of_load()
    if suite is None:
        return _measured(options, _networks(options), lambda found: _networks_benchmark(options, found))
    if options.device == "cuda":
        return _measured_on_card(options, suite)
    return _measured(options, _layers(options, suite), lambda found: _benchmark(options, found))


def _require_extras(options: argparse.Namespace) -> None:
    if find_spec("torch") is None:
        raise ModuleNotFoundError("torch is not installed: pip install 'winograd[torch]'", name="torch")
    if options.plot is not None:
        require_matplotlib()


_OF_LAYERS: Final = {
    "only": None, "layer": None, "number": None, "live": False, "wide": False, "plot": None, "dtype": _DTYPES[0],
    "device": "cpu", "tuning": None,
}  # fmt: skip
"""Options that ask for something of layers, and what they are where nothing was asked for."""


def _check_networks(parser: LineParser, options: argparse.Namespace) -> None:
    """End the command where a network is unknown, or an option is for layers."""
    from winograd.networks import list_networks

    known = list_networks()
    for name in options.network:
        if name not in known:
            nearest = get_close_matches(name, known, n=3, cutoff=0.4)
            near = f"nearest: {', '.join(nearest)}" if nearest else f"known: {', '.join(known)}"
            parser.error(f"argument --network: {name[:40]!a} is unknown; {near}")
    for option, unset in _OF_LAYERS.items():
        if getattr(options, option) != unset:
            parser.error(f"argument --{option}: is for --suite; --network measures whole networks in float32")


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


def _tolerance(options: argparse.Namespace) -> float:
    allowed: float | None = options.tolerance
    return default_tolerance(options.dtype) if allowed is None else allowed


def _measured(
    options: argparse.Namespace, measurements: Iterator[_Measured], benchmark: Callable[[Sequence[_Measured]], _Shown]
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


def _layers(options: argparse.Namespace, suite: Suite) -> Iterator[LayerMeasurement]:
    from winograd.benching.measurement import measure_layer
    from winograd.conv.choosing.selection import Filters

    for number, layer in enumerate(suite.layers, start=1):
        yield measure_layer(
            layer,
            tolerance=_tolerance(options),
            repeats=options.repeats,
            seed=options.seed,
            filters=Filters.LIVE if options.live else Filters.FROZEN,
            progress=_teller(layer.name, number, len(suite.layers)),
        )


def _current_card() -> tuple[torch.device, Card]:
    """Return the current GPU, as torch and as the cost model know it."""
    import torch

    from winograd.conv.gpu.device import card_asked_for

    number = torch.cuda.current_device()
    card = card_asked_for(f"cuda:{number}")
    assert card is not None
    return torch.device("cuda", number), card


def _measured_on_card(options: argparse.Namespace, suite: Suite) -> int:
    """Measure layer by layer; the file has after each what is known until then."""
    from winograd.benching.cuda.clock import clock_of
    from winograd.benching.cuda.suite import measure_suite

    device, card = _current_card()
    growing = measure_suite(
        suite,
        card=card,
        device=device,
        clock=clock_of(device),
        batch=options.batch,
        dtype=options.dtype,
        tolerance=_tolerance(options),
        rounds=options.repeats,
        seed=options.seed,
        tuning=options.tuning or "measure",
        compiled=not options.without_compiled,
        progress=lambda name, number, step: _teller(name, number, len(suite.layers))(step),
    )
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


def _networks(options: argparse.Namespace) -> Iterator[NetworkTimes]:
    from winograd.benching.networks.measurement import measure_whole

    for number, name in enumerate(options.network, start=1):
        yield measure_whole(
            name,
            tolerance=_tolerance(options),
            repeats=options.repeats,
            seed=options.seed,
            batch=options.batch,
            compiled=not options.without_compiled,
            progress=_teller(name, number, len(options.network)),
        )


def _teller(name: str, number: int, of: int) -> Callable[[str], None]:
    return lambda step: _CONSOLE.tell(f"{name} ({number} of {of}): {step}")


def _benchmark(options: argparse.Namespace, layers: Sequence[LayerMeasurement]) -> Benchmark:
    import torch

    from winograd.benching.result import Benchmark
    from winograd.benching.surroundings import speed_variables
    from winograd.conv.measuring.timing import measured_on

    return Benchmark(
        suite=options.suite,
        layers=tuple(layers),
        batch=options.batch,
        repeats=options.repeats,
        seed=options.seed,
        threads=torch.get_num_threads(),
        tolerance=_tolerance(options),
        dtype=options.dtype,
        filters="live" if options.live else "frozen",
        machine=measured_on(),
        environment=speed_variables(),
    )


def _networks_benchmark(options: argparse.Namespace, networks: Sequence[NetworkTimes]) -> NetworksBenchmark:
    import torch

    from winograd.benching.networks.result import NetworksBenchmark
    from winograd.benching.surroundings import speed_variables
    from winograd.conv.measuring.timing import measured_on

    return NetworksBenchmark(
        networks=tuple(networks),
        repeats=options.repeats,
        seed=options.seed,
        threads=torch.get_num_threads(),
        tolerance=_tolerance(options),
        machine=measured_on(),
        environment=speed_variables(),
    )


def _deliver(options: argparse.Namespace, benchmark: _Shown) -> int:
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


def _write_json(options: argparse.Namespace, benchmark: _Shown) -> None:
    if options.json is not None:
        text = json.dumps(benchmark.as_dict(), indent=2, allow_nan=False) + "\n"
        write_atomically(options.json, text.encode("ascii"))


def _print(benchmark: _Shown, wide: bool) -> int:
    from winograd.benching.cuda.result import CudaBenchmark
    from winograd.benching.cuda.showing import cuda_text
    from winograd.benching.networks.showing import networks_text
    from winograd.benching.result import Benchmark
    from winograd.benching.showing import benchmark_text

    if isinstance(benchmark, CudaBenchmark):
        text = cuda_text(benchmark, wide=wide)
    else:
        text = benchmark_text(benchmark, wide=wide) if isinstance(benchmark, Benchmark) else networks_text(benchmark)
    return _CONSOLE.print(f"{text}\n".encode("ascii", "backslashreplace"))


if __name__ == "__main__":
    sys.exit(main())
