"""The blocks of P3D: bottlenecks over space and time in one of three wirings, and over single pictures.

In: features. Out: features of four times the width, stepped in space by the first block of a layer.
Module names are those of the PyTorch port.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor, nn

from winograd.networks.builder import Builder
from winograd.networks.sums import can_add_in_place

Layer = Callable[[Tensor], Tensor]
Wiring = Callable[[Layer, Layer, Layer, Tensor], Tensor]
"""From the layer over space, the layer over time, ReLU, and their input to what they give together."""


def _one_after_the_other(space: Layer, time: Layer, relu: Layer, x: Tensor) -> Tensor:
    return relu(time(relu(space(x))))


def _side_by_side(space: Layer, time: Layer, relu: Layer, x: Tensor) -> Tensor:
    return relu(_added(time(x), relu(space(x))))


def _both_ways(space: Layer, time: Layer, relu: Layer, x: Tensor) -> Tensor:
    first = relu(space(x))
    return relu(0.5 * _added(time(first), first))  # the halves' sum, exactly


def _port_side_by_side(space: Layer, time: Layer, relu: Layer, x: Tensor) -> Tensor:
    return _added(relu(time(x)), relu(space(x)))


def _port_both_ways(space: Layer, time: Layer, relu: Layer, x: Tensor) -> Tensor:
    first = relu(space(x))
    return _added(relu(time(first)), first)


def _added(own: Tensor, other: Tensor) -> Tensor:
    """Return the sum; in the memory of the first, which nobody else reads, where no gradient is recorded."""
    return own + other if torch.is_grad_enabled() or not can_add_in_place() else own.add_(other)


WIRINGS: Final[Mapping[str, tuple[Wiring, Wiring, Wiring]]] = {
    "official": (_one_after_the_other, _side_by_side, _both_ways),
    "port": (_one_after_the_other, _port_side_by_side, _port_both_ways),
}
"""P3D-A, B and C of each form."""


class Block(nn.Module):
    """A bottleneck over space and time.

    Parameters
    ----------
    builder : Builder
        Over three axes.
    wiring : callable
        P3D-A, B or C.
    channels, width : int
        Of the input, and between the two 1x1x1 convolutions; the output has four times the width.
    stride : tuple of int
        Of the first convolution and the shortcut.
    shortcut : bool
        Whether the shortcut has a convolution.
    """

    def __init__(
        self,
        builder: Builder,
        wiring: Wiring,
        channels: int,
        width: int,
        stride: tuple[int, int, int],
        shortcut: bool,
    ) -> None:
        super().__init__()
        self.wiring = wiring
        self.conv1, self.bn1 = builder.convolution(channels, width, stride=stride), builder.norm(width)
        self.conv2, self.bn2 = builder.convolution(width, width, (1, 3, 3)), builder.norm(width)
        self.conv3, self.bn3 = builder.convolution(width, width, (3, 1, 1)), builder.norm(width)
        self.conv4, self.bn4 = builder.convolution(width, 4 * width), builder.norm(4 * width)
        self.downsample = builder.normalised(channels, 4 * width, stride=stride) if shortcut else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both ways after ReLU."""
        between = self.wiring(self._space, self._time, self.relu, self.relu(self.bn1(self.conv1(x))))
        shortcut = x if self.downsample is None else self.downsample(x)
        activated: Tensor = self.relu(_added(self.bn4(self.conv4(between)), shortcut))
        return activated

    def _space(self, x: Tensor) -> Tensor:
        result: Tensor = self.bn2(self.conv2(x))
        return result

    def _time(self, x: Tensor) -> Tensor:
        result: Tensor = self.bn3(self.conv3(x))
        return result


class PictureBlock(nn.Module):
    """A bottleneck over single pictures; the first one of its layer has the step and a convolution in its shortcut."""

    def __init__(self, builder: Builder, channels: int, width: int, *, first: bool) -> None:
        super().__init__()
        step = 2 if first else 1
        self.conv1, self.bn1 = builder.convolution(channels, width, stride=step), builder.norm(width)
        self.conv_normal, self.bn_normal = builder.convolution(width, width, 3), builder.norm(width)
        self.conv4, self.bn4 = builder.convolution(width, 4 * width), builder.norm(4 * width)
        self.downsample = builder.normalised(channels, 4 * width, stride=step) if first else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both ways after ReLU."""
        between = self.relu(self.bn_normal(self.conv_normal(self.relu(self.bn1(self.conv1(x))))))
        shortcut = x if self.downsample is None else self.downsample(x)
        activated: Tensor = self.relu(_added(self.bn4(self.conv4(between)), shortcut))
        return activated
