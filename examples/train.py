"""A network learns how fast a clip is played: with torch's own convolutions, and beside it with converted ones.

    python examples/train.py [--clip FILE] [--steps N] [--seed N] [--tolerance T]

Snippets of 8 frames come from the clip, either 8 in a row or every fourth one; a small 3D network learns to tell which.
Three copies of it begin with the same weights and see the same snippets: torch's own, the same with tensors that lie
channels last, which adds up in another order, and the converted one. Printed are their losses, how far the weights of
the last two are from those of the first, what computed each layer, and the time of a step. Needs the extra "video".
"""

from __future__ import annotations

import argparse
import copy
import itertools
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

import winograd
from winograd.networks.clip import read_clip

CLIP = Path(__file__).parent / "clips" / "bigbuckbunny.mp4"
FRAMES, SIZE, CHANNELS, BATCH = 8, 32, 32, 16
FAST = 4
"""How many frames of the clip a fast snippet goes on at a time."""


def main(words: list[str] | None = None) -> int:
    """Train both networks and print how they do."""
    options = _parser().parse_args(words)
    clip = read_clip(options.clip, frames=128, size=SIZE)
    torchs = build(options.seed)
    ours = copy.deepcopy(torchs)
    report = winograd.convert_(ours, tolerance=options.tolerance)
    last = copy.deepcopy(torchs).to(memory_format=torch.channels_last_3d)
    learners = {"torch": Learner(torchs), "channels last": Learner(last), "converted": Learner(ours)}
    print("step  loss: torch  channels last  converted  weights apart: channels last  converted")
    for step, (snippets, labels) in enumerate(batches(clip, options.steps, options.seed), start=1):
        first, second, third = (learner.learn(snippets, labels) for learner in learners.values())
        if step % 5 == 0 or step == 1:
            distances = f"{apart(last, torchs):28.1e}  {apart(ours, torchs):9.1e}"
            print(f"{step:4}  {first:11.6f}  {second:13.6f}  {third:9.6f}  {distances}", flush=True)
    print(f"\n{report}\n")
    test = next(batches(clip, 1, options.seed + 1, count=64))
    for name, learner in learners.items():
        print(f"{name}: {learner.accuracy(*test):.0%} of 64 snippets right, {median(learner.steps_ms):.1f} ms a step")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=CLIP, metavar="FILE", help="a video of at least 128 frames")
    parser.add_argument("--steps", type=int, default=30, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights and snippets (default: 0)")
    parser.add_argument("--tolerance", type=float, metavar="T", help="relative L2 error of a layer (default: 1e-5)")
    return parser


def build(seed: int) -> nn.Module:
    """Return the network with seeded weights: three convolutions, each normalised, and two scores."""
    torch.manual_seed(seed)
    channels = (3, CHANNELS, CHANNELS, CHANNELS)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (ins, outs) in enumerate(itertools.pairwise(channels), start=1):
        layers[f"conv{number}"] = nn.Conv3d(ins, outs, 3, padding=1, bias=False)
        layers[f"norm{number}"] = nn.BatchNorm3d(outs)
        layers[f"relu{number}"] = nn.ReLU()
        if number == 1:
            layers["pool"] = nn.MaxPool3d((1, 2, 2))
    layers["mean"] = nn.AdaptiveAvgPool3d(1)
    layers["flat"] = nn.Flatten()
    layers["scores"] = nn.Linear(CHANNELS, 2)
    return nn.Sequential(layers)


def batches(clip: Tensor, steps: int, seed: int, count: int = BATCH) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield snippets of shape (count, 3, FRAMES, SIZE, SIZE) of a clip, and for each 1 if it is fast, else 0."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        labels = torch.randint(2, (count,), generator=generator)
        firsts = torch.randint(clip.shape[1] - FRAMES * FAST + 1, (count,), generator=generator)
        pairs = zip(firsts.tolist(), labels.tolist(), strict=True)
        yield torch.stack([snippet(clip, first, FAST if fast else 1) for first, fast in pairs]), labels


def snippet(clip: Tensor, first: int, pace: int) -> Tensor:
    """Return FRAMES frames from the first one on, every ``pace``-th."""
    return clip[:, first : first + FRAMES * pace : pace]


class Learner:
    """A network with an optimiser, and the milliseconds of each step that it took."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
        self.steps_ms: list[float] = []

    def learn(self, snippets: Tensor, labels: Tensor) -> float:
        """Take one step and return the loss before it."""
        begun = time.perf_counter()
        self.model.train()
        self.optimiser.zero_grad()
        loss = nn.functional.cross_entropy(self.model(snippets), labels)
        loss.backward()
        self.optimiser.step()
        self.steps_ms.append((time.perf_counter() - begun) * 1e3)
        return loss.item()

    def accuracy(self, snippets: Tensor, labels: Tensor) -> float:
        """Return which part of the snippets is told right."""
        self.model.eval()
        with torch.no_grad():
            return float((self.model(snippets).argmax(1) == labels).float().mean())


def apart(one: nn.Module, other: nn.Module) -> float:
    """Return the norm of the difference of all weights of two networks, relative to that of the other's."""
    first, second = (
        torch.cat([each.detach().double().flatten() for each in model.parameters()]) for model in (one, other)
    )
    return float((first - second).norm() / second.norm())


if __name__ == "__main__":
    raise SystemExit(main())
