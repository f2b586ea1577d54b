"""Kinds of layers, and what tiles make of them, against counting tile by tile."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import ceil, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.conv.geometry.shape import ConvShape
from winograd.networks.description.kinds import CONVOLUTIONS, LayerKind, kind_of
from winograd.networks.description.layer import Layer


def shape(taps: tuple[int, ...], *, stride: int = 1, dilation: int = 1, groups: int = 1, size: int = 9) -> ConvShape:
    axes = len(taps)
    return ConvShape(
        2, 4, 8, (size,) * axes, taps, (stride,) * axes, (dilation,) * axes, ((1, 1),) * axes, groups, "float32"
    )  # fmt: skip


def layer(convolution: ConvShape) -> Layer:
    return Layer("conv", "Conv3d", kind_of(convolution), (), (), 0, convolution.macs, convolution)


@pytest.mark.parametrize(
    ("convolution", "kind"),
    [
        (shape((3, 3, 3)), LayerKind.CUBE),
        (shape((1, 3, 3)), LayerKind.PICTURE),
        (shape((3, 3)), LayerKind.PICTURE),
        (shape((3, 1, 1)), LayerKind.TIME),
        (shape((3, 1)), LayerKind.TIME),
        (shape((3,)), LayerKind.LINE),
        (shape((1,)), LayerKind.POINTWISE),
        (shape((1, 3, 1)), LayerKind.LINE),
        (shape((1, 1, 3)), LayerKind.LINE),
        (shape((1, 3)), LayerKind.LINE),
        (shape((5, 5)), LayerKind.OTHER_TAPS),
        (shape((3, 3, 3), dilation=2), LayerKind.OTHER_TAPS),
        (shape((3, 3, 3), stride=2), LayerKind.STRIDED),
        (shape((7, 7)), LayerKind.OTHER_TAPS),
        (shape((1, 1, 1)), LayerKind.POINTWISE),
        (shape((1, 1), stride=2), LayerKind.POINTWISE),
        (shape((3, 3, 3), groups=4), LayerKind.DEPTHWISE),
        (shape((3, 3, 3), groups=4, stride=2), LayerKind.DEPTHWISE),
        (shape((3, 3, 3), groups=2), LayerKind.CUBE),
    ],
)
def test_a_convolution_is_of_one_kind(convolution: ConvShape, kind: LayerKind) -> None:
    assert kind_of(convolution) is kind
    assert kind in CONVOLUTIONS


def test_linear_layers_and_pools_are_no_convolutions() -> None:
    assert not {LayerKind.LINEAR, LayerKind.POOLING, LayerKind.OTHER} & set(CONVOLUTIONS)


def counted(convolution: ConvShape, m: int) -> int:
    """Count the products of every tile of every pair of channels, one by one."""
    tiles = [range(0, outputs, m) if taps > 1 else range(outputs) for outputs, taps in
             zip(convolution.output, convolution.taps, strict=True)]  # fmt: skip
    products = prod(m + taps - 1 if taps > 1 else 1 for taps in convolution.taps)
    pairs = convolution.batch * convolution.outputs * (convolution.channels // convolution.groups)
    return pairs * products * sum(1 for _ in product(*tiles))


@given(
    st.lists(st.sampled_from([1, 2, 3, 5]), min_size=1, max_size=3).map(tuple).filter(lambda taps: prod(taps) > 1),
    st.integers(1, 9),
    st.sampled_from([1, 2, 4]),
    st.integers(5, 11),
)
def test_tiles_multiply_as_often_as_counted_one_by_one(taps: tuple[int, ...], m: int, groups: int, size: int) -> None:
    convolution = shape(taps, groups=groups, size=size)
    assert layer(convolution).multiplications(m) == counted(convolution, m)
    axes = [min(ceil(o / m) * (m + r - 1) if r > 1 else o for m in range(1, 9))
            for o, r in zip(convolution.output, taps, strict=True)]  # fmt: skip
    pairs = 2 * 8 * (4 // groups)
    assert layer(convolution).multiplications(None) == pairs * prod(axes)
    assert layer(convolution).filter_bytes(m) == 4 * pairs // 2 * prod(m + r - 1 if r > 1 else 1 for r in taps)


def test_tiles_of_one_output_are_direct_convolution() -> None:
    one = layer(shape((3, 1, 3)))
    assert one.multiplications(1) == one.macs
    assert one.multiplications(2) < one.macs


@pytest.mark.parametrize("convolution", [shape((3, 3, 3), stride=2), shape((3, 3, 3), dilation=2), shape((1, 1, 1))])
def test_what_tiles_are_not_for_stays_direct(convolution: ConvShape) -> None:
    one = layer(convolution)
    assert not one.is_transformable
    assert (one.multiplications(4), one.filter_bytes(4)) == (convolution.macs, 0)


def test_a_ragged_tile_more_is_noticed() -> None:
    even, odd = shape((3, 3, 3), size=8), shape((3, 3, 3), size=9)
    assert layer(replace(even, batch=1)).multiplications(4) == counted(replace(even, batch=1), 4)
    assert layer(odd).multiplications(4) != odd.macs * 6**3 // 12**3  # as if tiles were always full
    assert layer(even).multiplications(4) == even.macs * 6**3 // 12**3
