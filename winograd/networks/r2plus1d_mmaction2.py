"""R(2+1)D as mmaction2 builds and trains it: its weights fit no other form.

In: clips of shape (N, 3, 8, 224, 224), or of other sizes. Out: one score per class. Beside the paper's network, the
stem's channels in between follow the rule, too (83 in place of 45), a max pooling follows the stem, shortcuts are pairs
of 1x1x1 convolutions, and the normalisations inside the pairs add another epsilon. Module names are those of R(2+1)D.

References: open-mmlab/mmaction2, mmaction/models/common/conv2plus1d.py and mmaction/models/backbones/resnet3d.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from torch import nn

from winograd.networks.builder import Builder, Conv
from winograd.networks.residual import STEM_CHANNELS, ResidualBlock, VideoResNet

_INNER_EPS: Final = 1e-5

Taps = tuple[int, int, int]


def r2plus1d_mmaction2(
    depths: Sequence[int], num_classes: int, *, conv: Conv = nn.Conv3d, norm_eps: float = 1e-3
) -> VideoResNet:
    """Return the network with so many blocks in each of its four layers.

    Parameters
    ----------
    depths : sequence of int
        Blocks of each layer.
    num_classes : int
        Number of scores, at least 1.
    conv : callable
        Builds each convolution.
    norm_eps : float
        Of the normalisations behind pairs.
    """
    inner, outer = Builder(conv, norm_eps=_INNER_EPS), Builder(conv, norm_eps=norm_eps)
    stem = nn.Sequential(
        *_pair(inner, 3, STEM_CHANNELS, (3, 7, 7), (1, 2, 2)),
        outer.norm(STEM_CHANNELS),
        nn.ReLU(inplace=True),
        nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
    )
    return VideoResNet(
        stem, depths, partial(_block, inner, outer), num_classes=num_classes, input_shape=(3, 8, 224, 224)
    )


def _block(inner: Builder, outer: Builder, _: int, channels: int, width: int, step: int) -> ResidualBlock:
    def normalised(sources: int, taps: int, stride: int) -> tuple[nn.Module, nn.Module]:
        return _pair(inner, sources, width, (taps,) * 3, (stride,) * 3), outer.norm(width)

    chain = (
        nn.Sequential(*normalised(channels, 3, step), nn.ReLU(inplace=True)),
        nn.Sequential(*normalised(width, 3, 1)),
    )
    changed = step > 1 or channels != width
    return ResidualBlock(chain, width, nn.Sequential(*normalised(channels, 1, step)) if changed else None)


def _pair(builder: Builder, channels: int, outputs: int, taps: Taps, stride: Taps) -> nn.Sequential:
    """Return a convolution over space, normalisation, ReLU, and one over time; for one tap, too, as if it had three."""
    space = taps[1] * taps[2]
    middle = 3 * channels * outputs * space // (channels * space + 3 * outputs)
    return nn.Sequential(
        *builder.activated(channels, middle, (1, *taps[1:]), stride=(1, *stride[1:])),
        builder.convolution(middle, outputs, (taps[0], 1, 1), stride=(stride[0], 1, 1)),
    )
