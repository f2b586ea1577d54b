from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from winograd.accuracy.reference import direct_exact, direct_mpmath, direct_ref, errors_of, float64_error


def inputs(dtype: str, seed: int = 0) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (4, 5, 2, 6)).astype(dtype), rng.uniform(-1, 1, (3, 2, 2, 6)).astype(dtype)


def test_exact_reference_is_the_definition() -> None:
    data, filters = inputs("float64")
    exact = direct_exact(data, filters)
    assert exact.shape == (2, 4, 6)
    expected = sum(
        Fraction(float(filters[k, j, c, 5])) * Fraction(float(data[1 + k, 2 + j, c, 5]))
        for k in range(3)
        for j in range(2)
        for c in range(2)
    )
    assert exact[1, 2, 5] == expected


def test_mpmath_reference_has_its_own_precision_and_leaves_the_global_one() -> None:
    data, filters = inputs("float64")
    exact = direct_exact(data, filters)
    with mpmath.workdps(5):
        values = direct_mpmath(data, filters, digits=60)
        assert mpmath.mp.dps == 5
    for value, fraction in zip(values.ravel(), exact.ravel(), strict=True):
        with mpmath.workdps(60):
            assert abs(value - mpmath.mpf(fraction.numerator) / fraction.denominator) < mpmath.mpf(10) ** -58


def test_float64_reference_keeps_to_its_bound_and_a_float32_one_does_not() -> None:
    data, filters = inputs("float64")
    exact = direct_exact(data, filters)

    def within(dtype: str) -> bool:
        values = direct_ref(data.astype(dtype), filters.astype(dtype)).astype(np.float64)
        errors = np.frompyfunc(lambda x, y: abs(Fraction(float(x)) - y), 2, 1)(values, exact)
        return bool(np.all(errors <= float64_error(data, filters)))

    assert within("float64")
    assert not within("float32")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_errors_are_those_against_the_exact_outputs(dtype: str) -> None:
    data, filters = inputs(dtype)
    result = direct_ref(data, filters)
    exact = direct_exact(data, filters)
    expected = (np.frompyfunc(lambda x: Fraction(float(x)), 1, 1)(result) - exact).astype(np.float64)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(errors_of(result, data, filters), expected, rtol=0, atol=2e-3 * np.abs(expected).mean())


def test_errors_of_the_float64_reference_itself_are_not_zero() -> None:
    # The shortcut would compare it with itself.
    data, filters = inputs("float64")
    assert np.abs(errors_of(direct_ref(data, filters), data, filters)).max() > 0
