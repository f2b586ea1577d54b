"""The linear form: its law, and the exact transposition that leads to it and back."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import algorithms
from winograd.algebra.bilinear import MAX_TILE, BilinearAlgorithm, ProofError, fraction_rows
from winograd.algebra.crt import crt
from winograd.algebra.linear import LinearConvolution, exchanged, fir_form, linear_form
from winograd.algebra.points import INFINITY
from winograd.algebra.residues import GivenProduct
from winograd.algebra.toom_cook import toom_cook

KARATSUBA = {"a": [[1, 0], [1, 1], [0, 1]], "b": [[1, 0], [1, 1], [0, 1]], "c": [[1, 0, 0], [-1, 1, -1], [0, 0, 1]]}


def product_ref(x: list[Fraction], w: list[Fraction]) -> list[Fraction]:
    """Return the coefficients of the product of two polynomials by their definition."""
    s = [Fraction(0)] * (len(x) + len(w) - 1)
    for i, first in enumerate(x):
        for k, second in enumerate(w):
            s[i + k] += first * second
    return s


def applied(matrix: sympy.ImmutableMatrix, vector: list[Fraction]) -> list[Fraction]:
    return [sum((a * b for a, b in zip(row, vector, strict=True)), Fraction(0)) for row in fraction_rows(matrix)]


@given(algorithms(), st.data())
def test_the_transpose_of_every_filter_multiplies_polynomials(
    algorithm: BilinearAlgorithm, data: st.DataObject
) -> None:
    linear = linear_form(algorithm)
    numbers = st.fractions(-9, 9, max_denominator=9)
    x = data.draw(st.lists(numbers, min_size=linear.m, max_size=linear.m))
    w = data.draw(st.lists(numbers, min_size=linear.r, max_size=linear.r))
    products = [u * v for u, v in zip(applied(linear.a, x), applied(linear.b, w), strict=True)]
    assert applied(linear.c, products) == product_ref(x, w)


@given(algorithms())
def test_transposing_twice_is_the_identity(algorithm: BilinearAlgorithm) -> None:
    linear = linear_form(algorithm)
    assert fir_form(linear) == algorithm
    assert linear_form(fir_form(linear)) == linear
    assert (linear.rank, linear.length) == (algorithm.rank, algorithm.tile)


@given(algorithms())
def test_the_factors_change_places(algorithm: BilinearAlgorithm) -> None:
    other = exchanged(algorithm)
    assert (other.m, other.r, other.points) == (algorithm.r, algorithm.m, algorithm.points)
    assert exchanged(other) == algorithm
    linear, swapped = linear_form(algorithm), linear_form(other)
    assert (swapped.a, swapped.b, swapped.c) == (linear.b, linear.a, linear.c)


def test_exchange_reaches_the_products_that_it_is_made_of() -> None:
    inner = toom_cook(2, 3)
    algorithm = crt(2, 3, "x^4+1", products=[inner])
    other = exchanged(algorithm)
    assert other.moduli == algorithm.moduli
    assert other.products == (GivenProduct(exchanged(inner)),)
    assert crt(3, 2, other.moduli, other.products).rank == other.rank


@pytest.mark.parametrize("matrix", ["a", "b", "c"])
@pytest.mark.parametrize("change", [lambda entry: -entry, lambda entry: entry + 1], ids=["flipped", "moved"])
@pytest.mark.parametrize("linear", [linear_form(toom_cook(2, 3)), linear_form(toom_cook(3, 2, [0, 1, 2, -1]))])
def test_every_wrong_coefficient_breaks_the_law(linear: LinearConvolution, matrix: str, change: Any) -> None:
    entries = sympy.Matrix(getattr(linear, matrix))
    for position, entry in enumerate(entries):
        if not entry:
            continue
        wrong = entries.copy()
        wrong[position] = change(entry)
        with pytest.raises(ProofError, match=r"^linear convolution of . by . coefficients: sum_t c\[.*deviation"):
            replace(linear, **{matrix: sympy.ImmutableMatrix(wrong)})


def test_the_first_wrong_entry_is_named() -> None:
    message = "linear convolution of 2 by 2 coefficients: sum_t c[1,t] a[t,0] b[t,1] is 2, must be 1 (deviation 1)"
    with pytest.raises(ProofError, match=f"^{re.escape(message)}$"):
        LinearConvolution(m=2, r=2, **(KARATSUBA | {"b": [[1, 0], [1, 2], [0, 1]]}))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"m": True}, TypeError, "m is True, must be an integer of at least 1"),
        ({"r": 0}, ValueError, "r is 0, must be at least 1"),
        ({"m": MAX_TILE}, ValueError, f"at most {MAX_TILE} is allowed"),
        ({"a": [[1, 0], [1, 1]]}, ValueError, r"a of shape \(2, 2\); .* of rank 3 needs \(3, 2\)"),
        ({"c": [[1, 0, 0], [-1, 1, -1]]}, ValueError, r"c of shape \(2, 3\); .* needs \(3, 3\)"),
        ({"b": [[1, 0], [1, 1], [0, 1.0]]}, TypeError, "b has an entry that is no exact number"),
    ],
)
def test_what_is_no_linear_convolution_is_refused(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        LinearConvolution(**({"m": 2, "r": 2} | KARATSUBA | changes))


def test_symbols_and_algebraic_numbers_are_proved() -> None:
    a, root = sympy.Symbol("a"), sympy.sqrt(2)
    for points in ([0, a, -a, INFINITY], [0, root, -root, INFINITY], [sympy.I, -sympy.I, 1, -1]):
        linear = linear_form(toom_cook(2, 3, points))
        assert fir_form(linear) == toom_cook(2, 3, points)
        with pytest.raises(ProofError):
            replace(linear, a=2 * linear.a)


def test_it_shows_itself_in_one_line() -> None:
    linear = LinearConvolution(m=2, r=2, **KARATSUBA)
    assert repr(linear) == "<linear convolution of 2 by 2 coefficients, 3 multiplications>"
    assert linear._repr_latex_().startswith(r"$\displaystyle C = \left[")
    assert linear.digest == LinearConvolution(m=2, r=2, **KARATSUBA).digest
    assert linear.digest not in {fir_form(linear).digest, linear_form(toom_cook(2, 2, "0,-1,inf")).digest}
    assert hash(linear) == hash(LinearConvolution(m=2, r=2, **KARATSUBA))
