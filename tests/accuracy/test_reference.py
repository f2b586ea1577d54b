from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from winograd.accuracy import reference
from winograd.accuracy.reference import compare, direct_exact, direct_mpmath, direct_ref, errors_of, float64_error


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


def test_zero_errors_are_found_to_be_zero() -> None:
    # The bound of the shortcut is never below an error of 0: Fractions decide.
    data, filters = np.ones((4, 1, 3)), np.array([1.0, -2.0, 1.0]).reshape(3, 1, 1) * np.ones((3, 1, 3))
    assert not errors_of(np.zeros((2, 3), dtype=np.float32), data, filters).any()


def test_the_shortcut_where_it_is_not_allowed_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    data, filters = inputs("float64")
    result = direct_ref(data[::-1, ::-1], filters[::-1, ::-1])[::-1, ::-1]  # the same sum in another order
    right = errors_of(result, data, filters)
    exact = (np.frompyfunc(Fraction, 1, 1)(result) - direct_exact(data, filters)).astype(np.float64)
    np.testing.assert_array_equal(right, exact)
    monkeypatch.setattr(reference, "SHORTCUT_MARGIN", math.inf)
    wrong = errors_of(result, data, filters)
    assert np.abs(wrong - right).mean() > 0.1 * np.abs(right).mean()


def test_errors_are_infinite_where_the_result_is_not_finite() -> None:
    data, filters = inputs("float32")
    result = direct_ref(data, filters)
    result[0, 0, 0], result[1, 1, 1] = np.nan, -np.inf
    errors, outputs = compare(result, data, filters)
    assert errors[0, 0, 0] == errors[1, 1, 1] == math.inf
    assert np.isfinite(outputs).all()
    assert np.isinf(errors).sum() == 2
