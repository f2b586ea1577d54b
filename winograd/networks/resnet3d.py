"""R2D, f-R2D, MCx, rMCx, R3D and R(2+1)D: one residual network, with space and time together or apart in each group.

In: clips of shape (N, 3, 16, 112, 112); other sizes, too, except R2D's number of frames. Out: one score per class.
Module names are torchvision's. Refused: groups, depths and rules that are none.

References: Tran, Wang, Torresani, Ray, LeCun, Paluri, arXiv 1711.11248. Groups are numbered as there: 1 is the stem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from torch import nn

from winograd.networks.builder import Builder, Conv
from winograd.networks.kinds import DENSE, SPACE_THEN_TIME, SPACE_THEN_TIME_BY_BLOCK, SPATIAL, ConvKind
from winograd.networks.r2plus1d_mmaction2 import r2plus1d_mmaction2
from winograd.networks.residual import STEM_CHANNELS, VideoResNet, basic_block
from winograd.quoting import quote

_DEPTHS: Final[Mapping[int, tuple[int, int, int, int]]] = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}

_GROUPS: Final = range(1, 6)

_STEM_MIDDLE: Final = 45
"""Channels between the two convolutions of R(2+1)D's stem; given by its authors, by no rule."""

_RULES: Final[Mapping[str, tuple[ConvKind, float]]] = {
    "paper": (SPACE_THEN_TIME, 1e-3),
    "torchvision": (SPACE_THEN_TIME_BY_BLOCK, 1e-5),
}
"""Per rule for R(2+1)D's channels in between, and the epsilon of the weights that were trained by it."""


def r3d(num_classes: int = 400, *, depth: int = 18, conv: Conv = nn.Conv3d, norm_eps: float = 1e-5) -> VideoResNet:
    """Return R3D: 3x3x3 everywhere.

    Parameters
    ----------
    num_classes : int
        Number of scores, at least 1.
    depth : int
        10, 18 or 34.
    conv : callable
        Builds each convolution.
    norm_eps : float
        Of the normalisations; weights from Caffe2 need 1e-3.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):  # shapes only, no memory
    ...     model = r3d()
    >>> sum(parameter.numel() for parameter in model.parameters())
    33371472
    """
    return _mixed([DENSE] * 5, depth, num_classes, Builder(conv, norm_eps=norm_eps))


def mc(split: int, num_classes: int = 400, *, conv: Conv = nn.Conv3d, norm_eps: float = 1e-5) -> VideoResNet:
    """Return MCx-18: 3D below group ``split``, 2 to 5, and 2D from there on; parameters are those of `r3d`."""
    _check_split(split)
    kinds = [DENSE if group < split else SPATIAL for group in _GROUPS]
    return _mixed(kinds, 18, num_classes, Builder(conv, norm_eps=norm_eps))


def rmc(split: int, num_classes: int = 400, *, conv: Conv = nn.Conv3d, norm_eps: float = 1e-5) -> VideoResNet:
    """Return rMCx-18: 2D below group ``split``, 2 to 5, and 3D from there on; parameters are those of `r3d`."""
    _check_split(split)
    kinds = [SPATIAL if group < split else DENSE for group in _GROUPS]
    return _mixed(kinds, 18, num_classes, Builder(conv, norm_eps=norm_eps))


def fr2d(num_classes: int = 400, *, conv: Conv = nn.Conv3d, norm_eps: float = 1e-5) -> VideoResNet:
    """Return f-R2D-18: 2D everywhere, frame by frame; the mean at the end is over time, too."""
    return _mixed([SPATIAL] * 5, 18, num_classes, Builder(conv, norm_eps=norm_eps))


def r2d(num_classes: int = 400, *, frames: int = 16, conv: Conv = nn.Conv3d, norm_eps: float = 1e-5) -> VideoResNet:
    """Return R2D-18: the stem takes all frames at once, as if they were channels, and leaves one; then 2D.

    ``frames`` is the number of frames of a clip, at least 1; the stem has taps for each.
    """
    if frames < 1:
        raise ValueError(f"frames is {frames}, must be at least 1")
    builder = Builder(conv, norm_eps=norm_eps)
    stem = builder.activated(3, STEM_CHANNELS, (frames, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3))
    return _trunk(stem, [SPATIAL] * 4, 18, num_classes, builder, frames=frames)


def r2plus1d(
    num_classes: int = 400,
    *,
    depth: int = 18,
    mid_channels: str = "paper",
    conv: Conv = nn.Conv3d,
    norm_eps: float | None = None,
) -> VideoResNet:
    """Return R(2+1)D: 1x3x3, normalisation, ReLU and 3x1x1 in the place of every 3x3x3.

    Parameters
    ----------
    num_classes : int
        Number of scores, at least 1.
    depth : int
        10, 18 or 34.
    mid_channels : {"paper", "torchvision", "mmaction2"}
        Rule for the channels in between: of each convolution, once for both convolutions of a block, or of the stem
        and the shortcuts, too, with what else is different there, see `winograd.networks.r2plus1d_mmaction2`.
    conv : callable
        Builds each convolution.
    norm_eps : float, optional
        Of the normalisations; for None 1e-5 by torchvision's rule and 1e-3 by the others, as the public weights need.
    """
    if mid_channels == "mmaction2":
        eps = 1e-3 if norm_eps is None else norm_eps
        return r2plus1d_mmaction2(_blocks(depth), num_classes, conv=conv, norm_eps=eps)
    if mid_channels not in _RULES:
        raise ValueError(f"mid_channels is {quote(mid_channels)}, must be one of {', '.join(_RULES)}, mmaction2")
    kind, usual_eps = _RULES[mid_channels]
    builder = Builder(conv, norm_eps=usual_eps if norm_eps is None else norm_eps)
    stem = nn.Sequential(
        *builder.activated(3, _STEM_MIDDLE, (1, 7, 7), stride=(1, 2, 2)),
        *builder.activated(_STEM_MIDDLE, STEM_CHANNELS, (3, 1, 1)),
    )
    return _trunk(stem, [kind] * 4, depth, num_classes, builder)


def _mixed(kinds: Sequence[ConvKind], depth: int, num_classes: int, builder: Builder) -> VideoResNet:
    taps = (3, 7, 7) if kinds[0] is DENSE else (1, 7, 7)
    stem = builder.activated(3, STEM_CHANNELS, taps, stride=(1, 2, 2))
    return _trunk(stem, kinds[1:], depth, num_classes, builder)


def _trunk(
    stem: nn.Module, kinds: Sequence[ConvKind], depth: int, num_classes: int, builder: Builder, frames: int = 16
) -> VideoResNet:
    return VideoResNet(
        stem,
        _blocks(depth),
        lambda layer, channels, width, step: basic_block(builder, kinds[layer - 1], channels, width, step),
        num_classes=num_classes,
        input_shape=(3, frames, 112, 112),
    )


def _blocks(depth: int) -> tuple[int, int, int, int]:
    if depth not in _DEPTHS:
        raise ValueError(f"depth is {depth}, must be one of {', '.join(map(str, _DEPTHS))}")
    return _DEPTHS[depth]


def _check_split(split: int) -> None:
    if split not in _GROUPS[1:]:
        raise ValueError(f"split is {split}, must be one of {', '.join(map(str, _GROUPS[1:]))}")
