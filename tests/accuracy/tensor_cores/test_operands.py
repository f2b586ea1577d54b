"""What tensor cores make of an operand, against its definition in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from winograd.accuracy.tensor_cores.operands import cut_off, factors, rounded_away, split
from winograd.accuracy.tensor_cores.products import Products

LEAST = -126 - 10
"""Exponent of the smallest unit: subnormal numbers keep the digits that lie above it."""


def numbers(count: int) -> np.ndarray:
    """Random bits of float32, all exponents and both signs, ties and subnormals among them."""
    rng = np.random.default_rng(0)
    bits = rng.integers(2**32, size=count, dtype=np.uint32)
    bits[::4] &= np.uint32(0xFFFFF000)  # a quarter ends in half a unit of tf32, or in none
    values = bits.view(np.float32)
    return values[np.isfinite(values) & (np.abs(values) < 2.0**127)]


def unit(value: float) -> Fraction:
    return Fraction(2) ** max(math.frexp(value)[1] - 11, LEAST)


def exactly(value: float, towards: str) -> float:
    """Return the number of 11 digits next to a number: the one towards zero, or the nearest, half away from zero."""
    size = Fraction(abs(value)) / unit(value)
    count = math.floor(size) if towards == "zero" else math.floor(size + Fraction(1, 2))
    return math.copysign(float(count * unit(value)), value)


@pytest.mark.parametrize(("function", "towards"), [(cut_off, "zero"), (rounded_away, "nearest")])
def test_numbers_are_those_of_the_definition(function, towards: str) -> None:
    values = numbers(4000)
    expected = [exactly(float(value), towards) for value in values]
    assert function(values).tolist() == expected
    other = rounded_away if function is cut_off else cut_off
    assert other(values).tolist() != expected


def test_what_is_not_finite_stays() -> None:
    values = np.array([np.inf, -np.inf, np.nan], dtype=np.float32)
    values = np.append(values, np.array([0x7F800001], dtype=np.uint32).view(np.float32))  # NaN in the last digit alone
    for function in (cut_off, rounded_away):
        assert function(values)[:2].tolist() == [np.inf, -np.inf]
        assert np.isnan(function(values)[2:]).all()


def test_a_split_loses_the_last_digit_at_most() -> None:
    values = numbers(4000)
    values = values[np.abs(values) > 2.0**-100]  # below, the rest may be subnormal
    big, small = split(values)
    lost = values.astype(np.float64) - big - small
    last = np.ldexp(1.0, np.frexp(values)[1] - 24)
    assert set(np.unique(np.abs(lost) / last)) == {0.0, 1.0}
    # The model counts a quarter: random digits lose it half of the time, where the rest has all of its digits.
    everything = np.random.default_rng(1).integers(2**23, 2**24, size=40000).astype(np.float32)
    big, small = split(everything)
    assert np.mean(everything != big.astype(np.float64) + small) == pytest.approx(0.25, abs=0.01)
    assert np.mean(cut_off(everything) != everything) > 0.99


def test_factors() -> None:
    values = np.random.default_rng(2).standard_normal(1000).astype(np.float32)
    assert np.array_equal(factors(values, Products.IEEE), values)
    assert np.array_equal(factors(values, Products.TF32), rounded_away(values))
    assert np.array_equal(factors(values, Products.FLOAT16), values.astype(np.float16).astype(np.float32))
    coarse = factors(values, Products.BFLOAT16)
    assert 2.0**-10 < np.abs(coarse / values - 1).max() <= 2.0**-8
