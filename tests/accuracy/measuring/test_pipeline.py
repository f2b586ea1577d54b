from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.strategies import algorithms
from winograd.accuracy.formats import float_format, stored_format
from winograd.accuracy.measuring.pipeline import run_tiles, transform
from winograd.accuracy.measuring.sums import sum_channels
from winograd.accuracy.orders import Order, axis_programs
from winograd.accuracy.protocol import STANDARD, Experiment, FilterRounding
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.interpret import Contraction
from winograd.codegen.program import Node, Op


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


def test_filters_rounded_once_are_the_nearest_numbers() -> None:
    axis = BilinearAlgorithm(m=1, r=3, at=[[1, 1, 1]], g=[["1/3", 0, 0], [0, 1, 0], [0, 0, 1]],
                             bt=[[3, 0, 0], [0, 1, 0], [0, 0, 1]])  # fmt: skip
    once = Experiment("once", filter_rounding=FilterRounding.ONCE)
    data = np.array([1, 0, 0], dtype=np.float32).reshape(3, 1, 1)
    filters = np.array([7, 0, 0], dtype=np.float32).reshape(3, 1, 1)
    computed = run_tiles(nest(axis), data, filters, Order.SEQUENTIAL, once).item()
    assert computed == np.float32(3) * np.float32(7 / 3)


def tiles(nested: NestedAlgorithm, dtype: Any, *, channels: int = 1, trials: int = 50) -> tuple[NDArray[Any], ...]:
    rng = np.random.default_rng(7)
    shapes = ((*sizes, channels, trials) for sizes in (nested.tile, nested.r))
    return tuple(rng.uniform(-1, 1, shape).astype(dtype) for shape in shapes)


F43 = toom_cook(4, 3)


@pytest.mark.parametrize("storage", ["float16", "bfloat16", "tf32"])
def test_stored_operands_are_rounded_once_and_multiplied_in_the_dtype(storage: str) -> None:
    nested = nest(F43)
    data, filters = tiles(nested, np.float32)
    programs = axis_programs(F43, Order.LOWERED)
    v = transform([programs.data], data, Contraction.SEPARATE)
    u = transform([programs.filter], filters.astype(np.float64), Contraction.SEPARATE)
    fmt = stored_format(storage)
    product = fmt.round(u).astype(np.float32)[..., 0, :] * fmt.round(v).astype(np.float32)[..., 0, :]
    expected = transform([programs.inverse], product, Contraction.SEPARATE)
    experiment = Experiment("stored", storage=storage, filter_rounding=FilterRounding.ONCE)
    computed = run_tiles(nested, data, filters, Order.LOWERED, experiment)
    np.testing.assert_array_equal(computed, expected)
    assert (computed != run_tiles(nested, data, filters, Order.LOWERED, replace(experiment, storage=None))).any()


@pytest.mark.parametrize(("dtype", "wide"), [("float16", "float32"), ("bfloat16", "float32"), ("float32", "float64")])
@pytest.mark.parametrize("contraction", list(Contraction))
def test_wider_transforms_round_the_products_factors_and_the_outputs_only(
    dtype: str, wide: str, contraction: Contraction
) -> None:
    nested, fmt = nest(F43, F43), float_format(dtype)
    data, filters = tiles(nested, fmt.dtype, channels=2)
    programs = [axis_programs(F43, Order.HUFFMAN)] * 2
    v = fmt.round(transform([x.data for x in programs], data.astype(wide), contraction))
    u = fmt.round(transform([x.filter for x in programs], filters.astype(wide), contraction))
    experiment = Experiment("wide", channels=2, transforms=wide, contraction=contraction)
    total = sum_channels(u, v, experiment)
    expected = fmt.round(transform([x.inverse for x in programs], total.astype(wide), contraction))
    computed = run_tiles(nested, data, filters, Order.HUFFMAN, experiment)
    assert computed.dtype == fmt.dtype
    np.testing.assert_array_equal(computed, expected)


@pytest.mark.parametrize("interface", ["float16", "bfloat16"])
def test_outputs_are_rounded_to_the_interface_and_held_in_the_dtype(interface: str) -> None:
    nested, fmt = nest(F43), float_format(interface)
    data, filters = tiles(nested, np.float32)
    plain = run_tiles(nested, data, filters, Order.LOWERED, STANDARD)
    computed = run_tiles(nested, data, filters, Order.LOWERED, Experiment("narrow", interface=interface))
    assert computed.dtype == np.float32
    np.testing.assert_array_equal(computed, fmt.round(plain).astype(np.float32))


def test_wide_transforms_and_narrow_interface_round_the_outputs_once() -> None:
    nested, fmt = nest(F43), float_format("float16")
    data, filters = tiles(nested, np.float32, trials=50_000)
    programs = axis_programs(F43, Order.LOWERED)
    v, u = (
        transform([program], values.astype(np.float64), Contraction.SEPARATE).astype(np.float32)[..., 0, :]
        for program, values in ((programs.data, data), (programs.filter, filters))
    )
    outputs = transform([programs.inverse], (u * v).astype(np.float64), Contraction.SEPARATE)
    experiment = Experiment("both", transforms="float64", interface="float16")
    computed = run_tiles(nested, data, filters, Order.LOWERED, experiment)
    np.testing.assert_array_equal(computed, fmt.round(outputs).astype(np.float32))
    assert (computed != fmt.round(outputs.astype(np.float32)).astype(np.float32)).any()


def test_bfloat16_arithmetic_rounds_every_instruction() -> None:
    fmt = float_format("bfloat16")
    data, filters = tiles(nest(F43), fmt.dtype)
    programs = axis_programs(F43, Order.HUFFMAN)
    rounded = []

    def instruction(node: Node, values: list[NDArray[Any]]) -> NDArray[Any]:
        constant = None if node.constant is None else float(fmt.rounded(node.constant))
        a, b = (*(values[argument] for argument in node.args), None)[:2]
        exact = {
            Op.NEG: lambda: -a,
            Op.ADD: lambda: a + b,
            Op.SUB: lambda: a - b,
            Op.SCALE: lambda: constant * a,
        }[node.op]()
        rounded.append(node.op)
        return fmt.round(exact).astype(np.float64)

    values = list(data.astype(np.float64)[:, 0])
    for node in programs.data.nodes:
        values.append(instruction(node, values))
    expected = [values[output] for output in programs.data.outputs]
    computed = transform([programs.data], data[:, 0], Contraction.SEPARATE)
    np.testing.assert_array_equal(computed.astype(np.float64), np.array(expected))
    assert len(rounded) > 10
    assert filters.dtype == computed.dtype == fmt.dtype
