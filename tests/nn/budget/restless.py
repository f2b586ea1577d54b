"""A small model, and such around it that hold, change, cast or lend things at each run."""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor, nn

import winograd
from winograd.nn.budget import OutputBudget

CLIP = torch.randn(1, 3, 4, 16, 16, generator=torch.Generator().manual_seed(1))


def net() -> nn.Sequential:
    """Return a model whose second convolution may be by Winograd."""
    torch.manual_seed(0)
    layers = nn.Conv3d(3, 32, 3, padding=1), nn.BatchNorm3d(32), nn.ReLU(), nn.Conv3d(32, 32, 3, padding=1), nn.ReLU()
    model = nn.Sequential(*layers).eval()
    nn.init.constant_(model[1].running_mean, 0.2)
    return model


def met(model: nn.Module, allowed: float, example: Any = CLIP) -> OutputBudget:
    budget = winograd.convert_(model, output_tolerance=allowed, example=example).budget
    assert isinstance(budget, OutputBudget)
    return budget


class Wrapper(nn.Module):
    """A model around another one; subclasses change something at each run."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()
        self.cache = torch.zeros(1, 3, 2, 16, 16)
        self.count = 0
        self.register_buffer("room", torch.zeros(1, 32, 4, 16, 16))


class Streaming(Wrapper):
    """Sees the last frames of the clip before."""

    def forward(self, x: Tensor) -> Tensor:
        found = self.net(torch.cat([self.cache, x], 2))
        self.cache = x[:, :, -2:].clone()
        return found


class Counting(Wrapper):
    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        return self.count * self.net(x)


class Normalising(Wrapper):
    """Changes what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.sub_(0.5))


class Emptying(Wrapper):
    def forward(self, given: dict[str, Tensor]) -> Tensor:
        return self.net(given.pop("x"))


class Drawing(Wrapper):
    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) * random.uniform(1, 2)


class Lending(Wrapper):
    """Returns memory of its own."""

    def forward(self, x: Tensor) -> Tensor:
        self.room.copy_(self.net(x))
        return self.room


class Casting(Wrapper):
    """Takes bytes."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.float() / 255)


class Holding(Wrapper):
    """Keeps what it computed, with its gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = [self.net(CLIP).mean()]
        self.last = self.seen[0] * 2

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


BYTES = torch.randint(0, 256, (1, 3, 4, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))

MODELS: dict[type[Wrapper], Any] = dict.fromkeys((Streaming, Counting, Normalising, Drawing, Lending, Holding), CLIP)
MODELS |= {Emptying: ({"x": CLIP},), Casting: BYTES}
