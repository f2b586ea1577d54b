"""The whole-network mode on networks of the registry: errors of outputs on a video, times against other ways.

    python benchmarks/whole_network.py --clip FILE --json FILE [--network NAME]...
    python benchmarks/whole_network.py --clip FILE --json FILE --repeats 7      adds times
    python benchmarks/whole_network.py --json FILE --plot FILE                  draws what is known

Tolerances are chosen for outputs on the first clip of the video; errors against float64 are those of all clips. Beside
it the same network with one tolerance for all layers. The JSON is written anew after each step, and what is in it is
not computed again: the work can be cut into pieces. Only the second form times anything, and wants a quiet machine.
Exit status 1 where an output is off by more than it may.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import torch
from torch import Tensor, nn

import winograd
from winograd.artefact import checked_targets, write_atomically
from winograd.conv.measuring.timing import fastest, measured_on, median_ratio, race
from winograd.conv.tensors.layout import as_channels_last
from winograd.networks import create, initialise_he
from winograd.networks.norms import damp_residuals, initialise_norms, residual_blocks
from winograd.networks.streams import read_inputs
from winograd.nn.depth import relative_l2
from winograd.nn.modules import PlannedConvolution

PROGRAM: Final = "whole_network.py"

NETWORKS: Final = ("c3d", "r3d_18")
SEED: Final = 0
CLIPS: Final = 4

OUTPUT_TOLERANCES: Final = (1e-5, 2e-6)
UNIFORM: Final = (5e-7, 1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 1e-4)
"""Tolerances of all layers at once."""

TIMED: Final = 1e-5
"""The output tolerance that times are measured for."""

Row = dict[str, Any]


def main() -> int:
    options = _options()
    checked_targets(options.json)
    path = Path(options.json)
    figures = json.loads(path.read_text()) if path.exists() else {"rows": []}
    if options.plot is not None:
        write_atomically(options.plot, draw(figures))
        return 0
    rows = {row["network"]: row for row in figures["rows"]}
    for name in options.network or NETWORKS:
        for row in steps(name, options.clip, rows.get(name, {}), options.repeats):
            rows[name] = row
            figures = {
                "clip": options.clip,
                "clips": CLIPS,
                "seed": SEED,
                "machine": measured_on(),
                "rows": list(rows.values()),
            }
            write_atomically(options.json, (json.dumps(figures, indent=1, allow_nan=False) + "\n").encode())
    wrong = [line for row in rows.values() for line in failures(row)]
    for line in wrong:
        print(f"{PROGRAM}: {line}", file=sys.stderr)
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Output errors and times of the whole-network mode")
    parser.add_argument("--clip", metavar="FILE", help="a video")
    parser.add_argument("--json", required=True, metavar="FILE")
    parser.add_argument("--network", action="append", metavar="NAME", help="only those; may come several times")
    parser.add_argument("--repeats", type=int, default=0, metavar="N", help="rounds of timing; 0 times nothing")
    parser.add_argument("--plot", metavar="FILE", help="only draw what is in the JSON")
    options = parser.parse_args()
    if options.clip is None and options.plot is None:
        parser.error("--clip is needed to compute anything")
    return options


def steps(name: str, clip: str, known: Row, repeats: int) -> Iterator[Row]:
    """Yield the row of a network after each step that was not known."""
    model, clips = network_and_clips(name, clip)
    row = {"network": name, "input_shape": list(clips.shape[1:]), "budgets": [], "uniform": [], **known}
    missing = [each for each in OUTPUT_TOLERANCES if each not in {one["output_tolerance"] for one in row["budgets"]}]
    others = [each for each in UNIFORM if each not in {one["tolerance"] for one in row["uniform"]}]
    if missing or others or "direct_errors" not in row:
        _say(f"{name}: float64")
        exact = exact_outputs(model, clips)
        row["direct_errors"] = errors(model, clips, exact)
        yield row
    for output_tolerance in missing:
        _say(f"{name}: output tolerance {output_tolerance:g}")
        row["budgets"].append(budgeted(model, clips, exact, output_tolerance))
        yield row
    for tolerance in others:
        _say(f"{name}: tolerance {tolerance:g} of all layers")
        row["uniform"].append(uniform(model, clips, exact, tolerance))
        yield row
    if repeats:
        _say(f"{name}: times")
        row["times"] = times(model, clips[:1], row, repeats)
        yield row


def _say(line: str) -> None:
    print(f"{PROGRAM}: {line}", file=sys.stderr, flush=True)


def network_and_clips(name: str, clip: str) -> tuple[nn.Module, Tensor]:
    """Return a network as `python -m winograd.run` initialises it, norms from the first clip, and the clips."""
    network = create(name)
    clips = read_inputs(clip, network.input_shape, count=CLIPS)
    model = initialise_he(network, SEED).eval()
    if any(key.endswith("running_mean") for key, _ in model.named_buffers()):
        if residual_blocks(model):
            damp_residuals(model)
        model = initialise_norms(model, clips[:1])
    return model.requires_grad_(False), clips


@torch.no_grad()
def exact_outputs(model: nn.Module, clips: Tensor) -> Tensor:
    """Return the outputs in float64, one clip at a time: direct convolution in float64 takes much memory."""
    wide = copy.deepcopy(model).double()
    return torch.cat([wide(one.double()) for one in torch.split(clips, 1)])


@torch.no_grad()
def errors(model: nn.Module, clips: Tensor, exact: Tensor) -> list[float]:
    """Return the relative L2 error of the output of each clip."""
    return [relative_l2(model(clip[None])[0], reference) for clip, reference in zip(clips, exact, strict=True)]


def budgeted(model: nn.Module, clips: Tensor, exact: Tensor, output_tolerance: float) -> Row:
    """Return what the whole-network mode makes of a network, which is as before at the end."""
    budget = winograd.convert_(model, output_tolerance=output_tolerance, example=clips[:1]).budget
    assert budget is not None
    winograd.freeze(model)
    found = errors(model, clips, exact)
    winograd.revert_(model)
    return {**budget.as_dict(), "errors": found}


def uniform(model: nn.Module, clips: Tensor, exact: Tensor, tolerance: float) -> Row:
    """Return what one tolerance for all layers makes of a network, which is as before at the end."""
    winograd.convert_(model, tolerance=tolerance)
    winograd.freeze(model)
    found = errors(model, clips, exact)
    layers = [layer for layer in model.modules() if isinstance(layer, PlannedConvolution)]
    milliseconds = sum(plan.predicted_ms or 0.0 for layer in layers for plan in layer.plans)
    winograd.revert_(model)
    return {"tolerance": tolerance, "milliseconds": milliseconds, "errors": found}


def uniform_for(row: Row, budget: Row) -> Row | None:
    """Return the fastest of the uniform tolerances that keep the example within what the budget may take there."""
    allowed = budget["output_tolerance"] / budget["margin"]
    kept = [one for one in row["uniform"] if one["errors"][0] <= allowed]
    return min(kept, key=lambda one: one["milliseconds"], default=None)


def times(model: nn.Module, clip: Tensor, row: Row, repeats: int) -> Row:
    """Time the network directly, with the tolerances of the budget, and with one tolerance that is exact enough."""
    budget = next(one for one in row["budgets"] if one["output_tolerance"] == TIMED)
    tolerances = {layer["layer"]: layer["tolerance"] for layer in budget["layers"]}
    other = uniform_for(row, budget)
    models = {"direct": model, "budget": _frozen(model, tolerances)}
    if other is not None:
        models["uniform"] = _frozen(model, other["tolerance"])
    rivals = {name: _in_both_formats(each, clip) for name, each in models.items()}
    with torch.inference_mode():
        found = {name: variants[fastest(variants)] for name, variants in race(rivals, repeats).items()}
    return {
        "repeats": repeats,
        "uniform_tolerance": None if other is None else other["tolerance"],
        "ms": {name: median(values) for name, values in found.items()},
        "ratio_to_direct": {name: median_ratio(found["direct"], values) for name, values in found.items()},
        "threads": torch.get_num_threads(),
        "machine": measured_on(),
    }


def _frozen(model: nn.Module, tolerance: Any) -> nn.Module:
    return winograd.freeze(winograd.convert(model, tolerance=tolerance))


def _in_both_formats(model: nn.Module, clip: Tensor) -> dict[str, Callable[[], object]]:
    return {"contiguous": partial(model, clip), "channels_last": partial(model, as_channels_last(clip))}


def failures(row: Row) -> list[str]:
    """Return what is not as it must be."""
    found = []
    for budget in row["budgets"]:
        name, allowed = f"{row['network']}, output tolerance {budget['output_tolerance']:g}", budget["output_tolerance"]
        worst = max(budget["errors"])
        if worst > allowed and not budget["reason"]:
            found.append(f"{name}: error {worst:.1e} of a clip")
    return found


def draw(figures: Row) -> bytes:
    """Draw error against predicted time, one panel for each network, as a PNG."""
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = figures["rows"]
    figure = Figure(figsize=(5.5 * len(rows), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(rows), squeeze=False)[0]
    for panel, row in zip(panels, rows, strict=True):
        budgets = sorted((one for one in row["budgets"] if not one["reason"]), key=lambda one: one["milliseconds"])
        others = sorted(row["uniform"], key=lambda one: one["milliseconds"])
        for ways, label, style in ((others, "one tolerance for all layers", "s--"), (budgets, "whole network", "o-")):
            panel.plot([one["milliseconds"] for one in ways], [max(one["errors"]) for one in ways], style, label=label)
        panel.axhline(max(row["direct_errors"]), color="tab:gray", linestyle=":", label="direct convolution")
        panel.set_yscale("log")
        panel.set_xlabel("predicted time of the convolutions, ms")
        panel.set_ylabel("relative L2 error of the output, worst clip")
        panel.set_title(row["network"])
        panel.legend()
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
