"""ResNet3D with bottlenecks, and the channel-separated networks ip-CSN and ir-CSN that come from it.

In: clips of shape (N, 3, 8, 224, 224), as the first study of the paper has them, or of other sizes. Out: one score per
class. Module names are those of torchvision's video networks, as the authors' PyTorch weights have them.

References: Tran, Wang, Torresani, Feiszli, arXiv 1904.02811.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from torch import nn

from winograd.networks.builder import Builder, Conv
from winograd.networks.kinds import DENSE, DEPTHWISE, POINTWISE_THEN_DEPTHWISE, ConvKind
from winograd.networks.residual import STEM_CHANNELS, VideoResNet, bottleneck
from winograd.quoting import quote

_DEPTHS: Final[Mapping[int, tuple[int, int, int, int]]] = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

_KINDS: Final[Mapping[str, ConvKind]] = {
    "dense": DENSE,
    "interaction-preserved": POINTWISE_THEN_DEPTHWISE,
    "interaction-reduced": DEPTHWISE,
}


def bottleneck_network(
    num_classes: int = 400,
    *,
    depth: int = 50,
    separation: str = "dense",
    conv: Conv = nn.Conv3d,
    norm_eps: float = 1e-3,
) -> VideoResNet:
    """Return a residual network of bottlenecks whose 3x3x3 convolutions mix channels, or leave that to 1x1x1 ones.

    Parameters
    ----------
    num_classes : int
        Number of scores, at least 1.
    depth : int
        50, 101 or 152.
    separation : {"dense", "interaction-preserved", "interaction-reduced"}
        ResNet3D with 3x3x3; ip-CSN with 1x1x1 and depthwise 3x3x3 in its place; ir-CSN with depthwise 3x3x3 only.
    conv : callable
        Builds each convolution.
    norm_eps : float
        Of the normalisations; the authors' weights need 1e-3.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):  # shapes only, no memory
    ...     model = bottleneck_network(separation="interaction-reduced")
    >>> sum(parameter.numel() for parameter in model.parameters())
    13131152
    """
    if depth not in _DEPTHS:
        raise ValueError(f"depth is {depth}, must be one of {', '.join(map(str, _DEPTHS))}")
    if separation not in _KINDS:
        raise ValueError(f"separation is {quote(separation)}, must be one of {', '.join(_KINDS)}")
    builder = Builder(conv, norm_eps=norm_eps)
    stem = nn.Sequential(
        *builder.activated(3, STEM_CHANNELS, (3, 7, 7), stride=(1, 2, 2)),
        nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
    )
    return VideoResNet(
        stem,
        _DEPTHS[depth],
        lambda _, channels, width, step: bottleneck(builder, _KINDS[separation], channels, width, step),
        num_classes=num_classes,
        input_shape=(3, 8, 224, 224),
    )
