"""What ``python -m winograd.plan`` plans for: a card, or a machine; and what the stages of a plan take there.

In: the options ``--device``, ``--machine``, ``--stages`` and those that hold for one of both. Out: a `Card` or None, a
`Machine`; the stages of a plan as a table and ready for JSON. Refused: cards that nobody knows, options that are not
for a card, files that describe no machine.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from winograd.arguments import LineParser, integer
from winograd.conv.gpu.card import CARDS
from winograd.conv.gpu.device import card_asked_for, is_here
from winograd.conv.gpu.explained import card_stages_text, stages_of
from winograd.conv.machine import NOMINAL, Machine
from winograd.conv.planning.tables import plan_stages, stages_text
from winograd.extras import require

if TYPE_CHECKING:
    from winograd.conv.gpu.card import Card
    from winograd.conv.plan.record import Plan

_MOST_THREADS: Final = 1024

_MOST_MACHINE_BYTES: Final = 1 << 16


def add_hardware(parser: LineParser) -> None:
    """Add the options that say what a plan is for."""
    parser.add_argument(
        "--device",
        metavar="NAME",
        help=f"cpu (default), a GPU that is here: cuda, cuda:1, or one that need not be: {', '.join(CARDS)}",
    )
    parser.add_argument(
        "--threads", type=integer(1, _MOST_THREADS), metavar="N", help="default: the cores that may be used"
    )
    parser.add_argument(
        "--workspace-cap",
        type=integer(1),
        metavar="BYTES",
        help="of a call (default: 64 MiB; on a GPU a sixty-fourth of its memory)",
    )
    parser.add_argument("--filter-cap", type=integer(1), metavar="BYTES", help="of a kept filter (default: 512 MiB)")
    parser.add_argument("--stages", action="store_true", help="what each stage takes: operations, bytes, bounds")
    parser.add_argument("--machine", metavar="FILE", help="JSON of the machine that --stages is for (implies it)")


def card_of(parser: LineParser, options: argparse.Namespace) -> Card | None:
    """Return the card to plan for, or end the command where there is none or an option is for the CPU."""
    if str(options.device).lower().partition(":")[0] == "cuda":
        require("torch")
    try:
        card = card_asked_for(options.device)
    except ValueError as error:
        parser.error(f"argument --device: {error}")
    if card is None:
        return None
    for name in ("threads", "machine"):
        if getattr(options, name) is not None:
            parser.error(f"argument --{name}: is for --device cpu")
    if options.tuning == "measure" and not is_here(card):
        parser.error(f"argument --tuning: there is no {card.name} here to measure on; leave it out to go by the model")
    return card


def machine_of(options: argparse.Namespace) -> Machine:
    """Return the machine that stages are for.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or describes none.
    """
    if options.machine is None:
        return NOMINAL
    path = options.machine
    with Path(path).open("rb") as file:
        text = file.read(_MOST_MACHINE_BYTES + 1)
    if len(text) > _MOST_MACHINE_BYTES:
        raise ValueError(f"{path}: more than {_MOST_MACHINE_BYTES} bytes, which no machine takes")
    try:
        return Machine.from_json(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None


def wants_stages(options: argparse.Namespace) -> bool:
    """Return whether stages are asked for."""
    return options.stages or options.machine is not None


def staged(plan: Plan, machine: Machine) -> tuple[str, list[dict[str, Any]]]:
    """Return the stages of a plan, on its card or on the machine, as a table and ready for JSON."""
    if plan.shape.card is not None:
        parts = stages_of(plan)
        return card_stages_text(parts), [{**asdict(one), "milliseconds": one.milliseconds} for one in parts]
    stages = plan_stages(plan, machine)
    return stages_text(stages), [asdict(stage) for stage in stages]


def machine_note(options: argparse.Namespace) -> str:
    """Return for which machine the choice is and for which the stages, where these are not the same."""
    if options.machine is None:
        return ""
    return f"The plan is for the machine that plans assume, the stages are for that of {options.machine}.\n"
