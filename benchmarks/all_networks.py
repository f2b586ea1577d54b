"""Every network of the registry on a clip, directly and converted: errors against float64, and what becomes of outputs.

    python benchmarks/all_networks.py --clip FILE --json FILE [--network PATTERN]...

The JSON is written anew after each network; a network that is measured again takes its former place, so that the work
can be cut into pieces. Nothing is timed: python -m winograd.bench does that. Exit status 1 where the outputs of a
network are off by more than 1e-4 (relative L2), those of two clips are less than 10 % apart, or the five largest differ
from those in float64 or are not told apart for certain.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from pathlib import Path
from typing import Any, Final

from winograd.artefact import checked_targets, write_atomically
from winograd.networks import list_networks
from winograd.running.execute import run_network
from winograd.running.result import NetworkRun
from winograd.running.settings import RunSettings

PROGRAM: Final = "all_networks.py"

MOST_ERROR: Final = 1e-4
LEAST_DISTANCE: Final = 0.1

REDUCED: Final[dict[str, dict[str, int]]] = {}
"""Frames and sizes of networks whose own ones would take too much memory or time."""


def main() -> int:
    options = _options()
    checked_targets(options.json)
    path = Path(options.json)
    figures = json.loads(path.read_text()) if path.exists() else {"rows": []}
    names = [name for pattern in options.network or ["*"] for name in list_networks(pattern)]
    wrong = []
    for name in dict.fromkeys(names):
        print(f"{PROGRAM}: {name}", file=sys.stderr, flush=True)
        run = run_network(RunSettings(name, options.clip, repeats=0, **REDUCED.get(name, {})))
        row = figures_of(run)
        rows = {one["network"]: one for one in [*figures["rows"], row]}
        figures = {
            **{key: run.as_dict()[key] for key in ("clips", "seed", "dtype", "tolerance", "threads", "machine")},
            "rows": [rows[known] for known in list_networks() if known in rows],
        }
        write_atomically(options.json, (json.dumps(figures, indent=1, allow_nan=False) + "\n").encode())
        wrong += [f"{name}: {line}" for line in failures(row)]
        del run
        gc.collect()
    for line in wrong:
        print(f"{PROGRAM}: {line}", file=sys.stderr)
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Every network on a clip: errors of the whole network")
    parser.add_argument("--clip", required=True, metavar="FILE")
    parser.add_argument("--json", required=True, metavar="FILE")
    parser.add_argument("--network", action="append", metavar="PATTERN", help="only those; may come several times")
    return parser.parse_args()


def figures_of(run: NetworkRun) -> dict[str, Any]:
    """Return what is kept of a run: the worst of its layers and of its clips."""
    layers, outputs = run.comparison.layers, run.comparison.outputs
    ours = [layer for layer in layers if layer.predicted_error is not None]
    return {
        "network": run.settings.network,
        "input_shape": list(run.input_shape),
        "own_shape": list(run.own_shape),
        "weights": run.weights,
        "date": run.machine["date"],
        "layers": len(layers),
        "by_winograd": len(ours),
        "predicted_error": max((layer.predicted_error or 0.0 for layer in ours), default=None),
        "measured_error": max((layer.measured_error for layer in ours), default=None),
        "above_tolerance": run.excess,
        "error": run.comparison.error,
        "direct_error": max(output.direct_error for output in outputs),
        "clip_distance": run.comparison.clip_distance,
        "agreement": [output.agreement for output in outputs],
        "margin": min((output.margin for output in outputs if output.margin is not None), default=None),
        "so_far": [[layer.layer, layer.error_so_far, layer.direct_error_so_far] for layer in layers],
    }


def failures(row: dict[str, Any]) -> list[str]:
    """Return what is not as it must be."""
    found = []
    if row["above_tolerance"] is not None:
        found.append(row["above_tolerance"])
    if not row["error"] <= MOST_ERROR:
        found.append(f"relative L2 error of the outputs {row['error']:.1e}, must be at most {MOST_ERROR:g}")
    if not row["clip_distance"] > LEAST_DISTANCE:
        found.append(
            f"outputs of the clips are {row['clip_distance']:.1%} apart, must be more than {LEAST_DISTANCE:.0%}"
        )
    if "none" in row["agreement"]:
        found.append("the five largest outputs are not those of float64")
    if row["margin"] is not None and row["margin"] <= 1:
        found.append(f"the sixth output is {row['margin']:.2f} times the largest change away, must be more than 1")
    return found


if __name__ == "__main__":
    sys.exit(main())
