"""``python -m winograd.plan``: what would be done for a convolution, or for all of a network, and why.

In: sizes and arguments of a convolution, or the name of a network; a tolerance. Out: the explanation of the plan on
stdout, or a line for each layer; all of it as JSON, atomically to a file; everything else on stderr.
Exit: 0; 1 where a file, memory or a missing extra says no; 2 for a wrong command, sizes that make no convolution among
them. Needs torch only for ``--network``, ``--tuning measure`` and ``--device cuda``; cards have names, and need not be
there.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from winograd.arguments import LineParser, argument, integer, parse_words, positive, refuse_unknown_network
from winograd.artefact import checked_targets, write_atomically
from winograd.console import Console
from winograd.conv.choosing.prediction import DEFAULT_TOLERANCE
from winograd.conv.choosing.selection import Filters
from winograd.conv.plan_conv import DTYPES, plan_conv
from winograd.conv.planning.tables import LayerPlan, layers_text
from winograd.extras import require
from winograd.hardware import add_hardware, card_of, machine_note, machine_of, staged, wants_stages

if TYPE_CHECKING:
    from winograd.conv.geometry.shape import ConvShape
    from winograd.conv.gpu.card import Card
    from winograd.conv.machine import Machine
    from winograd.conv.plan.record import Plan
    from winograd.networks.convolutions import NetworkConvolution

_CONSOLE: Final = Console("python -m winograd.plan")

_EPILOG: Final = f"""\
Sizes are (N, C, sizes...) and (K, C / groups, taps...), of one to three axes. Examples:
  {_CONSOLE.program} --input 1,64,16,56,56 --weight 128,64,3,3,3 --padding 1 --tolerance 2e-6
  {_CONSOLE.program} --input 1,3,64,224,224 --weight 64,3,7,7,7 --stride 2 --padding 3 --stages
  {_CONSOLE.program} --network c3d --layer 'conv3*' --tuning measure --json c3d.json
  {_CONSOLE.program} --input 32,64,16,56,56 --weight 128,64,3,3,3 --padding 1 --device h200 --stages
"""

_SIZES: Final = re.compile(r"[0-9]{1,18}(,[0-9]{1,18}){0,4}", re.ASCII)

_CONVOLUTION: Final = ("weight", "stride", "padding", "dilation", "groups", "dtype")
"""Options that say what the convolution is, and that a network says itself."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; no exception leaves it."""
    words = sys.argv[1:] if argv is None else argv
    parser = _parser()
    return _CONSOLE.status_of(lambda: _run(parser, parse_words(parser, words)))


