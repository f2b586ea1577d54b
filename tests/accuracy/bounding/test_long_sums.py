"""Sums of products in few digits: whatever their order and shape, they lose at most u per product of the sizes."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

Rounding = Callable[[Fraction], Fraction]

COUNTS = (1, 2, 3, 5, 20)


def exponent(value: Fraction, digits: int) -> Fraction:
    """Return the unit in the last place of a number of so many digits, with exponents without a limit."""
    size, unit = abs(value), Fraction(1)
    while size >= unit * 2**digits:
        unit *= 2
    while size < unit * 2 ** (digits - 1):
        unit /= 2
    return unit


def nearest(digits: int) -> Rounding:
    """Round to nearest, ties to even."""
    return lambda value: round(value / exponent(value, digits)) * exponent(value, digits) if value else value


def towards_zero(digits: int) -> Rounding:
    return lambda value: int(value / exponent(value, digits)) * exponent(value, digits) if value else value


def lost(products: list[Fraction], rounded: Rounding, rng: np.random.Generator, *, fused: float) -> Fraction:
    """Return the error of a sum of a random shape, some products of which are added exactly, over the sum of sizes."""
    parts = [(one, False) for one in products]
    while len(parts) > 1:
        (first, computed), (second, too) = (parts.pop(int(rng.integers(len(parts)))) for _ in range(2))
        if not computed:
            first = rounded(first)
        if not too and rng.random() >= fused:
            second = rounded(second)
        parts.append((rounded(first + second), True))
    total, computed = parts[0]
    return abs((total if computed else rounded(total)) - sum(products)) / sum(map(abs, products))


def worst(rounding: Callable[[int], Rounding], fused: float, seed: int) -> list[float]:
    """Return, for each digits and count, the largest loss in units of what the bound allows."""
    rng, found = np.random.default_rng(seed), []
    for digits in (1, 2, 3, 8):
        rounded, u = rounding(digits), Fraction(1, 2**digits)
        for count in COUNTS:
            losses = []
            for _ in range(20):
                sizes = 2.0 ** rng.integers(-digits - 1, digits + 2, size=(count, 2))
                drawn = sizes * rng.uniform(1, 2, (count, 2))
                numbers = [[rounded(Fraction(float(x))) for x in pair] for pair in drawn]
                products = [a * b * int(rng.choice((1, 1, -1))) for a, b in numbers]
                losses.append(lost(products, rounded, rng, fused=fused))
            found.append(float(max(losses) / (count * u)))
    return found


@pytest.mark.parametrize("fused", [0.0, 0.5, 1.0])
def test_a_sum_of_any_shape_loses_u_per_product_at_most(fused: float) -> None:
    assert 0.5 < max(worst(nearest, fused, seed=1)) <= 1


def test_rounding_towards_zero_loses_more() -> None:
    assert max(worst(towards_zero, 0.5, seed=1)) > 1
