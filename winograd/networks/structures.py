"""Structures for the place of a 3x3x3 convolution in ECO-Lite's clip network, and the shortcut beside each: five axes.

In: channels, width and step. Out: modules; every convolution is followed by a normalisation, and the output of a
structure has no ReLU. `winograd.networks.flat_structures` has them on tensors of four and three axes. The published
counts of weights and multiplications fix sizes and normalisations of five structures; P3D-A, B and C are as in the
paper that they come from, and the counts published for those three cannot be met.

References: Hajimolahoseini, Ahmed, Wen, Liu, "Is 3D convolution with 5D tensors really necessary for video analysis?",
figure 3 and table II; Qiu, Yao, Mei, arXiv 1711.10305, for P3D.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn

from winograd.networks.builder import Builder
from winograd.networks.kinds import SPACE_THEN_TIME


@dataclass(frozen=True, slots=True)
class Builders:
    """Builders over space and time, over the two axes of a picture and over one; how a step over flat ones is read."""

    cube: Builder
    picture: Builder
    line: Builder
    sampling: str = "flat"

    @property
    def is_flat(self) -> bool:
        """Whether a step over the flat frame is taken as it is written."""
        return self.sampling == "flat"


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


class P3DSum(nn.Module):
    """P3D-B: max(S(x), 0) + T(x); P3D-C: max(S(x), 0) + T(max(S(x), 0)). A step in time is a 1x1x1 after S."""

    def __init__(self, space: nn.Module, steps: nn.Module | None, time: nn.Module, *, chained: bool) -> None:
        super().__init__()
        self.space, self.time, self.chained = space, time, chained
        self.steps = nn.Identity() if steps is None else steps

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum."""
        first = self.space(x)
        total: Tensor = self.steps(first) + self.time(first if self.chained else x)
        return total


def _p3d_sum(builders: Builders, channels: int, width: int, step: int, *, chained: bool) -> nn.Module:
    cube = builders.cube
    space = cube.activated(channels, width, (1, 3, 3), stride=(1, step, step))
    steps = cube.normalised(width, width, stride=(step, 1, 1)) if step > 1 else None
    source, stride = (width, (step, 1, 1)) if chained else (channels, (step, step, step))
    return P3DSum(space, steps, cube.normalised(source, width, (3, 1, 1), stride=stride), chained=chained)


def _point(builders: Builders, channels: int, outputs: int, step: int) -> nn.Module:
    return builders.cube.normalised(channels, outputs, stride=step)


def _three_points(builders: Builders, channels: int, outputs: int, step: int) -> nn.Module:
    cube = builders.cube
    return nn.Sequential(
        *cube.normalised(channels, outputs, stride=step),
        *cube.normalised(outputs, outputs),
        *cube.normalised(outputs, outputs),
    )


OVER_FIVE_AXES: Final[Mapping[str, Structure]] = {
    "conv3d": Structure(_dense, _point),
    "r2plus1d": Structure(_space_then_time, _point),
    "p3d_a": Structure(_p3d_a, _point),
    "p3d_b": Structure(lambda *sizes: _p3d_sum(*sizes, chained=False), _point),
    "p3d_c": Structure(lambda *sizes: _p3d_sum(*sizes, chained=True), _point),
    "rank1": Structure(_axis_by_axis, _three_points),
}
"""Those that are usual on tensors of five axes, by the end of the network's name."""
