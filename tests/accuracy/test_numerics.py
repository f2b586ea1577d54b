"""The rows of bad input that are about numbers, and their neighbours; docs/testing.md says where each row is tested.

Errors are held against `winograd.testing.assert_within_bound`, exact arithmetic against the definition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from winograd import conv1d, conv2d, conv3d, error_bound, nest, toom_cook
from winograd.accuracy.formats import float_format
from winograd.accuracy.measuring.pipeline import run_tiles
from winograd.accuracy.orders import Order, axis_programs
from winograd.accuracy.protocol import STANDARD, ChannelSum, Experiment, FilterRounding
from winograd.accuracy.reference import direct_ref
from winograd.algebra.bilinear import fraction_rows
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.interpret import Contraction
from winograd.conv.reference import convolve_reference
from winograd.testing import assert_within_bound, nested_algorithms

Array = NDArray[Any]

F23, F43, F63 = toom_cook(2, 3), toom_cook(4, 3), toom_cook(6, 3)
OURS: dict[int, Callable[..., Any]] = {1: conv1d, 2: conv2d, 3: conv3d}

EXPERIMENTS = [
    Experiment("textbook"),
    Experiment("fused", contraction=Contraction.FUSED),
    Experiment("blocks", channel_block=2, contraction=Contraction.FUSED, filter_rounding=FilterRounding.ONCE),
    Experiment("pairwise", channel_sum=ChannelSum.PAIRWISE, filter_rounding=FilterRounding.ONCE),
]


def run_pairs(
    nested: NestedAlgorithm,
    data: Array,
    weights: Array,
    order: Order = Order.LOWERED,
    experiment: Experiment = STANDARD,
) -> Array:
    """Return tiles (N, C, *tile) times filters (K, C, *taps) as computed in their dtype: (N, K, *m)."""
    channels = replace(experiment, channels=data.shape[1])
    tiles = np.repeat(np.moveaxis(data, (0, 1), (-1, -2)), len(weights), axis=-1)
    filters = np.tile(np.moveaxis(weights, (0, 1), (-1, -2)), len(data))
    with np.errstate(all="ignore"):
        outputs = run_tiles(nested, tiles, filters, order, channels)
    return np.moveaxis(outputs, -1, 0).reshape(len(data), len(weights), *nested.m)


def signs_of_products(nested: NestedAlgorithm, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return signs that make all terms of one random product of the algorithm positive."""
    data, filters = [], []
    for axis in nested.axes:
        bt, g = (np.array(fraction_rows(matrix), dtype=np.float64) for matrix in (axis.bt, axis.g))
        product = rng.integers(axis.rank)
        data.append(np.where(bt[product] < 0, -1.0, 1.0))
        filters.append(np.where(g[product] < 0, -1.0, 1.0))
    return reduce(np.multiply.outer, data), reduce(np.multiply.outer, filters)


