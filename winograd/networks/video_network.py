"""`VideoNetwork`: what every network of this room says about itself, so that commands can feed and measure it."""

from __future__ import annotations

from torch import nn


class VideoNetwork(nn.Module):
    """A network that gives each clip one score per class; what is said below is so of the class or of the instance."""

    input_shape: tuple[int, int, int, int]
    """Channels, frames, height and width of one clip."""

    classifier: str
    """Name of the layer whose weight has one row per class."""

    stack: tuple[str, ...] = ()
    """Names of the layers whose times are summed up when convolutions are compared."""
