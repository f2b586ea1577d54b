"""Residual networks over video: basic and bottleneck blocks, and the trunk of four layers of them.

In: a stem and what makes the blocks. Out: a `VideoNetwork` with the module names of torchvision's video networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from torch import Tensor, nn

from winograd.networks.builder import Builder
from winograd.networks.kinds import ConvKind
from winograd.networks.sums import can_add_in_place
from winograd.networks.video_network import VideoNetwork

STEM_CHANNELS: Final = 64

WIDTHS: Final = (64, 128, 256, 512)
"""Channels of the 3x3x3 convolutions of the four layers."""


class ResidualBlock(nn.Module):
    """A chain of layers whose result is added to the input, or to what a shortcut makes of it.

    Parameters
    ----------
    chain : sequence of modules
        Named conv1, conv2 and so on.
    outputs : int
        Channels of the output.
    shortcut : Module or None
        Named downsample; None where the chain changes no size.
    """

    def __init__(self, chain: Sequence[nn.Module], outputs: int, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.outputs = outputs
        self.names = tuple(f"conv{number}" for number in range(1, len(chain) + 1))
        for name, module in zip(self.names, chain, strict=True):
            self.add_module(name, module)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return max(chain(x) + shortcut(x), 0)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        for name in self.names:
            x = getattr(self, name)(x)
        # In place where that can be: a norm keeps its input for the gradient, not this.
        activated: Tensor = self.relu(x.add_(shortcut) if can_add_in_place() else x + shortcut)
        return activated


def basic_block(builder: Builder, kind: ConvKind, channels: int, width: int, step: int) -> ResidualBlock:
    """Return two convolutions of a kind, the first with the step."""
    chain = (
        nn.Sequential(kind.build(builder, channels, width, step, channels), builder.norm(width), nn.ReLU(inplace=True)),
        nn.Sequential(kind.build(builder, width, width, 1, channels), builder.norm(width)),
    )
    return ResidualBlock(chain, width, _shortcut(builder, channels, width, kind.stride(step)))


def bottleneck(builder: Builder, kind: ConvKind, channels: int, width: int, step: int) -> ResidualBlock:
    """Return 1x1x1 to the width, a convolution of a kind with the step, and 1x1x1 to four times the width."""
    chain = (
        builder.activated(channels, width),
        nn.Sequential(kind.build(builder, width, width, step, width), builder.norm(width), nn.ReLU(inplace=True)),
        builder.normalised(width, 4 * width),
    )
    return ResidualBlock(chain, 4 * width, _shortcut(builder, channels, 4 * width, kind.stride(step)))


def _shortcut(builder: Builder, channels: int, outputs: int, stride: tuple[int, int, int]) -> nn.Module | None:
    changed = channels != outputs or stride != (1, 1, 1)
    return builder.normalised(channels, outputs, stride=stride) if changed else None


class VideoResNet(VideoNetwork):
    """Stem, four layers of residual blocks, mean over what is left of space and time, and one linear layer.

    Parameters
    ----------
    stem : Module
        Gives `STEM_CHANNELS` channels.
    depths : sequence of int
        Blocks of each layer.
    block : callable
        Called with the number of the layer, from 1, the channels, the width and the step; returns the block.
    num_classes : int
        Number of scores.
    input_shape : tuple of int
        Channels, frames, height and width of a clip.
    """

    classifier = "fc"

    def __init__(
        self,
        stem: nn.Module,
        depths: Sequence[int],
        block: Callable[[int, int, int, int], ResidualBlock],
        *,
        num_classes: int,
        input_shape: tuple[int, int, int, int],
    ) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.stem = stem
        channels = STEM_CHANNELS
        for layer, (width, depth) in enumerate(zip(WIDTHS, depths, strict=True), start=1):
            blocks = []
            for number in range(depth):
                blocks.append(block(layer, channels, width, 2 if layer > 1 and number == 0 else 1))
                channels = blocks[-1].outputs
            self.add_module(f"layer{layer}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Return the scores, shape (N, num_classes), of clips of shape (N, *input_shape), or of other sizes."""
        x = self.stem(clips)
        for layer in range(1, len(WIDTHS) + 1):
            x = getattr(self, f"layer{layer}")(x)
        scores: Tensor = self.fc(self.avgpool(x).flatten(1))
        return scores
