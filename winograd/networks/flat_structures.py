"""Seven structures for the place of a 3x3x3 convolution, on tensors of four and three axes, as their study has them.

In: channels, width and step; features of shape (N, C, T, H, W). Out: modules that see frames as a batch of pictures,
a frame as one axis beside time, or one axis alone; so all convolutions are over two axes or one. Weights and counts are
those on five axes. Refused: flat steps over frames that they leave another number of places of.

A step over flat frames: the convolution over time of the proposed structure, and of P3D-B, goes on by ``step`` frames
and by ``step**2`` places of the flat frame, which the paper takes for a step in height and in width. It is not: where
``step**2`` divides the width, it keeps every row and every ``step**2``-th column. The sampling "flat" does what is
written, "grid" what is meant.

References: Hajimolahoseini, Ahmed, Wen, Liu, "Is 3D convolution with 5D tensors really necessary for video analysis?",
sections II-A and II-B, figure 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

from winograd.networks.kinds import middle_channels
from winograd.networks.structures import Builders, P3DSum, Structure


class _Layers(nn.Sequential):
    """Layers on tensors of another shape than those that come and go."""

    def through(self, x: Tensor) -> Tensor:
        for layer in self:
            x = layer(x)
        return x


class Frames(_Layers):
    """Layers over pictures: every ``step``-th frame of all clips is one of a batch of tensors of four axes."""

    def __init__(self, *layers: nn.Module, step: int = 1) -> None:
        super().__init__(*layers)
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        """Return features of shape (N, K, T / step, ...) from (N, C, T, H, W)."""
        taken = x[:, :, :: self.step].transpose(1, 2)
        pictures = self.through(taken.flatten(0, 1))
        return pictures.reshape(*taken.shape[:2], *pictures.shape[1:]).transpose(1, 2)


class Moments(_Layers):
    """Layers over time: a frame is one axis, so that clips are tensors of four axes.

    Parameters
    ----------
    *layers : Module
        A convolution first; with a flat step it has the stride ``step**2`` over the flat frame.
    step : int
        In height and width.
    flat : bool
        Whether the step is the stride of the convolution over the flat frame; otherwise every ``step``-th row and
        column is taken before.

    Raises
    ------
    ValueError
        On a flat step that leaves another number of places than steps in height and width.
    """

    def __init__(self, *layers: nn.Module, step: int = 1, flat: bool = True) -> None:
        super().__init__(*layers)
        self.step, self.flat = step, flat

    def forward(self, x: Tensor) -> Tensor:
        """Return features of shape (N, K, ..., H / step, W / step) from (N, C, T, H, W)."""
        height, width = x.shape[3:]
        sizes = (-(-height // self.step), -(-width // self.step))
        if self.flat and -(-height * width // self.step**2) != sizes[0] * sizes[1]:
            raise ValueError(
                f"frames are {height} x {width}: a step of {self.step**2} along the flat frame leaves as many places "
                f"as one of {self.step} in height and width only of sizes that {self.step} divides; "
                'sampling="grid" takes any'
            )
        taken = x if self.flat else x[..., :: self.step, :: self.step]
        moments = self.through(taken.flatten(3))
        return moments.reshape(*moments.shape[:3], *sizes)


class Line(_Layers):
    """Layers along one axis: the places of the others are a batch of tensors of three axes."""

    def __init__(self, *layers: nn.Module, axis: int) -> None:
        super().__init__(*layers)
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """Return features of shape (N, K, T, H, W), one of these stepped, from (N, C, T, H, W)."""
        last = x.movedim((1, self.axis), (-2, -1))
        lines = self.through(last.flatten(0, 2))
        return lines.reshape(*last.shape[:3], *lines.shape[1:]).movedim((-2, -1), (1, self.axis))


class Points(_Layers):
    """Layers that mix channels only: all places are one axis of tensors of three, after a step along each."""

    def __init__(self, *layers: nn.Module, step: int) -> None:
        super().__init__(*layers)
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        """Return features of shape (N, K, T / step, H / step, W / step) from (N, C, T, H, W)."""
        taken = x[..., :: self.step, :: self.step, :: self.step]
        points = self.through(taken.flatten(2))
        return points.reshape(*points.shape[:2], *taken.shape[2:])


class Parallel(nn.Module):
    """The proposed structure: a branch over space and one over time, on tensors of four axes, added or concatenated."""

    def __init__(self, builders: Builders, channels: int, width: int, step: int, *, concatenated: bool) -> None:
        super().__init__()
        self.concatenated = concatenated
        self.space = Frames(*builders.picture.normalised(channels, width, 3, stride=step))
        self.steps = _time_step(builders, width, step) or nn.Identity()
        self.time = _time(builders, channels, width, step, space_step=step)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of shape (N, K, T / step, H / step, W / step) from (N, C, T, H, W)."""
        branches = self.steps(self.space(x)), self.time(x)
        return torch.cat(branches, dim=1) if self.concatenated else branches[0] + branches[1]


