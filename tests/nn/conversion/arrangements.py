"""Models by how their layers are arranged: used twice, unrolled, lazy, of other axes, alone."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from tests.nn.conversion.citizens import C, Citizen, Maker, clip, conv, entering
from tests.nn.conversion.subclasses import Conv3DSimple

KINDS: Final[dict[str, Maker]] = {}
"""Models by what is special about them."""

kind = entering(KINDS)


class Twice(nn.Module):
    """One layer under two names and in a list, and another one with its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self.again = conv()
        self.rest = nn.ModuleList([self.first, Conv3DSimple(C, C)])
        self.rest[1].weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.first, self.again, *self.rest):
            x = layer(x)
        return x


@kind("shared and tied layers")
def _shared() -> Citizen:
    return Citizen(Twice(), ["first", "rest.1"])


class Unrolled(nn.Module):
    """A recurrent network: one layer many times, at several sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.pool = conv(), nn.MaxPool3d((1, 2, 2))

    def forward(self, x: Tensor, *, steps: int = 2) -> dict[str, Any]:
        states = []
        for _ in range(steps):
            x = torch.tanh(self.cell(x))
            states.append(x)
            x = self.pool(x)
        return {"last": x, "states": tuple(states)}


@kind("a recurrent layer, and an output that is no tensor")
def _unrolled() -> Citizen:
    return Citizen(Unrolled(), ["cell"])


# Layers of other kinds.


@kind("lazy layers after their first forward")
def _lazy() -> Citizen:
    model = nn.Sequential(nn.LazyConv3d(C, 3, padding=1), nn.LazyBatchNorm3d(), nn.LazyConvTranspose3d(C, 3)).double()
    model(clip())
    return Citizen(model, ["0", "2"])


@kind("one, two and three axes, and transposed ones")
def _axes() -> Citizen:
    model = nn.Sequential(
        nn.Flatten(0, 1),
        nn.Unflatten(0, (2, C)),
        nn.ConvTranspose3d(C, C, 3, stride=2),
        nn.Flatten(2, 3),
        nn.Conv2d(C, C, 3),
        nn.Flatten(2),
        nn.Conv1d(C, C, 3),
        nn.ConvTranspose1d(C, C, 3),
    )
    return Citizen(model, ["2", "4", "6", "7"])


@kind("what Winograd does not cover")
def _uncovered() -> Citizen:
    layers = (
        nn.Conv3d(C, C, 3, groups=C, padding="same"),
        nn.Conv3d(C, C, 1),
        nn.Conv3d(C, C, 3, dilation=2, padding=2),
        nn.Conv3d(C, C, (3, 1, 1), padding=(1, 0, 0), padding_mode="circular"),
        nn.Conv3d(C, C, 3, stride=2, padding=1, padding_mode="reflect"),
        nn.Conv3d(C, C, (1, 2, 2), padding="same"),
    )
    return Citizen(nn.Sequential(*layers), [str(number) for number in range(6)])


@kind("a convolution that is the model")
def _alone() -> Citizen:
    return Citizen(conv(), [""])
