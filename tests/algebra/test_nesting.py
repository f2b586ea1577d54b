"""Nesting: shapes, refusals, and the law of the nest against direct convolution on several axes."""

from __future__ import annotations

from functools import reduce
from itertools import product

import numpy as np
import pytest
import sympy
from hypothesis import given

from tests.strategies import nested_algorithms
from winograd.algebra.bilinear import BilinearAlgorithm, ProofError, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm, as_nested, nest
from winograd.algebra.toom_cook import toom_cook


def kronecker(nested: NestedAlgorithm, name: str) -> np.ndarray:
    matrices = [np.array(fraction_rows(getattr(axis, name)), dtype=object) for axis in nested.axes]
    return reduce(np.kron, matrices)


def law_holds(nested: NestedAlgorithm) -> bool:
    """Apply the Kronecker products to integers and compare with the definition of the convolution."""
    generator = np.random.default_rng(0)
    w = generator.integers(-9, 10, nested.r).astype(object)
    d = generator.integers(-9, 10, nested.tile).astype(object)
    products = kronecker(nested, "g").dot(w.ravel()) * kronecker(nested, "bt").dot(d.ravel())
    y = kronecker(nested, "at").dot(products).reshape(nested.m)
    expected = np.zeros(nested.m, dtype=object)
    for tap in product(*map(range, nested.r)):
        expected += w[tap] * d[tuple(slice(k, k + m) for k, m in zip(tap, nested.m, strict=True))]
    return bool((y == expected).all())


@given(nested_algorithms())
def test_a_nest_is_a_convolution_on_all_axes(nested: NestedAlgorithm) -> None:
    assert law_holds(nested)
    nested.verify()


def test_a_wrong_axis_breaks_the_law_and_the_proof() -> None:
    wrong = BilinearAlgorithm(m=1, r=2, at=[[1, 1]], g=[[1, 0], [0, 1]], bt=[[1, 0], [0, 1]])
    nested = nest(toom_cook(2, 3), wrong)
    assert law_holds(nested)
    object.__setattr__(wrong, "bt", sympy.ImmutableMatrix([[1, 1], [0, 1]]))
    assert not law_holds(nested)
    with pytest.raises(ProofError, match=r"F\(1,2\)"):
        nested.verify()


def test_tuples_are_in_the_order_of_the_axes() -> None:
    nested = nest(toom_cook(2, 3), toom_cook(4, 3), toom_cook(1, 1))
    assert (nested.m, nested.r, nested.tile, nested.ranks) == ((2, 4, 1), (3, 3, 1), (4, 6, 1), (4, 6, 1))
    assert (nested.rank, nested.ndim, nested.label) == (24, 3, "F(2x4x1,3x3x1)")


@pytest.mark.parametrize("count", [0, 4])
def test_one_to_three_axes(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} axes given, 1 to 3"):
        nest(*[toom_cook(2, 3)] * count)


def test_only_algorithms_are_axes() -> None:
    with pytest.raises(TypeError, match="axis 1 is a str"):
        nest(toom_cook(2, 3), "F(2,3)")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="algorithm is a int"):
        as_nested(3)  # type: ignore[arg-type]


def test_as_nested_wraps_one_axis_and_keeps_nests() -> None:
    axis = toom_cook(2, 3)
    assert as_nested(axis).axes == (axis,)
    assert as_nested(nest(axis)) == nest(axis)


def test_nests_compare_by_value_and_order() -> None:
    a, b = toom_cook(2, 3), toom_cook(4, 3)
    assert nest(a, b).digest == nest(a, b).digest != nest(b, a).digest
    assert nest(a, b) != nest(b, a)
    assert repr(nest(a, b)) == "<F(2x4,3x3), 24 multiplications>"
