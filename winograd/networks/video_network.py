"""`VideoNetwork`: what every network of this room says about itself, so that commands can feed and measure it."""

from __future__ import annotations

from typing import ClassVar

from torch import nn


class VideoNetwork(nn.Module):
    """A network that gives each clip one score per class."""

    input_shape: ClassVar[tuple[int, int, int, int]]
    """Channels, frames, height and width of one clip."""

    classifier: ClassVar[str]
    """Name of the layer whose weight has one row per class."""

    stack: ClassVar[tuple[str, ...]]
    """Names of the layers whose times are summed up when convolutions are compared."""
