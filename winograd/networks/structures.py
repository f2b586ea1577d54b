"""Eight structures for the place of a 3x3x3 convolution in ECO-Lite's clip network, and the shortcut beside each.

In: channels, width and step. Out: modules; every convolution is followed by a normalisation, and the output of a
structure has no ReLU. The published counts of weights and multiplications fix sizes and normalisations of five of them;
P3D-A, B and C are as in the paper that they come from, and the counts published for those three cannot be met.

References: Hajimolahoseini, Ahmed, Wen, Liu, "Is 3D convolution with 5D tensors really necessary for video analysis?",
figure 3 and table II; Qiu, Yao, Mei, arXiv 1711.10305, for P3D.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from winograd.networks.builder import Builder
from winograd.networks.kinds import SPACE_THEN_TIME


@dataclass(frozen=True, slots=True)
class Builders:
    """Builders over space and time, and over the two axes of a picture; how a step over flat pictures is read."""

    cube: Builder
    picture: Builder
    sampling: str = "flat"


Make = Callable[[Builders, int, int, int], nn.Module]
"""Called with the builders, channels, outputs and the step."""


@dataclass(frozen=True, slots=True)
class Structure:
    """What stands for a 3x3x3 convolution.

    Parameters
    ----------
    unit : callable
        Makes the structure for a width.
    shortcut : callable
        Makes the shortcut of a block that changes its sizes, for the channels that the unit gives.
    copies : int
        Channels that the unit gives, in widths.
    """

    unit: Make
    shortcut: Make
    copies: int = 1


def _dense(builders: Builders, channels: int, width: int, step: int) -> nn.Module:
    return builders.cube.normalised(channels, width, 3, stride=step)


def _space_then_time(builders: Builders, channels: int, width: int, step: int) -> nn.Module:
    pair = SPACE_THEN_TIME.build(builders.cube, channels, width, step, channels)
    return nn.Sequential(pair, builders.cube.norm(width))


def _axis_by_axis(builders: Builders, channels: int, width: int, step: int) -> nn.Module:
    cube = builders.cube
    return nn.Sequential(
        *cube.normalised(channels, width, (3, 1, 1), stride=(step, 1, 1)),
        *cube.normalised(width, width, (1, 3, 1), stride=(1, step, 1)),
        *cube.normalised(width, width, (1, 1, 3), stride=(1, 1, step)),
    )


def _p3d_a(builders: Builders, channels: int, width: int, step: int) -> nn.Module:
    cube = builders.cube
    return nn.Sequential(
        *cube.activated(channels, width, (1, 3, 3), stride=(1, step, step)),
        *cube.normalised(width, width, (3, 1, 1), stride=(step, 1, 1)),
    )


class _P3DSum(nn.Module):
    """P3D-B: max(S(x), 0) + T(x); P3D-C: max(S(x), 0) + T(max(S(x), 0)). A step in time is a 1x1x1 after S."""

    def __init__(self, builders: Builders, channels: int, width: int, step: int, *, chained: bool) -> None:
        super().__init__()
        cube, self.chained = builders.cube, chained
        self.space = cube.activated(channels, width, (1, 3, 3), stride=(1, step, step))
        self.steps = cube.normalised(width, width, stride=(step, 1, 1)) if step > 1 else nn.Identity()
        if chained:
            self.time = cube.normalised(width, width, (3, 1, 1), stride=(step, 1, 1))
        else:
            self.time = cube.normalised(channels, width, (3, 1, 1), stride=step)

    def forward(self, x: Tensor) -> Tensor:
        first = self.space(x)
        total: Tensor = self.steps(first) + self.time(first if self.chained else x)
        return total


class Parallel(nn.Module):
    """The proposed structure: a branch over space and one over time, on tensors of four axes, added or concatenated.

    Frames are images of a batch for the 3x3 over space; for what mixes or steps in time, each frame is one axis. There
    the 3x1 goes on by ``step`` frames and by ``step**2`` places of the flat frame, which the paper takes for a step in
    height and in width. It is not: where ``step**2`` divides the width, it keeps every row and every ``step**2``-th
    column. ``sampling="flat"`` does what is written, ``"grid"`` what is meant; weights and counts are the same.
    The flat step leaves as many places as the other branch has where ``step`` divides height and width.

    Raises
    ------
    ValueError
        On the flat step of a frame that leaves another number of places.
    """

    def __init__(self, builders: Builders, channels: int, width: int, step: int, *, concatenated: bool) -> None:
        super().__init__()
        picture = builders.picture
        self.step, self.concatenated, self.flat = step, concatenated, builders.sampling == "flat"
        self.space = picture.normalised(channels, width, 3, stride=step)
        self.steps = picture.normalised(width, width, stride=(step, 1)) if step > 1 else nn.Identity()
        self.time = picture.normalised(channels, width, (3, 1), stride=(step, step**2 if self.flat else 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return features of shape (N, K, T / step, H / step, W / step) from (N, C, T, H, W)."""
        frames = self.space(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)
        sizes = frames.shape[3:]
        if self.flat and -(-x.shape[3] * x.shape[4] // self.step**2) != sizes.numel():
            raise ValueError(
                f"frames are {x.shape[3]} x {x.shape[4]}: a step of {self.step**2} along the flat frame leaves as many "
                f"places as one of {self.step} in height and width only of sizes that {self.step} divides; "
                'sampling="grid" takes any'
            )
        seen = x if self.flat else x[..., :: self.step, :: self.step]
        branches = self.steps(frames.flatten(3)), self.time(seen.flatten(3))
        joined = torch.cat(branches, dim=1) if self.concatenated else branches[0] + branches[1]
        return joined.reshape(*joined.shape[:3], *sizes)


def _point(builders: Builders, channels: int, outputs: int, step: int) -> nn.Module:
    return builders.cube.normalised(channels, outputs, stride=step)


def _point_in_space_then_time(builders: Builders, channels: int, outputs: int, step: int) -> nn.Module:
    cube = builders.cube
    space = cube.normalised(channels, outputs, stride=(1, step, step))
    return space if step == 1 else nn.Sequential(*space, *cube.normalised(outputs, outputs, stride=(step, 1, 1)))


def _three_points(builders: Builders, channels: int, outputs: int, step: int) -> nn.Module:
    cube = builders.cube
    return nn.Sequential(
        *cube.normalised(channels, outputs, stride=step),
        *cube.normalised(outputs, outputs),
        *cube.normalised(outputs, outputs),
    )


STRUCTURES: Final[Mapping[str, Structure]] = {
    "conv3d": Structure(_dense, _point),
    "r2plus1d": Structure(_space_then_time, _point),
    "p3d_a": Structure(_p3d_a, _point),
    "p3d_b": Structure(lambda *sizes: _P3DSum(*sizes, chained=False), _point),
    "p3d_c": Structure(lambda *sizes: _P3DSum(*sizes, chained=True), _point),
    "rank1": Structure(_axis_by_axis, _three_points),
    "add": Structure(lambda *sizes: Parallel(*sizes, concatenated=False), _point_in_space_then_time),
    "cat": Structure(lambda *sizes: Parallel(*sizes, concatenated=True), _point_in_space_then_time, copies=2),
}
"""By the end of the network's name."""
