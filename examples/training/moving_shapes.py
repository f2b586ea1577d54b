"""Moving shapes: generated clips of a shape in motion; the class is one of eight ways in which it moves.

In: a seed and the number of a clip. Out: the clip, shape (3, frames, size, size), and its class. Clips are pure
functions of seed and number, whatever the order in which they are asked for, and in every process. Refused: clips
without frames or smaller than a shape, and numbers of clips that do not exist.

The picture has no edges: what leaves on one side comes back on the other. So a shape is equally likely to be anywhere
in every frame, whichever way it moves, and no single frame tells the motion: time has to be looked at. A clip that is
played backwards is a clip of the opposite motion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

SHAPES = ("disc", "square", "cross")
MOTIONS = ("right", "down right", "down", "down left", "left", "up left", "up", "up right")
"""The classes, one eighth of a turn apart; the fourth after each is its opposite."""

FRAMES, SIZE = 8, 24
NOISE = 0.1
"""Standard deviation of the noise on every pixel; a shape stands out from its background by 1 to 1.9."""

LARGEST = 5.5
"""Largest radius of a shape in pixels; no shape reaches further than 1.2 radii from its centre."""


class MovingShapes(Dataset[tuple[Tensor, int]]):
    """A set of clips with equally many of every class, as far as their number allows.

    Parameters
    ----------
    count : int
        Number of clips, at least 1 and below a million.
    seed : int
        Sets of different seeds have no clip in common.
    frames, size : int
        Frames, at least 2, and height and width, at least 14, of a clip.

    Raises
    ------
    ValueError
        If one of them is out of its range.

    Examples
    --------
    >>> clips = MovingShapes(24, seed=0)
    >>> clip, label = clips[17]
    >>> tuple(clip.shape), MOTIONS[label]
    ((3, 8, 24, 24), 'down right')
    """

    def __init__(self, count: int, seed: int, *, frames: int = FRAMES, size: int = SIZE) -> None:
        smallest = math.ceil(2 * 1.2 * LARGEST)
        if not 1 <= count < 1_000_000:
            raise ValueError(f"count is {count}, must be from 1 to 999999")
        if seed < 0:
            raise ValueError(f"seed is {seed}, must not be negative")
        if frames < 2:
            raise ValueError(f"frames is {frames}, must be at least 2")
        if size < smallest:
            raise ValueError(f"size is {size}, must be at least {smallest}, or shapes meet themselves")
        self.count, self.seed, self.frames, self.size = count, seed, frames, size

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        """Return one clip, float32 of shape (3, frames, size, size), and its class."""
        if not 0 <= number < self.count:
            raise IndexError(f"clip {number} of {self.count} does not exist")
        label = number % len(MOTIONS)
        generator = torch.Generator().manual_seed(self.seed * 1_000_000 + number)
        return Scene.draw(label, self.size, generator).clip(self.frames, self.size, generator), label


@dataclass(frozen=True)
class Scene:
    """What is seen in a clip, apart from the noise.

    Parameters
    ----------
    shape : str
        One of `SHAPES`.
    radius : float
        Size of the shape in pixels.
    centre : tuple of float
        Where it is at half time, in pixels along (height, width).
    velocity : tuple of float
        Pixels along (height, width) that it moves from one frame to the next.
    background, colour : Tensor
        Of shape (3,).
    """

    shape: str
    radius: float
    centre: tuple[float, float]
    velocity: tuple[float, float]
    background: Tensor
    colour: Tensor

    @classmethod
    def draw(cls, label: int, size: int, generator: torch.Generator) -> Scene:
        """Draw all that the class leaves open: shape, radius, place, pace, the way within its eighth, and colours."""
        shape, radius, down, right, pace, way, contrast = torch.rand(7, generator=generator).tolist()
        background, tint = 0.4 * torch.rand(2, 3, generator=generator)
        angle = (label + (way - 0.5) / 3) * math.tau / len(MOTIONS)  # two thirds of the circle belong to no class
        return cls(
            SHAPES[int(shape * len(SHAPES))],
            radius=LARGEST - 1.5 * radius,
            centre=(size * down, size * right),
            velocity=((1.5 + pace) * math.sin(angle), (1.5 + pace) * math.cos(angle)),
            background=background - 0.7,
            colour=background + 0.3 + 0.5 * contrast + tint,
        )

    def clip(self, frames: int, size: int, generator: torch.Generator | None = None) -> Tensor:
        """Return the frames, shape (3, frames, size, size), with noise if there is a generator."""
        times = torch.arange(frames) - (frames - 1) / 2
        pixels = torch.arange(size)
        down, right = (
            wrapped(pixels - (centre + velocity * times)[:, None], size)
            for centre, velocity in zip(self.centre, self.velocity, strict=True)
        )
        covered = (0.5 - outside(self.shape, down[:, :, None], right[:, None, :], self.radius)).clamp(0, 1)
        background, colour = (each[:, None, None, None] for each in (self.background, self.colour))
        clip = background + (colour - background) * covered
        return clip if generator is None else clip + NOISE * torch.randn(clip.shape, generator=generator)


def wrapped(distances: Tensor, size: int) -> Tensor:
    """Return the shortest way to the same place in a picture without edges, from -size/2 up to size/2."""
    return (distances + size / 2) % size - size / 2


def outside(shape: str, down: Tensor, right: Tensor, radius: float) -> Tensor:
    """Return how many pixels a point lies outside of a shape around 0, negative inside; areas are about equal."""
    down, right = down.abs(), right.abs()
    if shape == "disc":
        return torch.hypot(down, right) - radius
    if shape == "square":
        return torch.maximum(down, right) - 0.89 * radius
    length, width = 1.2 * radius, 0.4 * radius
    return torch.minimum(torch.maximum(down - length, right - width), torch.maximum(down - width, right - length))
