"""Emulated sums of tensor cores: exact where float32 is, in the order and with the digits that are said."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from winograd.accuracy.tensor_cores import sums
from winograd.accuracy.tensor_cores.products import Products, as_products
from winograd.accuracy.tensor_cores.sums import GUARD, channel_sums, matrix_products


def integers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-8, 9, shape).astype(np.float32)


@pytest.mark.parametrize("products", Products)
def test_small_integers_are_exact(products: Products) -> None:
    u, v = integers((2, 35, 7), 0), integers((2, 35, 7), 1)
    assert np.array_equal(channel_sums(u, v, products, 16), (u * v).sum(axis=-2))
    a, b = integers((3, 4, 20), 2), integers((3, 20, 5), 3)
    assert np.array_equal(matrix_products(a, b, products, 16), a @ b)


def cut(value: Fraction, unit: Fraction) -> Fraction:
    return math.copysign(1, value) * Fraction(math.floor(abs(value) / unit)) * unit if value else Fraction(0)


def last_digit(value: Fraction) -> Fraction:
    return Fraction(2) ** (math.frexp(float(abs(value)))[1] - 24)


def step_ref(addends: list[Fraction]) -> Fraction:
    """One step in exact fractions."""
    unit = last_digit(max(map(abs, addends))) / 2**GUARD
    total = sum((Fraction(cut(addend, unit)) for addend in addends), Fraction(0))
    return Fraction(cut(total, last_digit(total))) if total else total


def test_a_sum_is_that_of_exact_steps() -> None:
    rng = np.random.default_rng(4)
    u, v = (sums.factors(rng.standard_normal((24, 50)).astype(np.float32), Products.TF32) for _ in range(2))
    expected = []
    for trial in range(50):
        total = Fraction(0)
        for first in range(0, 24, 8):
            exact = [Fraction(float(u[c, trial])) * Fraction(float(v[c, trial])) for c in range(first, first + 8)]
            total = step_ref([total, *exact])
        expected.append(float(total))
    found = channel_sums(u, v, Products.TF32, 16)
    assert found.tolist() == expected
    assert not np.array_equal(found, (u.astype(np.float64) * v).sum(axis=0).astype(np.float32))


def test_blocks_are_partial_sums_of_tf32x3_alone() -> None:
    rng = np.random.default_rng(5)
    u, v = (rng.standard_normal((64, 100)).astype(np.float32) for _ in range(2))
    for products in Products:
        same = np.array_equal(channel_sums(u, v, products, 16), channel_sums(u, v, products, 64))
        assert same == (not products.is_blocked)
    by_hand = sum((channel_sums(u[i : i + 16], v[i : i + 16], Products.TF32X3, 16) for i in (16, 32, 48)),
                  channel_sums(u[:16], v[:16], Products.TF32X3, 16))  # fmt: skip
    assert np.array_equal(channel_sums(u, v, Products.TF32X3, 16), by_hand)


def test_the_errors_of_the_precisions() -> None:
    """Three products of tf32 are as good as float32, one is 2000 times worse."""
    rng = np.random.default_rng(6)
    u, v = (rng.standard_normal((64, 2000)).astype(np.float32) for _ in range(2))
    exact = (u.astype(np.float64) * v).sum(axis=0)
    error = {
        products: float(np.linalg.norm(channel_sums(u, v, products, 32) - exact) / np.linalg.norm(exact))
        for products in Products
    }
    assert 0.5 < error[Products.TF32X3] / error[Products.IEEE] < 2
    assert error[Products.TF32] > 1000 * error[Products.TF32X3]
    assert 5 < error[Products.BFLOAT16] / error[Products.FLOAT16] < 11  # three digits: 8


def test_names_are_checked() -> None:
    assert as_products(Products.TF32) is as_products("tf32") is Products.TF32
    with pytest.raises(ValueError, match=r"^products is 'TF32', must be one of ieee, tf32x3, tf32, float16, bfloat16$"):
        as_products("TF32")