def _time(builders: Builders, channels: int, width: int, step: int, *, space_step: int = 1) -> Moments:
    flat = builders.is_flat
    stride = (step, space_step**2 if flat else 1)
    return Moments(*builders.picture.normalised(channels, width, (3, 1), stride=stride), step=space_step, flat=flat)


def _time_step(builders: Builders, width: int, step: int) -> Moments | None:
    return Moments(*builders.picture.normalised(width, width, stride=(step, 1))) if step > 1 else None


def _space_then_time(builders: Builders, channels: int, width: int, step: int) -> nn.Module:
    middle = middle_channels(channels, width)
    space = Frames(*builders.picture.activated(channels, middle, 3, stride=step))
    return nn.Sequential(space, _time(builders, middle, width, step))


def _p3d_a(builders: Builders, channels: int, width: int, step: int) -> nn.Module:
    space = Frames(*builders.picture.activated(channels, width, 3, stride=step))
    return nn.Sequential(space, _time(builders, width, width, step))


def _p3d_sum(builders: Builders, channels: int, width: int, step: int, *, chained: bool) -> nn.Module:
    space = Frames(*builders.picture.activated(channels, width, 3, stride=step))
    source, space_step = (width, 1) if chained else (channels, step)
    time = _time(builders, source, width, step, space_step=space_step)
    return P3DSum(space, _time_step(builders, width, step), time, chained=chained)


def _axis_by_axis(builders: Builders, channels: int, width: int, step: int) -> nn.Module:
    sizes = {2: channels, 3: width, 4: width}
    lines = (
        Line(*builders.line.normalised(source, width, 3, stride=step), axis=axis) for axis, source in sizes.items()
    )
    return nn.Sequential(*lines)


def _point(builders: Builders, channels: int, outputs: int, step: int) -> nn.Module:
    return Frames(*builders.picture.normalised(channels, outputs, stride=step), step=step)


def _point_in_space_then_time(builders: Builders, channels: int, outputs: int, step: int) -> nn.Module:
    space = Frames(*builders.picture.normalised(channels, outputs, stride=step))
    time = _time_step(builders, outputs, step)
    return space if time is None else nn.Sequential(space, time)


def _three_points(builders: Builders, channels: int, outputs: int, step: int) -> nn.Module:
    mixing = builders.line.normalised
    layers = (*mixing(channels, outputs), *mixing(outputs, outputs), *mixing(outputs, outputs))
    return Points(*layers, step=step)


OVER_FOUR_AXES: Final[Mapping[str, Structure]] = {
    "r2plus1d": Structure(_space_then_time, _point),
    "p3d_a": Structure(_p3d_a, _point),
    "p3d_b": Structure(lambda *sizes: _p3d_sum(*sizes, chained=False), _point),
    "p3d_c": Structure(lambda *sizes: _p3d_sum(*sizes, chained=True), _point),
    "rank1": Structure(_axis_by_axis, _three_points),
    "add": Structure(lambda *sizes: Parallel(*sizes, concatenated=False), _point_in_space_then_time),
    "cat": Structure(lambda *sizes: Parallel(*sizes, concatenated=True), _point_in_space_then_time, copies=2),
}
"""By the end of the network's name; Rank-1 is on three axes."""
