"""`Builder`: the convolutions and normalisations that the networks are made of, so that a family says sizes only.

In: a builder of convolutions, called as ``torch.nn.Conv3d`` is. Out: modules. No convolution built here has a bias.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from torch import nn

Conv = Callable[..., nn.Module]
"""Builds a convolution; called as ``torch.nn.Conv3d`` is, or as ``torch.nn.Conv2d`` is where a network has those."""

Sizes = int | tuple[int, ...]
"""One integer for all axes, or one per axis."""

_NORMS: Final = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes layers over one to three axes.

    Parameters
    ----------
    conv : callable
        Builds each convolution.
    axes : int
        1, 2 or 3.
    norm_eps : float
        What the normalisations add to variances.

    Examples
    --------
    >>> Builder(nn.Conv3d).activated(4, 8, (1, 3, 3))[0]
    Conv3d(4, 8, kernel_size=(1, 3, 3), stride=(1, 1, 1), padding=(0, 1, 1), bias=False)
    """

    conv: Conv
    axes: int = 3
    norm_eps: float = 1e-5

    def convolution(
        self,
        channels: int,
        outputs: int,
        taps: Sizes = 1,
        *,
        stride: Sizes = 1,
        padding: Sizes | None = None,
        groups: int = 1,
    ) -> nn.Module:
        """Return a convolution without bias; for padding None, with half of its taps around each axis."""
        taps = (taps,) * self.axes if isinstance(taps, int) else taps
        half = tuple(count // 2 for count in taps)
        return self.conv(
            channels,
            outputs,
            kernel_size=taps,
            stride=stride,
            padding=half if padding is None else padding,
            groups=groups,
            bias=False,
        )

    def norm(self, channels: int) -> nn.Module:
        """Return a batch normalisation."""
        return _NORMS[self.axes](channels, eps=self.norm_eps)

    def normalised(self, channels: int, outputs: int, taps: Sizes = 1, *, stride: Sizes = 1) -> nn.Sequential:
        """Return convolution and normalisation."""
        return nn.Sequential(self.convolution(channels, outputs, taps, stride=stride), self.norm(outputs))

    def activated(
        self, channels: int, outputs: int, taps: Sizes = 1, *, stride: Sizes = 1, padding: Sizes | None = None
    ) -> nn.Sequential:
        """Return convolution, normalisation and ReLU."""
        convolution = self.convolution(channels, outputs, taps, stride=stride, padding=padding)
        return nn.Sequential(convolution, self.norm(outputs), nn.ReLU(inplace=True))
