"""Inference of trained networks in float32, bfloat16 and float16: what they tell right, beside their speed.

    python examples/training/infer.py [--dir DIR] [--own-float16-clips N] [--test-clips N] [--batch N] [--repeats N]

In: DIR/seed-N.pt of train.py. Out: DIR/inference.json and a table. Each network runs with torch's own convolutions, and
converted, frozen and folded, in each dtype. Torch's own float16 convolutions are slow on most processors, a hundred
times slower than float32, so that they see few clips only; the table says how many.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from learning import TEST_SEED, Settings, accuracy, confusion
from torch import Tensor, nn

import winograd
from winograd.artefact import write_atomically
from winograd.conv.timing import measured_on

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def main(words: list[str] | None = None) -> int:
    """Run every trained network in every dtype and write what it tells right and how long it takes."""
    options = _parser().parse_args(words)
    logs = sorted(options.dir.glob("seed-*.json"))
    if not logs:
        raise SystemExit(f"{options.dir} has no seed-N.json; train.py writes them")
    rows = []
    for log in logs:
        told = json.loads(log.read_text())
        settings = Settings(**told["settings"])
        for trained, weights in torch.load(log.with_suffix(".pt"), weights_only=True).items():
            model = settings.build(seed=0)
            model.load_state_dict(weights)
            for row in _measured(model, settings, options):
                rows.append({"seed": told["seed"], "trained": trained, **row})
                print(_line(rows[-1]), flush=True)
    text = json.dumps({"measured_on": measured_on(), "threads": torch.get_num_threads(), "rows": rows})
    write_atomically(options.dir / "inference.json", (text + "\n").encode("ascii"))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path("moving-shapes"), help="(default: %(default)s)")
    parser.add_argument("--test-clips", type=int, metavar="N", help="(default: those of the training)")
    parser.add_argument("--own-float16-clips", type=int, default=0, metavar="N", help="(default: none)")
    parser.add_argument("--batch", type=int, default=24, metavar="N", help="clips at once (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=0, metavar="N", help="timed batches of each; 0 times nothing")
    return parser


def prepared(model: nn.Module, dtype: torch.dtype, side: str) -> nn.Module:
    """Return a copy of a model for inference in a dtype, with torch's convolutions or converted ones."""
    copied = copy.deepcopy(model).to(dtype).eval().requires_grad_(False)
    if side == "winograd":
        winograd.convert_(copied)
        winograd.freeze(copied, fold="all")
    return copied


def _measured(model: nn.Module, settings: Settings, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each dtype and side in which the model ran."""
    rows, models = [], []
    for (name, dtype), side in itertools.product(DTYPES.items(), ("direct", "winograd")):
        slow = side == "direct" and dtype is torch.float16
        count = options.own_float16_clips if slow else options.test_clips or settings.test_clips
        if count:
            models.append(prepared(model, dtype, side))
            confused = confusion(models[-1], settings.shapes(count, TEST_SEED), dtype, options.batch)
            right = {"clips": count, "right": accuracy(confused), "confusion": confused.tolist()}
            rows.append({"runs": side, "dtype": name, **right})
    if options.repeats:
        test = settings.shapes(options.batch, TEST_SEED)
        clips = torch.stack([test[number][0] for number in range(options.batch)])
        times = [[_one_batch_ms(model, clips) for model in models] for _ in range(options.repeats)]
        for row, its in zip(rows, zip(*times, strict=True), strict=True):
            row |= {"batch": options.batch, "batch_ms": round(median(its), 1)}
    return rows


def _one_batch_ms(model: nn.Module, clips: Tensor) -> float:
    typed = clips.to(next(model.parameters()).dtype)
    begun = time.perf_counter()
    with torch.no_grad():
        model(typed)
    return (time.perf_counter() - begun) * 1e3


def _line(row: dict[str, Any]) -> str:
    speed = f"  {row['batch_ms']:8.1f} ms for {row['batch']} clips" if "batch_ms" in row else ""
    what = f"seed {row['seed']}, trained {row['trained']:8}, runs {row['runs']:8} in {row['dtype']:8}"
    return f"{what}: {row['right']:6.1%} of {row['clips']} right{speed}"


if __name__ == "__main__":
    raise SystemExit(main())
