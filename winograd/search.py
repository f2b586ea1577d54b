"""``python -m winograd.search``: the algorithm with the least error, as a table to stdout, or to files.

In: sizes, what is measured and minimised, a budget. Out: the table alone on stdout or in a file, and JSON in another;
everything else on stderr. Ctrl-C prints what was found until then.
Exit: 0; 1 where nothing was found, the search was interrupted, or a file says no; 2 for a wrong command.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from winograd.accuracy.formats import ALLOWED
from winograd.accuracy.orders import Order
from winograd.accuracy.search import MAX_HEIGHT, search_points
from winograd.accuracy.searching.json_report import as_json
from winograd.accuracy.searching.objective import Cost, Norm, Objective
from winograd.accuracy.searching.result import SearchResult
from winograd.accuracy.searching.workers import MOST_WORKERS
from winograd.accuracy.showing.table import text_table
from winograd.arguments import LineParser, cores, integer, parse_words
from winograd.artefact import checked_targets, write_atomically
from winograd.console import Console
from winograd.extras import require

_CONSOLE: Final = Console("python -m winograd.search")
_COST: Final = "cost"
_WORKERS_PER_CORE: Final = 4
"""On this machine, where each is a process that loads everything; a cluster has more."""

_BUDGET: Final = 100_000
_DEFAULTS: Final = {"standard": (Order.HUFFMAN, Norm.MEAN_ABS), "layer": (Order.LOWERED, Norm.RELATIVE_L2)}
"""Order and norm of the two protocols."""
_FOR_CATALOGUE: Final = frozenset({"catalogue", "budget", "seed", "storage", "workers", "backend", "scheduler"})

_EPILOG: Final = f"""\
The budget counts evaluations of kappa, from which the best are predicted, and of these the best are measured. With
--storage a search that was stopped, however hard, goes on where it was. Examples:
  {_CONSOLE.program} --m 4 --r 3 --ndim 2
  {_CONSOLE.program} --m 6 --r 3 --ndim 3 --products 9 --experiment layer --storage trials.db --workers 2
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; no exception leaves it."""
    words = sys.argv[1:] if argv is None else argv
    return _CONSOLE.status_of(lambda: _run(_read(_parser(), words)))


def _read(parser: LineParser, words: Sequence[str]) -> argparse.Namespace:
    options = parse_words(parser, words)
    if options.catalogue is None and None in (options.m, options.r):
        parser.error("the following arguments are required: --m, --r, or --catalogue")
    if options.catalogue is not None:
        _refuse_others(parser, options)
    order, norm = _DEFAULTS[options.experiment]
    options.order, options.norm = options.order or order.value, options.norm or norm.value
    if options.weight is not None and options.objective != _COST:
        parser.error(f"argument --weight: is for --objective {_COST} alone")
    if options.scheduler is not None and options.backend != "dask":
        parser.error("argument --scheduler: is for --backend dask alone")
    most = _WORKERS_PER_CORE * cores()
    if options.scheduler is None and options.workers > most:
        parser.error(f"argument --workers: {options.workers} is too many here, at most {most} are allowed")
    return options


def _refuse_others(parser: LineParser, options: argparse.Namespace) -> None:
    """Exit with the line that names an option which says nothing about a catalogue."""
    for name, value in vars(options).items():
        if name not in _FOR_CATALOGUE and value != parser.get_default(name):
            flag = f"-{name[0]}" if name == "output" else f"--{name.replace('_', '-')}"
            parser.error(f"argument {flag}: is not for --catalogue, which searches every size in its own way")


def _parser() -> LineParser:
    parser = LineParser(
        prog=_CONSOLE.program,
        description="Search the algorithm F(m, r) with the least error, the same on every axis.",
        epilog=_EPILOG,
    )
    parser.add_argument("--m", type=integer(1), help="outputs of a tile on each axis")
    parser.add_argument("--r", type=integer(1), help="taps of the filter on each axis")
    parser.add_argument("--ndim", type=int, choices=(1, 2, 3), default=1, help="axes (default: 1)")
    parser.add_argument("--products", type=integer(1), help="multiplications per axis (default: the least, m + r - 1)")
    parser.add_argument("--max-height", type=integer(1), default=MAX_HEIGHT, help="largest numerator or denominator")
    _add_conditions(parser)
    _add_work(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="write the table to FILE atomically instead of stdout")
    parser.add_argument(
        "--catalogue", metavar="FILE", help="search all sizes of the catalogue instead, and write it to FILE"
    )
    parser.add_argument("--json", metavar="FILE", help="write the result to FILE atomically, too")
    return parser


def _add_conditions(parser: LineParser) -> None:
    names = [one.value for one in Objective]
    parser.add_argument(
        "--dtype", choices=ALLOWED, default="float32", help="in which errors are measured (default: float32)"
    )
    parser.add_argument("--experiment", choices=sorted(_DEFAULTS), default="standard", help="(default: standard)")
    parser.add_argument("--order", choices=[one.value for one in Order], help="(default: huffman; lowered for layer)")
    parser.add_argument(
        "--norm", choices=[one.value for one in Norm], help="of the error (default: mean_abs; relative_l2 for layer)"
    )
    parser.add_argument("--objective", choices=[*names, _COST], default="measurement", help="(default: measurement)")
    parser.add_argument("--weight", type=integer(0), help="of operations against the error's 1, for --objective cost")


def _add_work(parser: LineParser) -> None:
    parser.add_argument("--budget", type=integer(0), help="evaluations of kappa (default: 100000)")
    parser.add_argument("--seed", type=integer(0), default=0, help="of the search and the measurements (default: 0)")
    parser.add_argument("--storage", metavar="FILE", help="SQLite file to resume from and to keep results in")
    parser.add_argument("--workers", type=integer(1, MOST_WORKERS), default=1, help="processes (default: 1)")
    parser.add_argument("--backend", choices=("loky", "threading", "dask"), help="of joblib")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a dask cluster (default: a local one of so many workers)"
    )


def _run(options: argparse.Namespace) -> int:
    checked_targets(options.output, options.json, options.catalogue)
    with _cluster(options):
        if options.catalogue is not None:
            return _build_catalogue(options)
        result = search_points(
            options.m,
            options.r,
            options.ndim,
            options.dtype,
            _BUDGET if options.budget is None else options.budget,
            options.storage,
            options.seed,
            products=options.products,
            experiment=options.experiment,
            order=options.order,
            objective=Cost(1.0, 1 if options.weight is None else options.weight)
            if options.objective == _COST
            else options.objective,
            norm=options.norm,
            max_height=options.max_height,
            workers=options.workers,
            backend=options.backend,
            progress=True,
        )
    return _deliver(options, result)


def _deliver(options: argparse.Namespace, result: SearchResult) -> int:
    header, *rows = result.table
    table = f"{text_table(header, rows)}\n".encode("ascii")
    if options.output is not None:
        write_atomically(options.output, table)
    elif status := _CONSOLE.print(table):
        return status
    if options.json is not None:
        write_atomically(options.json, as_json(result).encode("ascii"))
    _CONSOLE.tell(repr(result))
    if result.failed:
        _CONSOLE.tell(f"candidates left out: {result.failed}, {'; '.join(result.reasons)}")
    if result.interrupted:
        return _CONSOLE.failed("interrupted, this is what was found until then")
    if result.best is None and result.task.budget > 0:
        return _CONSOLE.failed("nothing was found")
    return 0


def _build_catalogue(options: argparse.Namespace) -> int:
    from winograd.accuracy.catalogue import catalogue_text
    from winograd.accuracy.cataloguing import build as catalogue_build

    built = catalogue_build.build_catalogue(
        budget=catalogue_build.DEFAULT_BUDGET if options.budget is None else options.budget,
        seed=options.seed,
        workers=options.workers,
        backend=options.backend,
        storage=options.storage,
        progress=True,
    )
    write_atomically(options.catalogue, catalogue_text(built.rows, built.header).encode("ascii"))
    _CONSOLE.tell(repr(built))
    return 0


@contextmanager
def _cluster(options: argparse.Namespace) -> Iterator[None]:
    """Connect to a dask cluster, or start a local one, for the time of a search."""
    if options.backend != "dask":
        yield
        return
    with _client(options):
        yield


def _client(options: argparse.Namespace) -> Any:
    require("distributed")
    from distributed import Client

    local = {"n_workers": options.workers, "threads_per_worker": 1, "dashboard_address": None}
    connect: Any = Client  # which has no types
    return connect(**(local if options.scheduler is None else {"address": options.scheduler}))


if __name__ == "__main__":
    sys.exit(main())
