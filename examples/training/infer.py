"""Inference of trained networks in float32, bfloat16 and float16: what they tell right.

    python examples/training/infer.py [--dir DIR] [--seeds N [N ...]] [--test-clips N] [--own-float16-clips N]

In: DIR/seed-N.json and .pt of train.py. Out: DIR/inference.json, in which rows of other seeds stay, and a line for each
network and dtype. Each network runs with torch's own convolutions, and converted, frozen and folded. Torch's own
float16 convolutions are so slow on most processors that they see only as many clips as are asked for. The times of all
of them are in what speed.py prints.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from learning import TEST_SEED, Settings, accuracy, confusion
from torch import nn

import winograd
from winograd.artefact import write_atomically
from winograd.conv.measuring.timing import measured_on

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def main(words: list[str] | None = None) -> int:
    """Run every trained network in every dtype and write what it tells right."""
    options = _parser().parse_args(words)
    found = {int(path.stem.removeprefix("seed-")): path for path in options.dir.glob("seed-*.json")}
    seeds = sorted(found) if options.seeds is None else options.seeds
    missing = [seed for seed in seeds if seed not in found]
    if missing or not seeds:
        raise SystemExit(f"{options.dir} has no seed-{missing[0] if missing else 'N'}.json; train.py writes them")
    for seed in seeds:
        _add(options.dir / "inference.json", seed, list(_seed_rows(found[seed], seed, options)))
    return 0


def _add(path: Path, seed: int, rows: list[dict[str, Any]]) -> None:
    """Put rows of a seed into a file, in the place of its former ones."""
    former = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = sorted([*(row for row in former if row["seed"] != seed), *rows], key=lambda row: row["seed"])
    write_atomically(path, (json.dumps({"measured_on": measured_on(), "rows": rows}) + "\n").encode("ascii"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path("moving-shapes"), help="(default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="N", help="(default: all that are there)")
    parser.add_argument("--test-clips", type=int, metavar="N", help="(default: those of the training)")
    parser.add_argument("--own-float16-clips", type=int, default=0, metavar="N", help="(default: none)")
    return parser


def prepared(model: nn.Module, dtype: torch.dtype, side: str) -> nn.Module:
    """Return a copy of a model for inference in a dtype, with torch's convolutions or converted ones."""
    copied = copy.deepcopy(model).to(dtype).eval().requires_grad_(False)
    if side == "winograd":
        winograd.convert_(copied)
        winograd.freeze(copied, fold="all")
    return copied


def _seed_rows(log: Path, seed: int, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the rows of both networks of a seed, and print them."""
    settings = Settings(**json.loads(log.read_text())["settings"])
    for trained, weights in torch.load(log.with_suffix(".pt"), weights_only=True).items():
        model = settings.build(seed=0)
        model.load_state_dict(weights)
        for row in _measured(model, settings, options):
            print(_line({"seed": seed, "trained": trained, **row}), flush=True)
            yield {"seed": seed, "trained": trained, **row}


def _measured(model: nn.Module, settings: Settings, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row for each dtype and side in which the model runs."""
    for (name, dtype), side in itertools.product(DTYPES.items(), ("direct", "winograd")):
        slow = side == "direct" and dtype is torch.float16
        count = options.own_float16_clips if slow else options.test_clips or settings.test_clips
        if count:
            confused = confusion(prepared(model, dtype, side), settings.shapes(count, TEST_SEED), dtype)
            right = {"clips": count, "right": accuracy(confused), "confusion": confused.tolist()}
            yield {"runs": side, "dtype": name, **right}


def _line(row: dict[str, Any]) -> str:
    what = f"seed {row['seed']}, trained {row['trained']:8}, runs {row['runs']:8} in {row['dtype']:8}"
    return f"{what}: {row['right']:6.1%} of {row['clips']} right"


if __name__ == "__main__":
    raise SystemExit(main())
