from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.strategies import algorithms
from winograd.accuracy.orders import Order
from winograd.accuracy.pipeline import run_tiles
from winograd.accuracy.protocol import STANDARD, Experiment, FilterRounding
from winograd.accuracy.sums import sum_channels
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import nest
from winograd.codegen.interpret import Contraction


def multiply_ref(matrix: Any, vector: NDArray[Any]) -> NDArray[Any]:
    """Product and sum of one number at a time, from left to right, zeros included."""
    kind = vector.dtype.type
    result = []
    for row in matrix.tolist():
        terms = [kind(float(entry)) * value for entry, value in zip(row, vector, strict=True)]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        result.append(total)
    return np.array(result, dtype=vector.dtype)


def transform_ref(matrices: tuple[Any, Any], values: NDArray[Any]) -> NDArray[Any]:
    columns = np.stack([multiply_ref(matrices[0], column) for column in values.T], axis=1)
    return np.stack([multiply_ref(matrices[1], row) for row in columns])


@given(algorithms(5), algorithms(5), st.sampled_from(["float16", "float32"]), st.integers(0, 2**32 - 1))
def test_sequential_pipeline_is_the_textbook_loop_bit_for_bit(
    first: BilinearAlgorithm, second: BilinearAlgorithm, dtype: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    nested = nest(first, second)
    data = rng.uniform(-1, 1, nested.tile).astype(dtype)
    filters = rng.uniform(-1, 1, nested.r).astype(dtype)
    with np.errstate(all="ignore"):
        products = transform_ref((first.g, second.g), filters) * transform_ref((first.bt, second.bt), data)
        expected = transform_ref((first.at, second.at), products)
        computed = run_tiles(nested, data[..., None, None], filters[..., None, None], Order.SEQUENTIAL, STANDARD)
    assert computed.dtype == dtype
    if np.isfinite(expected).all():
        np.testing.assert_array_equal(computed[..., 0], expected)


def test_channel_sums_round_as_the_experiment_says() -> None:
    big = np.float32(2**24)
    u = np.array([[big], [1], [1], [1]], dtype=np.float32)
    v = np.ones_like(u)
    assert sum_channels(u, v, Experiment("running", channels=4)).item() == big
    assert sum_channels(u, v, Experiment("blocks", channels=4, channel_block=2)).item() == big + 2


def test_fused_sums_round_once() -> None:
    small = np.float32(2**-12)
    u = np.array([[1], [1 + small]], dtype=np.float32)
    v = np.array([[-1 - 2 * small], [1 + small]], dtype=np.float32)
    fused = Experiment("fused", channels=2, contraction=Contraction.FUSED)
    assert sum_channels(u, v, fused).item() == small**2
    assert sum_channels(u, v, Experiment("separate", channels=2)).item() == 0


def test_filters_rounded_once_are_the_nearest_numbers() -> None:
    axis = BilinearAlgorithm(m=1, r=3, at=[[1, 1, 1]], g=[["1/3", 0, 0], [0, 1, 0], [0, 0, 1]],
                             bt=[[3, 0, 0], [0, 1, 0], [0, 0, 1]])  # fmt: skip
    once = Experiment("once", filter_rounding=FilterRounding.ONCE)
    data = np.array([1, 0, 0], dtype=np.float32).reshape(3, 1, 1)
    filters = np.array([7, 0, 0], dtype=np.float32).reshape(3, 1, 1)
    computed = run_tiles(nest(axis), data, filters, Order.SEQUENTIAL, once).item()
    assert computed == np.float32(3) * np.float32(7 / 3)
