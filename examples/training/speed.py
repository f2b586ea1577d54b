"""The time of a training step: torch's own convolutions, in both memory formats, and converted ones, in turn.

    python examples/training/speed.py [--dir DIR] [--batch N] [--repeats N] [--threads N]

Out: DIR/speed.json and a line for each. Sides take their steps in turn, and medians are printed, so that what else the
machine does meanwhile changes little; let it rest all the same.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median

import torch
from learning import Learner, Settings, batches, sides
from torch import Tensor

from winograd.artefact import write_atomically
from winograd.conv.timing import measured_on


def main(words: list[str] | None = None) -> int:
    """Time steps and write their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path("moving-shapes"), help="(default: %(default)s)")
    parser.add_argument("--batch", type=int, default=Settings.batch, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=9, metavar="N", help="timed steps (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), metavar="N")
    options = parser.parse_args(words)
    torch.set_num_threads(options.threads)
    settings = Settings(clips=options.batch * (options.repeats + 1), batch=options.batch)
    step_ms = medians_ms(settings)
    for name, milliseconds in step_ms.items():
        print(f"{name:21} {milliseconds:7.1f} ms a step of {options.batch} clips")
    log = {"batch": options.batch, "threads": options.threads, "repeats": options.repeats, "step_ms": step_ms}
    options.dir.mkdir(parents=True, exist_ok=True)
    write_atomically(
        options.dir / "speed.json", (json.dumps({**log, "measured_on": measured_on()}) + "\n").encode("ascii")
    )
    return 0


def medians_ms(settings: Settings) -> dict[str, float]:
    """Return the median time of a step of each side, the first step left out, which makes plans."""
    learners, _ = sides(settings, seed=0)
    last = Learner(settings.build(0).to(memory_format=torch.channels_last_3d), settings)
    named = {"direct": learners["direct"], "direct, channels last": last, "winograd": learners["winograd"]}
    for clips, labels in batches(settings, seed=0):
        for name, learner in named.items():
            learner.learn(in_format(clips, name), labels)
    return {name: round(median(learner.steps_ms[1:]), 1) for name, learner in named.items()}


def in_format(clips: Tensor, name: str) -> Tensor:
    """Return clips in the memory format of a side."""
    return clips.to(memory_format=torch.channels_last_3d) if name.endswith("last") else clips


if __name__ == "__main__":
    raise SystemExit(main())
