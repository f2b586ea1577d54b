"""300 random layers in generated C: errors within the tolerance, and the same bits by every schedule.

Errors are relative L2 norms against float64 convolution of the same inputs. They are held against what the model
expects (`winograd.conv.choosing.prediction`), 8 % more for what it may be off, and the scatter of a norm of few tiles.
Where that is within the tolerance, as nearly everywhere, so is the error.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache

import pytest

torch = pytest.importorskip("torch")

from tests.conv.random_layers import (  # noqa: E402
    COUNT,
    MOST_ALGORITHMS,
    TOLERANCES,
    Layer,
    dtype_of,
    layers,
    most_expected,
)
from winograd.conv.native.kernel import native_convolution  # noqa: E402
from winograd.conv.native.schedule import Schedule, ScheduleKind  # noqa: E402
from winograd.conv.plan.record import Backend  # noqa: E402
from winograd.conv.running.packing import pack_for_plan  # noqa: E402
from winograd.conv.running.run import run_plan  # noqa: E402
from winograd.testing.convolution import Convolution  # noqa: E402
from winograd.testing.tolerance import independent_tiles  # noqa: E402

DIRECT = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
LAYOUT = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d}
ROUNDOFF = {"float32": 0.0, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""By what rounding once more, to the dtype of the outputs, changes a number at most, relative to it."""

SIGMAS = 4
"""Of 300 layers, one is beyond with a probability of 1 %; the seed is fixed."""


def numbers(*dtypes: str) -> list[int]:
    """Return the layers of some dtypes."""
    return [number for number in range(COUNT) if dtype_of(number) in dtypes]


def operands(layer: Layer):
    """Return input and weight, normally distributed and rounded to the layer's dtype."""
    shape, generator = layer.shape, torch.Generator().manual_seed(layer.number)
    dtype = getattr(torch, shape.dtype)
    input = torch.randn(shape.batch, shape.channels, *shape.sizes, generator=generator).to(dtype)
    weight = torch.randn(shape.weight_sizes, generator=generator).to(dtype)
    return input.to(memory_format=LAYOUT[shape.ndim]) if layer.is_channels_last else input, weight


def direct_f64(layer: Layer, input, weight):
    """Return the convolution in float64, padded by hand."""
    sides = [side for pair in reversed(layer.shape.padding) for side in pair]
    return DIRECT[layer.shape.ndim](torch.nn.functional.pad(input.double(), sides), weight.double())


def relative_l2(output, exact) -> float:
    return float((output.double() - exact).norm() / exact.norm())


def rounded_too(error: float, dtype: str) -> float:
    """Return the largest error after outputs of such an error were rounded to a dtype."""
    return error + ROUNDOFF[dtype] * (1 + error)


def allowed(layer: Layer, input, weight) -> float:
    """Return the largest error of a right kernel: norms of n independent tiles scatter by 1 / sqrt(n)."""
    convolution = Convolution(input.double().numpy(), weight.double().numpy(), layer.algorithm, layer.shape.padding)
    scatter = 1 + SIGMAS / math.sqrt(independent_tiles(convolution))
    return rounded_too(scatter * most_expected(layer.shape, layer.algorithm), layer.shape.dtype)


@lru_cache(maxsize=COUNT)
def measured(number: int) -> float:
    """Return the error of a layer as its plan runs it."""
    layer = layers()[number]
    input, weight = operands(layer)
    return relative_l2(run_plan(layer.plan, input, weight), direct_f64(layer, input, weight))


@pytest.mark.parametrize("number", range(COUNT))
def test_error_is_what_the_model_allows(number: int) -> None:
    layer = layers()[number]
    assert layer.plan.backend is Backend.NATIVE
    assert measured(number) <= allowed(layer, *operands(layer))


def test_errors_are_within_the_tolerance() -> None:
    for layer in layers():
        assert measured(layer.number) <= rounded_too(layer.tolerance, layer.shape.dtype), layer


def test_what_is_drawn() -> None:
    """Every kind of layer is there, and enough of them ran by a plan of their own."""
    drawn = layers()
    assert len(drawn) == COUNT
    assert Counter(layer.shape.dtype for layer in drawn) == {"float32": 240, "float16": 30, "bfloat16": 30}
    assert all(layer.plan.backend is Backend.NATIVE for layer in drawn)
    assert sum(not layer.is_forced for layer in drawn) >= 10
    assert len({(layer.algorithm, layer.shape.dtype) for layer in drawn}) <= MOST_ALGORITHMS
    assert any(layer.algorithm.rank > math.prod(layer.algorithm.tile) for layer in drawn)
    assert {layer.shape.ndim for layer in drawn} == {1, 2, 3}
    assert {layer.shape.batch for layer in drawn} == {1, 2, 3}
    assert {layer.tolerance for layer in drawn} == set(TOLERANCES)
    assert {1, 3, 17, 65, 70} <= {layer.shape.channels for layer in drawn} & {layer.shape.outputs for layer in drawn}
    assert any(low != high for layer in drawn for low, high in layer.shape.padding)
    assert {5, 3, 1} == {taps for layer in drawn for taps in layer.shape.taps}


def test_the_same_layers_are_drawn_again() -> None:
    before = [(layer.shape, layer.plan.digest) for layer in layers()]
    layers.cache_clear()
    assert [(layer.shape, layer.plan.digest) for layer in layers()] == before


@pytest.mark.parametrize("number", range(0, COUNT, 2))
def test_every_schedule_gives_the_same_bits(number: int) -> None:
    layer = layers()[number]
    assert layer.plan.backend is Backend.NATIVE
    input, weight = operands(layer)
    packed = pack_for_plan(layer.plan, weight)
    expected = run_plan(layer.plan, input, weight, packed=packed)
    convolution = native_convolution(layer.algorithm, layer.shape.dtype)
    for kind in ScheduleKind:
        schedule = Schedule(kind, 1 + number % 31)
        output = convolution.convolve(input, packed, padding=layer.shape.padding, schedule=schedule)
        assert torch.equal(output, expected)


@pytest.mark.parametrize("number", numbers("float16", "bfloat16"))
def test_16_bits_are_float32_rounded_once(number: int) -> None:
    layer = layers()[number]
    assert layer.plan.backend is Backend.NATIVE
    input, weight = operands(layer)
    wide = native_convolution(layer.algorithm)
    expected = wide.convolve(input.float(), wide.pack(weight.float()), padding=layer.shape.padding)
    assert torch.equal(run_plan(layer.plan, input, weight), expected.to(input.dtype))


@pytest.mark.parametrize("number", range(0, COUNT, 10))
def test_one_changed_value_of_the_packed_filter_is_noticed(number: int) -> None:
    layer = layers()[number]
    input, weight = operands(layer)
    packed = pack_for_plan(layer.plan, weight)
    packed.values[packed.values.abs().argmax()] *= 1.5
    output = run_plan(layer.plan, input, weight, packed=packed)
    assert relative_l2(output, direct_f64(layer, input, weight)) > allowed(layer, input, weight)