def _parser() -> LineParser:
    parser = LineParser(
        prog=_CONSOLE.program,
        description="Say which algorithm a convolution takes, what it costs, and why no other one.",
        epilog=_EPILOG,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--input", type=argument(_parse_sizes), metavar="SIZES", help="of the input: 1,64,16,56,56")
    what.add_argument("--network", metavar="NAME", help="all convolutions of a network instead, one line each")
    _add_convolution(parser)
    parser.add_argument("--batch", type=integer(1), metavar="N", help="clips, with --network (default: 1)")
    parser.add_argument(
        "--layer",
        metavar="PATTERN",
        action="append",
        help="with --network: layers whose names match, such as 'conv3*'; may come several times",
    )
    parser.add_argument(
        "--tolerance",
        type=positive,
        metavar="T",
        help=f"relative L2 error allowed, as predicted (default: {DEFAULT_TOLERANCE:g}, less for float64)",
    )
    parser.add_argument(
        "--tuning",
        choices=("model", "measure"),
        default="model",
        help="compare candidates by the cost model (default), or run and time them here",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="with --tuning measure: forget what was measured for this, and measure anew",
    )
    parser.add_argument("--live", action="store_true", help="the weight may change: transform it in every call")
    add_hardware(parser)
    parser.add_argument("--json", metavar="FILE", help="all of it as JSON")
    return parser


def _add_convolution(parser: LineParser) -> None:
    sizes = argument(_parse_sizes)
    parser.add_argument("--weight", type=sizes, metavar="SIZES", help="of the weight: 128,64,3,3,3")
    parser.add_argument("--stride", type=sizes, metavar="N", help="one value or one per axis (default: 1)")
    parser.add_argument(
        "--padding", type=argument(_parse_padding), metavar="N", help="the same, or same, or valid (default: 0)"
    )
    parser.add_argument("--dilation", type=sizes, metavar="N", help="one value or one per axis (default: 1)")
    parser.add_argument("--groups", type=integer(1), metavar="N", help="default: 1")
    parser.add_argument("--dtype", choices=DTYPES, metavar="NAME", help="default: float32")


def _parse_sizes(text: str) -> tuple[int, ...]:
    if not _SIZES.fullmatch(text):
        raise ValueError(f"{text[:40]!a} must be 1 to 5 integers of at least 0 such as 1,64,16,56,56")
    return tuple(map(int, text.split(",")))


def _parse_padding(text: str) -> tuple[int, ...] | str:
    if text in {"same", "valid"}:
        return text
    try:
        return _parse_sizes(text)
    except ValueError as error:
        raise ValueError(f"{error}, or same, or valid") from None


def _run(parser: LineParser, options: argparse.Namespace) -> int:
    checked_targets(options.json)
    if options.again and options.tuning != "measure":
        parser.error("argument --again: is for --tuning measure only")
    if options.network is not None:
        refuse_unknown_network(parser, "--network", options.network)
    if options.tuning == "measure" or options.network is not None:
        require("torch")
    card, machine = card_of(parser, options), machine_of(options)
    if options.network is None:
        return _explain(parser, options, machine, card)
    return _list(parser, options, machine, card)


def _terms(options: argparse.Namespace) -> dict[str, Any]:
    names = ("tolerance", "tuning", "threads", "workspace_cap", "filter_cap")
    return {**{name: getattr(options, name) for name in names}, "frozen": not options.live}


def _explain(parser: LineParser, options: argparse.Namespace, machine: Machine, card: Card | None) -> int:
    if options.batch is not None:
        parser.error("argument --batch: is for --network only; --input says the batch")
    if options.layer is not None:
        parser.error("argument --layer: is for --network only")
    if options.weight is None:
        parser.error("argument --weight: is needed with --input")
    given = {name: getattr(options, name) for name in _CONVOLUTION if getattr(options, name) is not None}
    try:
        # Refused before anything is compiled or measured: what makes no convolution is a wrong command.
        shape = plan_conv(options.input, **given, algorithm="direct", device=card).shape
    except (TypeError, ValueError) as error:
        parser.error(str(error))
    if options.tuning == "measure":
        _prepare_measuring(options, [shape])
    plan = plan_conv(options.input, **given, **_terms(options), device=card)
    explanation = plan.explain()
    text, figures = explanation.text(), explanation.as_dict()
    if wants_stages(options):
        table, entries = staged(plan, machine)
        text += f"\n\n{machine_note(options)}{table}"
        figures |= {"stages": entries} | ({"machine": asdict(machine)} if card is None else {})
    return _deliver(options, text, figures)


def _prepare_measuring(options: argparse.Namespace, shapes: Sequence[ConvShape]) -> None:
    """Warn where the machine is busy, and forget what was measured where that is to be done again."""
    from winograd.conv.tuning import forget

    _CONSOLE.warn_of_load()
    if options.again:
        for shape in shapes:
            forget(shape, **_plan_terms(_terms(options)))


def _list(parser: LineParser, options: argparse.Namespace, machine: Machine, card: Card | None) -> int:
    for name in _CONVOLUTION:
        if getattr(options, name) is not None:
            parser.error(f"argument --{name}: is for --input only; a network says it itself")
    found = [replace(one, shape=replace(one.shape, card=card)) for one in _convolutions(parser, options)]
    if options.tuning == "measure":
        _prepare_measuring(options, [layer.shape for layer in found])
    # Planned one after the other: measuring two at once would disturb both.
    layers = [LayerPlan(layer.name, plan) for layer, plan in _planned(options, found)]
    text = layers_text(f"{options.network}, batch {options.batch or 1}", layers)
    figures: dict[str, Any] = {"network": options.network, "layers": [layer.as_dict() for layer in layers]}
    if wants_stages(options):
        text += f"\n\n{machine_note(options)}".rstrip()
        for layer, entry in zip(layers, figures["layers"], strict=True):
            table, entry["stages"] = staged(layer.plan, machine)
            text += f"\n\n{layer.name}: {layer.plan.label}\n{table}"
        figures |= {"machine": asdict(machine)} if card is None else {}
    return _deliver(options, text, figures)


def _convolutions(parser: LineParser, options: argparse.Namespace) -> list[NetworkConvolution]:
    from winograd.networks.convolutions import convolutions

    try:
        found = convolutions(options.network, options.batch or 1)
    except ValueError as error:
        parser.error(f"argument --batch: {error}")
    wanted: list[str] = options.layer or ["*"]
    for pattern in wanted:
        if not any(fnmatchcase(one.name, pattern) for one in found):
            names = ", ".join(dict.fromkeys(one.name for one in found))
            parser.error(f"argument --layer: no layer matches {pattern[:40]!a}, the names are {names}")
    return [one for one in found if any(fnmatchcase(one.name, pattern) for pattern in wanted)]


def _planned(
    options: argparse.Namespace, layers: Sequence[NetworkConvolution]
) -> Iterator[tuple[NetworkConvolution, Plan]]:
    terms = _terms(options)
    make = _measure(terms) if options.tuning == "measure" else _model(terms)
    for number, layer in enumerate(layers, start=1):
        if options.tuning == "measure":
            _CONSOLE.tell(f"{layer.name} ({number} of {len(layers)})")
        yield layer, make(layer)


def _model(terms: dict[str, Any]) -> Callable[[NetworkConvolution], Plan]:
    from winograd.conv.planning.make import make_plan

    given = _plan_terms(terms)
    return lambda layer: make_plan(layer.shape, **given)


def _measure(terms: dict[str, Any]) -> Callable[[NetworkConvolution], Plan]:
    from winograd.conv.tuning import tuned_plan

    given = _plan_terms(terms)
    return lambda layer: tuned_plan(layer.shape, **given)


def _plan_terms(terms: dict[str, Any]) -> dict[str, Any]:
    from winograd.conv.plan_conv import usable_threads

    filters = Filters.FROZEN if terms["frozen"] else Filters.LIVE
    threads = usable_threads() if terms["threads"] is None else terms["threads"]
    caps = {name: terms[name] for name in ("tolerance", "workspace_cap", "filter_cap")}
    return {**caps, "filters": filters, "threads": threads}


def _deliver(options: argparse.Namespace, text: str, figures: dict[str, Any]) -> int:
    try:
        return _CONSOLE.print(f"{text}\n".encode("ascii", "backslashreplace"))
    finally:  # what took minutes is kept even where nobody reads the text
        if options.json is not None:
            written = json.dumps(figures, indent=2, allow_nan=False) + "\n"
            write_atomically(options.json, written.encode("ascii"))


if __name__ == "__main__":
    sys.exit(main())
