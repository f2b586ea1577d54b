"""The time of a training step, and of inference in each dtype: torch's own convolutions and converted ones, in turn.

    python examples/training/speed.py [--dir DIR] [--batch N] [--repeats N] [--threads N] [--own-float16]

Out: DIR/speed.json and a line for each. Sides run in turn, and medians are printed, so that what else the machine does
meanwhile changes little; let it rest all the same. Torch's own float16 convolutions may take minutes on a processor:
they are timed if asked for, once, on a sixteenth of the batch.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path
from statistics import median

import torch
from infer import DTYPES, prepared
from learning import TEST_SEED, Learner, Settings, batches, sides
from torch import Tensor, nn

from winograd.artefact import write_atomically
from winograd.conv.measuring.timing import measured_on


def main(words: list[str] | None = None) -> int:
    """Time steps and write their medians."""
    options = _parser().parse_args(words)
    torch.set_num_threads(options.threads)
    settings = Settings(clips=options.batch * (options.repeats + 1), batch=options.batch)
    steps = medians_ms(settings)
    inference = inference_ms(settings, options.repeats, own_float16=options.own_float16)
    for what, times in {"training step": steps, "inference": inference}.items():
        for name, milliseconds in times.items():
            print(f"{what:13}  {name:22} {milliseconds / options.batch:8.2f} ms a clip")
    log = {"batch": options.batch, "threads": options.threads, "repeats": options.repeats}
    log |= {"step_ms": steps, "inference_ms": inference, "measured_on": measured_on()}
    options.dir.mkdir(parents=True, exist_ok=True)
    write_atomically(options.dir / "speed.json", (json.dumps(log) + "\n").encode("ascii"))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path("moving-shapes"), help="(default: %(default)s)")
    parser.add_argument("--batch", type=int, default=Settings.batch, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=9, metavar="N", help="timed steps (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), metavar="N")
    parser.add_argument("--own-float16", action="store_true", help="time torch's own float16 convolutions, too")
    return parser


def medians_ms(settings: Settings) -> dict[str, float]:
    """Return the median time of a step of each side, the first step left out, which makes plans."""
    learners, _ = sides(settings, seed=0)
    last = Learner(settings.build(0).to(memory_format=torch.channels_last_3d), settings)
    named = {"direct": learners["direct"], "direct, channels last": last, "winograd": learners["winograd"]}
    for clips, labels in batches(settings, seed=0):
        for name, learner in named.items():
            learner.learn(in_format(clips, name), labels)
    return {name: round(median(learner.steps_ms[1:]), 1) for name, learner in named.items()}


def inference_ms(settings: Settings, repeats: int, *, own_float16: bool) -> dict[str, float]:
    """Return the median time of a batch by dtype and side, by names such as "float32 winograd"."""
    model = settings.build(0)
    test = settings.shapes(settings.batch, TEST_SEED)
    clips = torch.stack([test[number][0] for number in range(settings.batch)])
    slow = ("float16", "direct")
    both = [both for both in itertools.product(DTYPES, ("direct", "winograd")) if both != slow]
    models = {(name, side): prepared(model, DTYPES[name], side) for name, side in both}
    times: dict[tuple[str, str], list[float]] = {both: [] for both in models}
    for _ in range(repeats + 1):
        for (name, side), one in models.items():
            times[name, side].append(forward_ms(one, clips.to(DTYPES[name])))
    medians = {both: median(its[1:]) for both, its in times.items()}
    if own_float16:
        few = clips[: -(-settings.batch // 16)]
        medians[slow] = forward_ms(prepared(model, torch.float16, "direct"), few.half()) * settings.batch / len(few)
    return {f"{name} {side}": round(milliseconds, 1) for (name, side), milliseconds in medians.items()}


def forward_ms(model: nn.Module, clips: Tensor) -> float:
    """Return the time of a forward."""
    begun = time.perf_counter()
    with torch.no_grad():
        model(clips)
    return (time.perf_counter() - begun) * 1e3


def in_format(clips: Tensor, name: str) -> Tensor:
    """Return clips in the memory format of a side."""
    return clips.to(memory_format=torch.channels_last_3d) if name.endswith("last") else clips


if __name__ == "__main__":
    raise SystemExit(main())
