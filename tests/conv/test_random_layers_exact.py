"""The plans of the 300 random layers on Python's integers: equal to direct convolution, and not when a number is wrong.

Layers keep their taps, padding and algorithm; channels are cut to two, sizes to one ragged tile, or two on one axis.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.conv.random_layers import COUNT, Layer, layers
from tests.conv.test_reference import flipped
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.plan.record import Backend
from winograd.conv.reference import convolve_reference
from winograd.conv.reference.convolve import Array, direct_ref
from winograd.conv.reference.plan import plan_reference


def cut(layer: Layer) -> ConvShape:
    """Return the shape with few channels and tiles; the axis that keeps two tiles changes from layer to layer."""
    shape, outputs = layer.shape, []
    for axis, (m, size) in enumerate(zip(layer.algorithm.m, shape.output, strict=True)):
        tiles = 2 if axis == layer.number % shape.ndim else 1
        outputs.append(min(size, tiles * m - (layer.number + axis) % m))
    sizes = [
        max(count + taps - 1 - low - high, 1)
        for count, taps, (low, high) in zip(outputs, shape.taps, shape.padding, strict=True)
    ]
    few = {"batch": min(shape.batch, 1 + layer.number % 2), "channels": min(shape.channels, 2)}
    return replace(shape, **few, outputs=min(shape.outputs, 2), sizes=tuple(sizes), dtype="object")


def operands(layer: Layer) -> tuple[Array, Array, tuple[tuple[int, int], ...]]:
    """Return random integers of up to 20 bits, as Python's own, and the padding."""
    shape, generator = cut(layer), np.random.default_rng(layer.number)
    input_ = generator.integers(-(10**6), 10**6, (shape.batch, shape.channels, *shape.sizes))
    weight = generator.integers(-(10**6), 10**6, shape.weight_sizes)
    return input_.astype(object), weight.astype(object), shape.padding


@pytest.mark.parametrize("number", range(COUNT))
def test_the_plan_equals_direct_convolution_exactly(number: int) -> None:
    layer = layers()[number]
    plan = plan_reference(cut(layer), algorithm=layer.algorithm)
    assert plan.backend is Backend.REFERENCE
    assert plan.predicted_error == 0
    input_, weight, padding = operands(layer)
    result = convolve_reference(input_, weight, algorithm=plan.algorithm, padding=padding)
    assert result.dtype == object
    assert np.array_equal(result, direct_ref(input_, weight, padding=padding))


@pytest.mark.parametrize("name", ["at", "g", "bt"])
def test_one_wrong_sign_in_a_matrix_is_noticed(name: str) -> None:
    """On a whole tile: entries that only ever meet zeros of the padding cannot be seen."""
    generator = np.random.default_rng(0)
    for algorithm in dict.fromkeys(layer.algorithm for layer in layers()):
        axes = list(algorithm.axes)
        longest = max(range(len(axes)), key=lambda place: algorithm.tile[place])
        entries = [entry for entry, value in enumerate(getattr(axes[longest], name)) if value]
        axes[longest] = flipped(axes[longest], name, int(generator.choice(entries)))
        input_ = generator.integers(1, 10**6, (1, 1, *algorithm.tile)).astype(object)
        weight = generator.integers(1, 10**6, (1, 1, *algorithm.r)).astype(object)
        padding = [(0, 0)] * len(axes)
        result = convolve_reference(input_, weight, algorithm=NestedAlgorithm(tuple(axes)), padding=padding)
        assert not np.array_equal(result, direct_ref(input_, weight, padding=padding)), algorithm
