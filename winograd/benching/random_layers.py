"""Random convolutions of all kinds: one to three axes, kernels of 1 to 7 taps, strides, dilation, groups, any padding.

In: how many, a seed, a batch size. Out: layers in float32, the same for the same arguments in every process. Their work
is drawn between what takes direct convolution some ten microseconds and some ten milliseconds.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from math import exp, log, prod
from typing import Final, TypeVar

from winograd.benching.layers import BenchLayer
from winograd.conv.geometry.shape import ConvShape

Drawn = TypeVar("Drawn")

RANDOM_LAYERS: Final = 300
"""How many convolutions the suite has."""

_KINDS: Final = {"dense": 10, "strided": 5, "dilated": 2, "grouped": 3, "depthwise": 2, "pointwise": 3}
"""Kinds and how often each is drawn."""

_NDIMS: Final = {3: 6, 2: 3, 1: 1}

_TAPS: Final = {
    1: ((3,), (2,), (4,), (5,), (6,), (7,)),
    2: ((3, 3), (3, 3), (2, 2), (5, 5), (7, 7), (1, 3), (3, 1), (4, 4), (1, 7), (6, 6), (3, 5)),
    3: (
        (3, 3, 3), (3, 3, 3), (3, 3, 3), (1, 3, 3), (3, 1, 1), (2, 2, 2), (5, 5, 5), (3, 5, 5), (1, 5, 5), (7, 7, 7),
        (3, 7, 7), (1, 7, 7), (4, 4, 4), (1, 1, 3), (1, 3, 1), (5, 1, 1), (2, 3, 4), (6, 1, 1), (7, 1, 1),
    ),
}  # fmt: skip
"""Kernels by axes: a table and not three numbers, so that there are not too many kernels to compile."""

_CHANNELS: Final = (1, 2, 3, 4, 7, 8, 16, 24, 32, 45, 48, 64, 64, 96, 128, 128, 144, 192, 256, 256, 384, 512, 512)

_MACS: Final = (2e5, 3e9)
"""Multiplications, at least and at most."""

_MEMORY_BOUND_MACS: Final = 1e8
"""Most multiplications of those kinds whose time is that of memory."""

_ELEMENTS: Final = 2**23
"""Of input, weight and output at most."""

_LARGEST: Final = 224


def random_layers(number: int = RANDOM_LAYERS, seed: int = 0, batch: int = 1) -> tuple[BenchLayer, ...]:
    """Return so many convolutions, each once; a larger number begins with those of a smaller one.

    Examples
    --------
    >>> [layer.name for layer in random_layers(3)] == [layer.name for layer in random_layers(30)[:3]]
    True
    """
    generator = random.Random(seed)
    found: dict[ConvShape, BenchLayer] = {}
    while len(found) < number:
        kind = _weighted(generator, _KINDS)
        shape = _drawn(generator, kind)
        if shape is not None and shape not in found:
            found[shape] = BenchLayer(f"{len(found):03d} {kind}", shape, generator.random() < 0.5)
    return tuple(replace(one, shape=replace(one.shape, batch=batch * one.shape.batch)) for one in found.values())


def _drawn(generator: random.Random, kind: str) -> ConvShape | None:
    """Return a shape of that kind, or None where what was drawn is too large, too small or no convolution."""
    ndim = _weighted(generator, _NDIMS)
    taps = (1,) * ndim if kind == "pointwise" else generator.choice(_TAPS[ndim])
    channels, outputs = generator.choice(_CHANNELS), generator.choice(_CHANNELS)
    groups = 1
    if kind == "depthwise":
        groups = outputs = channels
    elif kind == "grouped":
        groups = generator.choice([2, 2, 4, 8])
        channels, outputs = channels * groups, outputs * groups
    stride = _steps(generator, ndim, kind == "strided")
    dilation = _steps(generator, ndim, kind == "dilated")
    sizes = _sizes(generator, ndim, channels * outputs // groups * prod(taps), prod(stride), kind)
    extents = [(count - 1) * step + 1 for count, step in zip(taps, dilation, strict=True)]
    padding = tuple(_padding(generator, extent) for extent in extents)
    try:
        shape = ConvShape(
            generator.choice([1, 1, 1, 2, 4]),
            channels,
            outputs,
            sizes,
            taps,
            stride,
            dilation,
            padding,
            groups,
            "float32",
        )
    except ValueError:  # smaller than its kernel
        return None
    return shape if _is_moderate(shape, kind) else None


def _sizes(generator: random.Random, ndim: int, per_place: int, skipped: int, kind: str) -> tuple[int, ...]:
    """Return sizes that make the work what is drawn, evenly on a scale of logarithms."""
    wanted = exp(generator.uniform(log(_MACS[0]), log(_most_macs(kind))))
    side = (wanted * skipped / per_place) ** (1 / ndim)
    return tuple(
        min(_LARGEST * 64 if ndim == 1 else _LARGEST, round(side * generator.uniform(0.6, 1.6))) for _ in range(ndim)
    )


def _most_macs(kind: str) -> float:
    return _MEMORY_BOUND_MACS if kind in ("depthwise", "pointwise") else _MACS[1]


def _steps(generator: random.Random, ndim: int, several: bool) -> tuple[int, ...]:
    if not several:
        return (1,) * ndim
    return generator.choice([(2,) * ndim, (2,) * ndim, (1,) * (ndim - 1) + (2,), (3,) * ndim])


def _padding(generator: random.Random, extent: int) -> tuple[int, int]:
    """Return none, an even one that keeps sizes as far as it can, or an uneven one."""
    half = (extent - 1) // 2
    return generator.choice(
        [(0, 0), (half, half), (half, half), (half, extent - 1 - half), (generator.randint(0, half), half)]
    )


def _is_moderate(shape: ConvShape, kind: str) -> bool:
    places = shape.batch * prod(shape.sizes), shape.batch * prod(shape.output)
    elements = max(shape.channels * places[0], shape.outputs * places[1], prod(shape.weight_sizes))
    return elements <= _ELEMENTS and _MACS[0] <= shape.macs <= 1.5 * _most_macs(kind)


def _weighted(generator: random.Random, weights: Mapping[Drawn, int]) -> Drawn:
    return generator.choices(list(weights), list(weights.values()))[0]
