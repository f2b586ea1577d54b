"""Layers of eight networks at batch 1, and the algorithms that `roofline_study.py` measures on them.

Definitions: C3D arXiv 1412.0767, I3D 1705.07750, the residual networks 1711.11248, CSN 1904.02811, P3D 1711.10305 and
ECO-Lite 1804.09066. A name that ends in "phases" is the dense layer that a strided one becomes. Layers of `DIRECT` have
no algorithm or hardly gain by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.candidates import AxisChoice, Candidate, axis_choices
from winograd.conv.geometry.shape import ConvShape

Triple = tuple[int, int, int]


def dense(channels: int, outputs: int, sizes: Triple, taps: Triple = (3, 3, 3), **arguments: object) -> ConvShape:
    padding = arguments.pop("padding", tuple(count // 2 for count in taps))
    groups = int(str(arguments.get("groups", 1)))
    weight = (outputs, channels // groups, *taps)
    return ConvArguments(padding=padding, **arguments).shape((1, channels, *sizes), weight, dtype="float32")


def strided(channels: int, outputs: int, sizes: Triple, taps: Triple, stride: Triple) -> ConvShape:
    return dense(channels, outputs, sizes, taps, stride=stride)


def depthwise(channels: int, sizes: Triple, stride: Triple = (1, 1, 1)) -> ConvShape:
    return dense(channels, channels, sizes, (3, 3, 3), stride=stride, groups=channels)


def pointwise(channels: int, outputs: int, sizes: Triple, stride: Triple = (1, 1, 1)) -> ConvShape:
    return dense(channels, outputs, sizes, (1, 1, 1), stride=stride)


FLAT, LONG, TWO = (1, 3, 3), (3, 1, 1), (2, 2, 2)

DENSE: Final = {
    "c3d conv1": dense(3, 64, (16, 112, 112)),
    "c3d conv2": dense(64, 128, (16, 56, 56)),
    "c3d conv3a": dense(128, 256, (8, 28, 28)),
    "c3d conv3b": dense(256, 256, (8, 28, 28)),
    "c3d conv4a": dense(256, 512, (4, 14, 14)),
    "c3d conv4b": dense(512, 512, (4, 14, 14)),
    "c3d conv5a": dense(512, 512, (2, 7, 7)),
    "r3d_18 layer1": dense(64, 64, (16, 56, 56)),
    "r3d_18 layer2": dense(128, 128, (8, 28, 28)),
    "r3d_18 layer2.0.conv1 phases": dense(512, 128, (9, 29, 29), TWO, padding=0),
    "r3d_18 layer3": dense(256, 256, (4, 14, 14)),
    "r3d_18 layer3.0.conv1 phases": dense(1024, 256, (5, 15, 15), TWO, padding=0),
    "r3d_18 stem phases": dense(12, 64, (18, 59, 59), (3, 4, 4), padding=0),
    "i3d_rgb Conv3d_2c_3x3": dense(64, 192, (32, 56, 56)),
    "i3d_rgb Mixed_3b.b2b": dense(16, 32, (32, 28, 28)),
    "i3d_rgb Mixed_3c.b2b": dense(32, 96, (32, 28, 28)),
    "i3d_rgb Mixed_4c.b2b": dense(24, 64, (16, 14, 14)),
    "i3d_rgb Mixed_4d.b1b": dense(128, 256, (16, 14, 14)),
    "i3d_rgb Mixed_5b.b1b": dense(160, 320, (8, 7, 7)),
    "i3d_rgb Mixed_5c.b2b": dense(48, 128, (8, 7, 7)),
    "mc3_18 layer2": dense(128, 128, (16, 28, 28), FLAT),
    "mc3_18 layer3": dense(256, 256, (16, 14, 14), FLAT),
    "mc3_18 layer4": dense(512, 512, (16, 7, 7), FLAT),
    "r2plus1d_18 stem phases": dense(12, 45, (16, 59, 59), (1, 4, 4), padding=0),
    "r2plus1d_18 stem.3": dense(45, 64, (16, 56, 56), LONG),
    "r2plus1d_18 layer1 flat": dense(64, 144, (16, 56, 56), FLAT),
    "r2plus1d_18 layer1 long": dense(144, 64, (16, 56, 56), LONG),
    "r2plus1d_18 layer2 flat": dense(128, 288, (8, 28, 28), FLAT),
    "r2plus1d_18 layer2 long": dense(288, 128, (8, 28, 28), LONG),
    "r2plus1d_18 layer3 flat": dense(256, 576, (4, 14, 14), FLAT),
    "r2plus1d_18 layer4 flat": dense(512, 1152, (2, 7, 7), FLAT),
    "p3d_63 res2 flat": dense(64, 64, (8, 40, 40), FLAT),
    "p3d_63 res2 long": dense(64, 64, (8, 40, 40), LONG),
    "p3d_63 res3 flat": dense(128, 128, (4, 20, 20), FLAT),
    "p3d_63 res4 flat": dense(256, 256, (2, 10, 10), FLAT),
    "eco_lite res3a": dense(96, 128, (16, 28, 28)),
    "eco_lite res3b": dense(128, 128, (16, 28, 28)),
    "eco_lite res4": dense(256, 256, (8, 14, 14)),
    "eco_lite res5": dense(512, 512, (4, 7, 7)),
}

DIRECT: Final = {
    "i3d_rgb Conv3d_1a_7x7": strided(3, 64, (64, 224, 224), (7, 7, 7), (2, 2, 2)),
    "i3d_rgb Conv3d_2b_1x1": pointwise(64, 64, (32, 56, 56)),
    "i3d_rgb Mixed_3b.b0": pointwise(192, 64, (32, 28, 28)),
    "i3d_rgb Mixed_4b.b1a": pointwise(480, 96, (16, 14, 14)),
    "i3d_rgb Mixed_4f.b2a": pointwise(528, 32, (16, 14, 14)),
    "i3d_rgb Mixed_5b.b0": pointwise(832, 256, (8, 7, 7)),
    "r3d_18 stem": strided(3, 64, (16, 112, 112), (3, 7, 7), (1, 2, 2)),
    "r3d_18 layer2.0.conv1": strided(64, 128, (16, 56, 56), (3, 3, 3), (2, 2, 2)),
    "r3d_18 layer3.0.conv1": strided(128, 256, (8, 28, 28), (3, 3, 3), (2, 2, 2)),
    "r3d_18 layer4.0.conv1": strided(256, 512, (4, 14, 14), (3, 3, 3), (2, 2, 2)),
    "r3d_18 layer2.0.downsample": pointwise(64, 128, (16, 56, 56), (2, 2, 2)),
    "r3d_18 layer4.0.downsample": pointwise(256, 512, (4, 14, 14), (2, 2, 2)),
    "mc3_18 layer2.0.conv1": strided(64, 128, (16, 56, 56), FLAT, (1, 2, 2)),
    "mc3_18 layer4.0.conv1": strided(256, 512, (16, 14, 14), FLAT, (1, 2, 2)),
    "r2plus1d_18 stem.0": strided(3, 45, (16, 112, 112), (1, 7, 7), (1, 2, 2)),
    "r2plus1d_18 layer2.0 flat": strided(64, 230, (16, 56, 56), FLAT, (1, 2, 2)),
    "r2plus1d_18 layer2.0 long": strided(230, 128, (16, 28, 28), LONG, (2, 1, 1)),
    "r2plus1d_18 layer3 long": dense(576, 256, (4, 14, 14), LONG),
    "r2plus1d_18 layer4 long": dense(1152, 512, (2, 7, 7), LONG),
    "p3d_63 conv1": strided(3, 64, (16, 160, 160), (1, 7, 7), (1, 2, 2)),
    "p3d_63 res2 in": pointwise(256, 64, (8, 40, 40)),
    "p3d_63 res2 out": pointwise(64, 256, (8, 40, 40)),
    "p3d_63 res4 long": dense(256, 256, (2, 10, 10), LONG),
    "p3d_63 res4 out": pointwise(256, 1024, (2, 10, 10)),
    "p3d_63 res5 in": pointwise(2048, 512, (1, 5, 5)),
    "p3d_63 res5": dense(512, 512, (1, 5, 5), FLAT),
    "ip_csn_50 stem": strided(3, 64, (8, 224, 224), (3, 7, 7), (1, 2, 2)),
    "ip_csn_50 layer1 in": pointwise(256, 64, (8, 56, 56)),
    "ip_csn_50 layer1 middle": pointwise(64, 64, (8, 56, 56)),
    "ip_csn_50 layer1 depthwise": depthwise(64, (8, 56, 56)),
    "ip_csn_50 layer1 out": pointwise(64, 256, (8, 56, 56)),
    "ip_csn_50 layer2.0 depthwise": depthwise(128, (8, 56, 56), (2, 2, 2)),
    "ip_csn_50 layer2 depthwise": depthwise(128, (4, 28, 28)),
    "ip_csn_50 layer2.0 downsample": pointwise(256, 512, (8, 56, 56), (2, 2, 2)),
    "ip_csn_50 layer3 depthwise": depthwise(256, (2, 14, 14)),
    "ip_csn_50 layer3 out": pointwise(256, 1024, (2, 14, 14)),
    "ip_csn_50 layer4 depthwise": depthwise(512, (1, 7, 7)),
    "ip_csn_50 layer4 in": pointwise(2048, 512, (1, 7, 7)),
    "eco_lite res4.0.conv1": strided(128, 256, (16, 28, 28), (3, 3, 3), (2, 2, 2)),
    "eco_lite res5.0.conv1": strided(256, 512, (8, 14, 14), (3, 3, 3), (2, 2, 2)),
}

NESTS: Final = {
    (
        3,
        3,
        3,
    ): "1 4 4, 2 2 2, 2 2 4, 2 3 3, 2 4 4, 2 7 7, 3 4 4, 4 2 5, 4 3 5, 4 4 4, 4 4 7, 4 5 5, 4 7 7, 5 7 7, 7 7 7, 8 4 4",
    (1, 3, 3): "1 2 2, 1 2 4, 1 3 3, 1 4 4, 1 5 5, 1 6 6, 1 7 7, 1 7 8",
    (3, 1, 1): "2 1 1, 3 1 1, 4 1 1, 6 1 1, 8 1 1",
    (2, 2, 2): "2 2 2, 2 4 4, 3 3 3, 4 4 4, 4 5 5, 4 7 7",
    (3, 4, 4): "2 2 2, 2 4 4, 4 4 4, 4 5 5",
    (1, 4, 4): "1 2 2, 1 4 4, 1 5 5, 1 7 7",
}
"""Outputs per axis of the algorithms that are measured, by taps: those of the fewest instructions."""

_SUPERLINEAR: Final = {(7, 3): 10, (8, 3): 11}


@lru_cache
def axis_choice(m: int, taps: int) -> AxisChoice:
    """Return the choice of so many outputs that plans have, of more than minimal products for F(7,3) and F(8,3)."""
    found = [choice for choice in axis_choices(taps, m) if choice.m == m]
    wanted = _SUPERLINEAR.get((m, taps))
    return next((choice for choice in found if choice.rank == wanted), found[0])


def candidates_of(shape: ConvShape) -> Iterator[Candidate]:
    """Yield the measured algorithms whose tiles are not much larger than the output."""
    for nest_ in NESTS[shape.taps].split(", "):
        m = tuple(map(int, nest_.split()))
        if all(count <= size for count, size in zip(m, shape.output, strict=True)):
            yield Candidate(tuple(axis_choice(*pair) for pair in zip(m, shape.taps, strict=True)))


def candidate_of(shape: ConvShape, row: Mapping[str, Sequence[int]]) -> Candidate:
    """Return the algorithm that a row of the study names by its outputs per axis."""
    return Candidate(tuple(axis_choice(m, taps) for m, taps in zip(row["m"], shape.taps, strict=True)))


def tested_layers() -> tuple[str, ...]:
    """Return the layers that the fit does not see: every third one."""
    return tuple(DENSE)[1::3]
