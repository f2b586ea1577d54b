"""Training side by side: two copies of one network see the same clips, one with torch's convolutions, one with ours.

In: settings and a seed. Out: for each side its losses, what it tells right, and the time of its steps. The sides begin
with the same weights and take their steps in turn, so that whatever else the machine does slows both. Refused: settings
by which nothing is learned, and a batch that the processes cannot share evenly.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean

import torch
from moving_shapes import FRAMES, MOTIONS, SIZE, MovingShapes
from processes import RANK, WORLD, say, shared, total
from torch import Tensor, nn
from torch.utils.data import DataLoader, DistributedSampler, Subset

import winograd

TEST_SEED = 0
"""Of the clips for testing; those for training have the seed of the run plus one."""


@dataclass(frozen=True)
class Settings:
    """How a network is trained.

    Parameters
    ----------
    clips, epochs : int
        Number of clips for training, and how often each is seen.
    test_clips : int
        Number of clips for testing.
    batch : int
        Clips of a step, over all processes.
    rate : float
        Largest learning rate; it rises over the first third of the steps and falls to zero over the rest.
    tests : int
        How often the test clips are looked at while training.
    frames, size : int
        Of a clip.
    network : str
        A name of `winograd.networks`.
    tolerance : float or None
        Relative L2 error that a converted layer may be predicted to have; None for the default, 1e-5.

    Raises
    ------
    ValueError
        If a number is below 1, the clips are fewer than a batch, or the processes cannot share a batch evenly.
    """

    clips: int = 3200
    epochs: int = 1
    test_clips: int = 600
    batch: int = 16
    rate: float = 0.1
    tests: int = 2
    frames: int = FRAMES
    size: int = SIZE
    network: str = "r3d_10"
    tolerance: float | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "test_clips", "batch", "tests"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least 1")
        if self.clips < self.batch:
            raise ValueError(f"clips is {self.clips}, must be at least {self.batch}, those of a batch")
        if self.batch % WORLD:
            raise ValueError(f"batch is {self.batch}, must be a multiple of {WORLD}, the number of processes")

    @property
    def steps(self) -> int:
        """Number of steps of a training."""
        return self.epochs * (self.clips // self.batch)

    def build(self, seed: int) -> nn.Module:
        """Return the network with weights drawn for a seed."""
        torch.manual_seed(seed)
        return winograd.networks.create(self.network, num_classes=len(MOTIONS))

    def shapes(self, count: int, seed: int) -> MovingShapes:
        """Return a set of clips."""
        return MovingShapes(count, seed, frames=self.frames, size=self.size)


class Learner:
    """One side: a network, its optimiser, and what happened so far."""

    def __init__(self, model: nn.Module, settings: Settings) -> None:
        self.model = model
        self.trained = shared(model)
        self.optimiser = torch.optim.SGD(
            model.parameters(), settings.rate, momentum=0.9, nesterov=True, weight_decay=1e-4
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, settings.rate, total_steps=settings.steps)
        self.losses: list[float] = []
        self.steps_ms: list[float] = []
        self.accuracies: dict[int, float] = {}
        self.confusion: list[list[int]] = []

    def learn(self, clips: Tensor, labels: Tensor) -> None:
        """Take one step, and keep its time and the loss before it."""
        begun = time.perf_counter()
        self.trained.train()
        self.optimiser.zero_grad()
        loss = nn.functional.cross_entropy(self.trained(clips), labels)
        loss.backward()
        self.optimiser.step()
        self.schedule.step()
        self.steps_ms.append((time.perf_counter() - begun) * 1e3)
        self.losses.append(loss.item())

    def test(self, clips: MovingShapes) -> None:
        """See how many clips the network tells right as it is now."""
        confused = confusion(self.model, clips)
        self.accuracies[len(self.losses)] = accuracy(confused)
        self.confusion = confused.tolist()


def sides(settings: Settings, seed: int) -> tuple[dict[str, Learner], winograd.nn.ConversionReport]:
    """Return both sides, "direct" and "winograd", with the same weights, and what the conversion says."""
    direct = settings.build(seed)
    ours = copy.deepcopy(direct)
    report = winograd.convert_(ours, tolerance=settings.tolerance)
    return {"direct": Learner(direct, settings), "winograd": Learner(ours, settings)}, report


def train(learners: dict[str, Learner], settings: Settings, seed: int) -> None:
    """Let learners see the same batches, step by step in turn, and test them now and then.

    In several processes, each takes its part of every batch, and test clips are divided among them, too.
    """
    test, between = settings.shapes(settings.test_clips, TEST_SEED), -(-settings.steps // settings.tests)
    for step, (clips, labels) in enumerate(batches(settings, seed), start=1):
        for learner in learners.values():
            learner.learn(clips, labels)
            if step == settings.steps or step % between == 0:
                learner.test(test)
        if step == settings.steps or step % 10 == 0:
            say(f"step {step:4} of {settings.steps}  {'   '.join(map(news, learners, learners.values()))}")
    for learner in learners.values():
        learner.losses = (total(torch.tensor(learner.losses, dtype=torch.float64)) / WORLD).tolist()


def news(name: str, learner: Learner) -> str:
    """Return how a learner does at the moment."""
    right = learner.accuracies.get(len(learner.losses))
    return f"{name}: loss {mean(learner.losses[-10:]):.3f}" + ("" if right is None else f", right {right:.1%}")


def batches(settings: Settings, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the part of this process of every batch, in an order that the seed decides."""
    clips = settings.shapes(settings.clips, seed + 1)
    sampler = DistributedSampler(clips, num_replicas=WORLD, rank=RANK, seed=seed, drop_last=True)
    for epoch in range(settings.epochs):
        sampler.set_epoch(epoch)
        yield from DataLoader(clips, settings.batch // WORLD, sampler=sampler, drop_last=True)


def confusion(model: nn.Module, clips: MovingShapes, dtype: torch.dtype = torch.float32, batch: int = 24) -> Tensor:
    """Return how many clips of each class, the row, a network takes for which, the column."""
    model.eval()
    counts = torch.zeros(len(MOTIONS), len(MOTIONS), dtype=torch.int64)
    with torch.no_grad():
        for some, labels in DataLoader(Subset(clips, range(RANK, len(clips), WORLD)), batch):
            guesses = model(some.to(dtype)).argmax(1)
            counts.index_put_((labels, guesses), torch.ones_like(labels), accumulate=True)
    return total(counts)


def accuracy(confused: Tensor) -> float:
    """Return which part of the clips is told right."""
    return int(confused.diagonal().sum()) / int(confused.sum())
