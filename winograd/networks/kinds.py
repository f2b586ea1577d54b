"""How a residual block convolves: over space and time at once, over space only, or in parts, one after the other.

In: channels and the step of the block. Out: one module that does what a 3x3x3 convolution would do there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from torch import nn

from winograd.networks.builder import Builder


@dataclass(frozen=True, slots=True)
class ConvKind:
    """One way to convolve in a residual block.

    Parameters
    ----------
    build : callable
        Called with a builder, channels, outputs, the step and the channels of the block; returns the module.
    steps_in_time : bool
        Whether a block with a step goes on in time by it, too; in space it always does.
    """

    build: Callable[[Builder, int, int, int, int], nn.Module]
    steps_in_time: bool = True

    def stride(self, step: int) -> tuple[int, int, int]:
        """Return the stride of a block with that step."""
        return (step if self.steps_in_time else 1, step, step)


def middle_channels(channels: int, outputs: int) -> int:
    """Return the channels between 1x3x3 and 3x1x1 that give the pair as many weights as 3x3x3 has, or just fewer.

    Examples
    --------
    >>> middle_channels(64, 64), middle_channels(64, 128)
    (144, 230)

    References
    ----------
    Tran, Wang, Torresani, Ray, LeCun, Paluri, arXiv 1711.11248, section 3.5.
    """
    return 27 * channels * outputs // (9 * channels + 3 * outputs)


def _dense(builder: Builder, channels: int, outputs: int, step: int, _: int) -> nn.Module:
    return builder.convolution(channels, outputs, 3, stride=(step, step, step))


def _spatial(builder: Builder, channels: int, outputs: int, step: int, _: int) -> nn.Module:
    return builder.convolution(channels, outputs, (1, 3, 3), stride=(1, step, step))


def _space_then_time(builder: Builder, channels: int, outputs: int, step: int, _: int) -> nn.Module:
    return _through(builder, channels, middle_channels(channels, outputs), outputs, step)


def _space_then_time_by_block(builder: Builder, channels: int, outputs: int, step: int, block: int) -> nn.Module:
    return _through(builder, channels, middle_channels(block, outputs), outputs, step)


def _through(builder: Builder, channels: int, middle: int, outputs: int, step: int) -> nn.Module:
    space = builder.activated(channels, middle, (1, 3, 3), stride=(1, step, step))
    return nn.Sequential(*space, builder.convolution(middle, outputs, (3, 1, 1), stride=(step, 1, 1)))


def _depthwise(builder: Builder, channels: int, outputs: int, step: int, _: int) -> nn.Module:
    return builder.convolution(channels, outputs, 3, stride=(step, step, step), groups=channels)


def _pointwise_then_depthwise(builder: Builder, channels: int, outputs: int, step: int, block: int) -> nn.Module:
    return nn.Sequential(*builder.normalised(channels, outputs), _depthwise(builder, outputs, outputs, step, block))


DENSE: Final = ConvKind(_dense)
"""3x3x3."""

SPATIAL: Final = ConvKind(_spatial, steps_in_time=False)
"""1x3x3: time is neither mixed nor stepped."""

SPACE_THEN_TIME: Final = ConvKind(_space_then_time)
"""1x3x3, normalisation, ReLU, 3x1x1; the channels between them by `middle_channels` of each convolution."""

SPACE_THEN_TIME_BY_BLOCK: Final = ConvKind(_space_then_time_by_block)
"""The same with the channels between them by `middle_channels` of the block, as torchvision has it."""

DEPTHWISE: Final = ConvKind(_depthwise)
"""3x3x3, each channel by itself."""

POINTWISE_THEN_DEPTHWISE: Final = ConvKind(_pointwise_then_depthwise)
"""1x1x1, normalisation and no ReLU, then 3x3x3, each channel by itself."""