def draw_inputs(nested: NestedAlgorithm, kind: str, channels: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw 3 tiles and 2 filters, in float64."""
    shapes = (3, channels, *nested.tile), (2, channels, *nested.r)
    data, weights = (rng.uniform(-1, 1, shape) for shape in shapes)
    if kind == "adversarial signs":
        signs = signs_of_products(nested, rng)
        return (2 - np.abs(data)) * signs[0], (2 - np.abs(weights)) * signs[1]
    if kind == "wide range":
        return data * 2.0 ** rng.integers(-12, 4, shapes[0]), weights * 2.0 ** rng.integers(-12, 2, shapes[1])
    if kind == "subnormal":
        return data * 2.0 ** rng.integers(-26, -8, shapes[0]), weights * 2.0 ** rng.integers(-26, 1, shapes[1])
    if kind == "cancellation":
        constant = np.broadcast_to(data[:, :, *(slice(1),) * nested.ndim], shapes[0])
        centred = weights - weights.mean(axis=tuple(range(2, weights.ndim)), keepdims=True)
        return constant, centred
    return data, weights


KINDS = ["uniform", "adversarial signs", "wide range", "subnormal", "cancellation"]


def fits(nested: NestedAlgorithm, order: Order, dtype: str) -> bool:
    """Whether no constant of the programs overflows the dtype."""
    programs = [axis_programs(axis, order) for axis in nested.axes]
    nodes = [node for one in programs for program in (one.data, one.filter, one.inverse) for node in program.nodes]
    return max((abs(node.constant or 0) for node in nodes), default=0) <= float_format(dtype).largest


@given(
    nested_algorithms(),
    st.sampled_from(["float16", "bfloat16", "float32", "float64"]),
    st.sampled_from(Order),
    st.sampled_from(EXPERIMENTS),
    st.sampled_from(KINDS),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
)
def test_float_error_stays_within_the_bound(
    nested: NestedAlgorithm, dtype: str, order: Order, experiment: Experiment, kind: str, channels: int, seed: int
) -> None:
    if dtype == "float64":
        experiment = replace(experiment, contraction=Contraction.SEPARATE)
    assume(fits(nested, order, dtype))
    kept = float_format(dtype)
    data, weights = map(kept.round, draw_inputs(nested, kind, channels, np.random.default_rng(seed)))
    result = run_pairs(nested, data, weights, order, experiment)
    assume(np.isfinite(result.astype(np.float64)).all())  # the bound assumes no overflow
    assert_within_bound(result, data, weights, nested, dtype, order=order.value)
    assert_within_bound(result, data, weights, nested, dtype, order=order.value, experiment=experiment)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_just_beyond_the_bound_is_noticed(kind: str, dtype: str) -> None:
    nested, wide = nest(F43, F23), np.float64
    data, weights = map(float_format(dtype).round, draw_inputs(nested, kind, 2, np.random.default_rng(0)))
    result = run_pairs(nested, data, weights).astype(wide)
    assert_within_bound(result, data, weights, nested, dtype)
    tile, filters = (np.moveaxis(x[:1].astype(wide), (0, 1), (-1, -2)) for x in (data, weights))
    allowed = error_bound(nested, dtype, channels=2).componentwise(tile, filters)[..., 0]
    result[0, 0] = direct_ref(tile, filters)[..., 0] + 1.1 * allowed
    with pytest.raises(AssertionError, match="; 8 of 48 outputs are beyond"):
        assert_within_bound(result, data, weights, nested, dtype)


@pytest.mark.parametrize("storage", ["float16", "bfloat16"])
def test_16_bit_storage_keeps_to_its_own_bound_and_not_to_that_of_float32(storage: str) -> None:
    experiment = Experiment("stored", contraction=Contraction.FUSED, storage=storage)
    nested = nest(F43, F43)
    data, weights = draw_inputs(nested, "uniform", 16, np.random.default_rng(0))
    data, weights = data.astype(np.float32), weights.astype(np.float32)
    result = run_pairs(nested, data, weights, experiment=experiment)
    assert_within_bound(result, data, weights, nested, experiment=experiment)
    with pytest.raises(AssertionError, match="worst case"):
        assert_within_bound(result, data, weights, nested)


def largest_share(nested: NestedAlgorithm, channels: int, trials: int) -> float:
    """Return the largest error over bound of any output for adversarial signs, in float32."""
    rng = np.random.default_rng(0)
    signs = [part[(..., *(None,) * 2)] for part in strongest_signs(nested)]
    shapes = (*nested.tile, channels, trials), (*nested.r, channels, trials)
    data, filters = (
        (rng.uniform(0.5, 1, shape) * sign).astype(np.float32) for shape, sign in zip(shapes, signs, strict=True)
    )
    result = run_tiles(nested, data, filters, Order.LOWERED, replace(STANDARD, channels=channels))
    errors = np.abs(result.astype(np.float64) - direct_ref(data.astype(np.float64), filters.astype(np.float64)))
    return float((errors / error_bound(nested, channels=channels).componentwise(data, filters)).max())


def strongest_signs(nested: NestedAlgorithm) -> tuple[Array, Array]:
    """Return signs that make all terms of the product with the largest part of the bound positive."""
    data, filters = [], []
    for axis in nested.axes:
        at, g, bt = (np.array(fraction_rows(matrix), dtype=np.float64) for matrix in (axis.at, axis.g, axis.bt))
        product = int((np.abs(at).max(axis=0) * np.abs(g).sum(axis=1) * np.abs(bt).sum(axis=1)).argmax())
        data.append(np.where(bt[product] < 0, -1.0, 1.0))
        filters.append(np.where(g[product] < 0, -1.0, 1.0))
    return reduce(np.multiply.outer, data), reduce(np.multiply.outer, filters)


@pytest.mark.parametrize(
    ("ndim", "channels", "least"), [(1, 1, 0.08), (2, 1, 0.01), (3, 1, 0.0), (1, 64, 0.0), (2, 64, 0.0), (3, 64, 0.0)]
)
def test_adversarial_signs_never_exceed_the_bound_and_reach_their_part_of_it(
    ndim: int, channels: int, least: float, capsys: pytest.CaptureFixture[str]
) -> None:
    shares = {
        m: largest_share(nest(*[toom_cook(m, 3)] * ndim), channels, 4000 // channels // 4**ndim + 8) for m in (2, 4)
    }
    with capsys.disabled():
        print(f" {ndim}D, {channels} channels: " + ", ".join(f"F({m},3) {x:.2%}" for m, x in shares.items()), end=" ")
    assert all(least <= share <= 1 for share in shares.values())


# 16 bits


def uniform(seed: int, *sizes: int) -> torch.Tensor:
    return torch.rand(*sizes, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("axis", "magnitude"), [(F43, 70), (F63, 20), (toom_cook(4, 3, "0,1,-1,2,-2,inf"), 70)])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_16_bit_inputs_that_a_narrow_transform_would_overflow_are_right(
    ndim: int, axis: Any, magnitude: float, dtype: str
) -> None:
    signs = torch.from_numpy(strongest_signs(nest(*[axis] * ndim))[0])
    data = (magnitude * signs * torch.ones(2, 4, *signs.shape)).to(getattr(torch, dtype))
    weights = uniform(1, 3, 4, *(3,) * ndim).to(data.dtype)
    algorithm = nest(*[axis] * ndim)
    result = OURS[ndim](data, weights, algorithm=algorithm)
    assert result.dtype == data.dtype
    assert torch.isfinite(result).all()
    assert_within_bound(result, data, weights, algorithm)
    if dtype == "float16":
        arrays = OURS[ndim](data.numpy(), weights.numpy(), algorithm=algorithm)
        assert_within_bound(arrays, data, weights, algorithm)


def test_the_same_inputs_overflow_a_transform_in_float16() -> None:
    nested = nest(*[toom_cook(4, 3, "0,1,-1,2,-2,inf")] * 3)
    data = (70 * strongest_signs(nested)[0] * np.ones((1, 1, *nested.tile))).astype(np.float16)
    weights = np.ones((1, 1, 3, 3, 3), dtype=np.float16)
    assert not np.isfinite(run_pairs(nested, data, weights)).all()


# Cancellation, and long sums


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_constant_input_under_a_filter_of_sum_zero_keeps_the_absolute_bound(ndim: int, dtype: str) -> None:
    line = torch.tensor([1.0, -2.0, 1.0]).to(getattr(torch, dtype))
    weights = reduce(lambda a, b: a[..., None] * b, [line] * ndim)[None, None]
    data = torch.full((1, 1, *(9,) * ndim), 0.7).to(line.dtype)
    algorithm = nest(*[F43] * ndim)
    result = OURS[ndim](data, weights, algorithm=algorithm)
    assert_within_bound(result, data, weights, algorithm)
    planned = OURS[ndim](data, weights)
    assert_within_bound(planned, data, weights, algorithm)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_4096_channels_of_one_output(ndim: int, dtype: str) -> None:
    data = uniform(0, 1, 4096, *(3,) * ndim).abs().to(getattr(torch, dtype))
    weights = uniform(1, 2, 4096, *(3,) * ndim).abs().to(data.dtype)
    algorithm = nest(*[F23] * ndim)
    result = OURS[ndim](data, weights, algorithm=algorithm)
    assert result.shape == (1, 2, *(1,) * ndim)
    assert_within_bound(result, data, weights, algorithm)


def test_the_term_of_the_channels_is_needed() -> None:
    # One product of 1 and 4095 of 2^-24, which a running sum in float32 loses one by one: off by 2^-12.
    direct = nest(toom_cook(1, 1))
    data, weights = np.full((1, 4096, 1), 2.0**-24, dtype=np.float32), np.ones((1, 4096, 1), dtype=np.float32)
    data[0, 0] = 1
    result = run_pairs(direct, data, weights)
    assert result.item() == 1
    assert_within_bound(result, data, weights, direct)
    pairwise = Experiment("pairwise", channel_sum=ChannelSum.PAIRWISE)
    assert_within_bound(
        run_pairs(direct, data, weights, experiment=pairwise), data, weights, direct, experiment=pairwise
    )
    with pytest.raises(AssertionError, match=r"off by 0\.000244"):
        assert_within_bound(result, data, weights, direct, experiment=pairwise)


# Exact arithmetic

SMALL = [(m, tile + 1 - m) for tile in range(1, 10) for m in range(1, tile + 1)]


def whole(seed: int, *sizes: int) -> Array:
    """Random integers, as objects."""
    return np.random.default_rng(seed).integers(-9, 10, sizes).astype(object)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize(("m", "r"), SMALL)
def test_the_pipeline_of_fractions_is_exact(m: int, r: int, ndim: int) -> None:
    nested = nest(*[toom_cook(m, r)] * ndim)
    data, weights = whole(m, 1, 1, *nested.tile), whole(r, 1, 1, *nested.r)
    result = convolve_reference(data, weights, algorithm=nested, padding=[(0, 0)] * ndim)
    exact = direct_ref(data[0, 0][..., None, None], weights[0, 0][..., None, None])[..., 0]
    assert (result[0, 0] == exact).all()
    assert all(isinstance(value, int | Fraction) for value in result.ravel())


def test_one_wrong_fraction_is_noticed() -> None:
    data, weights = whole(0, 1, 1, 6), whole(1, 1, 1, 3)
    wrong = data.copy()
    wrong[0, 0, 2] += Fraction(1, 10**30)
    exact = convolve_reference(data, weights, algorithm=F43, padding=[(0, 0)])
    assert not (convolve_reference(wrong, weights, algorithm=F43, padding=[(0, 0)]) == exact).all()
