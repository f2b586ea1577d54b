"""A video network learns which way a shape moves: with torch's convolutions, and beside it with Winograd's.

    python examples/training/train.py [--seeds N [N ...]] [--clips N] [--epochs N] [--batch N] [--out DIR]
    torchrun --nproc-per-node 2 examples/training/train.py [the same options]

Both sides begin with the same weights and see the same batches. For every seed, losses, accuracies, confusion and what
computed each layer go to DIR/seed-N.json, and the weights of both sides to DIR/seed-N.pt, which infer.py reads.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, fields
from pathlib import Path
from statistics import median

import torch
from learning import Learner, Settings, sides, train
from processes import RANK, WORLD, joined, say

import winograd
from winograd.artefact import write_atomically
from winograd.conv.measuring.timing import measured_on


def main(words: list[str] | None = None) -> int:
    """Train both sides for every seed and write what happened."""
    parser = _parser()
    options = vars(parser.parse_args(words))
    seeds, out = options.pop("seeds"), options.pop("out")
    try:
        settings = Settings(**options)
        settings.shapes(settings.clips, min(seeds))  # refuses what are no clips, before anything is built
    except ValueError as error:
        parser.error(str(error))
    out.mkdir(parents=True, exist_ok=True)
    with joined():
        for seed in seeds:
            say(f"seed {seed}: {settings.steps} steps of {settings.batch} clips in {WORLD} processes")
            learners, report = sides(settings, seed)
            train(learners, settings, seed)
            if RANK == 0:
                write_log(out / f"seed-{seed}.json", settings, seed, learners, report)
                torch.save({name: one.model.state_dict() for name, one in learners.items()}, out / f"seed-{seed}.pt")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N", help="(default: 0)")
    parser.add_argument("--out", type=Path, default=Path("moving-shapes"), metavar="DIR", help="(default: %(default)s)")
    helps = {
        "clips": "for training", "epochs": "how often each of them is seen", "test_clips": "for testing",
        "batch": "clips of a step, over all processes", "rate": "largest learning rate",
        "tests": "how often to test while training", "frames": "of a clip", "size": "height and width of a clip",
        "network": "a name of winograd.networks", "tolerance": "relative L2 error of a layer; None is 1e-5",
    }  # fmt: skip
    for each in fields(Settings):
        kind = float if each.name == "tolerance" else type(each.default)
        text = f"{helps[each.name]} (default: %(default)s)"
        parser.add_argument(f"--{each.name.replace('_', '-')}", type=kind, default=each.default, metavar="X", help=text)
    return parser


def write_log(
    path: Path, settings: Settings, seed: int, learners: dict[str, Learner], report: winograd.nn.ConversionReport
) -> None:
    """Write what happened to both sides as JSON."""
    part = settings.batch // WORLD
    log = {
        "seed": seed,
        "settings": asdict(settings),
        "processes": WORLD,
        "threads": torch.get_num_threads(),
        "measured_on": measured_on(),
        "layers": [
            {"layer": row.layer, "computes": row.computes, "algorithm": row.algorithm, "error": row.predicted_error}
            for row in report.rows
            if row.input[:1] == (part,)
        ],
        "sides": {
            name: {
                "losses": [round(loss, 6) for loss in learner.losses],
                "accuracies": learner.accuracies,
                "confusion": learner.confusion,
                "step_ms": round(median(learner.steps_ms), 1),
            }
            for name, learner in learners.items()
        },
    }
    write_atomically(path, (json.dumps(log) + "\n").encode("ascii"))


if __name__ == "__main__":
    raise SystemExit(main())
