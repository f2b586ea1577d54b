"""Cyclic convolution: its law, folding, transposition, and the filters that come out of it."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import point_sets
from winograd.algebra.bilinear import MAX_TILE, ProofError, fraction_rows
from winograd.algebra.cyclic import CyclicConvolution, cyclic_form, overlap_save, transpose, zero_padded
from winograd.algebra.linear import linear_form
from winograd.algebra.toom_cook import toom_cook

FOURIER_2 = {"a": [[1, 1], [1, -1]], "b": [[1, 1], [1, -1]], "c": [["1/2", "1/2"], ["1/2", "-1/2"]]}


def fourier(n: int) -> CyclicConvolution:
    """Return the discrete Fourier transform as an algorithm: n complex multiplications."""
    root = sympy.exp(2 * sympy.pi * sympy.I / n).rewrite(sympy.cos)
    forward = sympy.ImmutableMatrix(n, n, lambda t, i: sympy.expand(root ** (t * i % n)))
    backward = sympy.ImmutableMatrix(n, n, lambda j, t: sympy.expand(root ** (-j * t % n)) / n)
    return CyclicConvolution(n=n, a=forward, b=forward, c=backward)


@st.composite
def cyclic_convolutions(draw: st.DrawFn) -> CyclicConvolution:
    n = draw(st.integers(1, 4))
    folded = cyclic_form(linear_form(toom_cook(n, n, draw(point_sets(2 * n - 1)))))
    return draw(st.sampled_from([folded, transpose(folded)]))


def cyclic_ref(x: list[Fraction], w: list[Fraction]) -> list[Fraction]:
    """Return the cyclic convolution by its definition."""
    n = len(x)
    return [sum((x[i] * w[(j - i) % n] for i in range(n)), Fraction(0)) for j in range(n)]


def applied(matrix: sympy.ImmutableMatrix, vector: list[Fraction]) -> list[Fraction]:
    return [sum((a * b for a, b in zip(row, vector, strict=True)), Fraction(0)) for row in fraction_rows(matrix)]


@given(cyclic_convolutions(), st.data())
def test_folded_and_transposed_algorithms_wrap_around(cyclic: CyclicConvolution, data: st.DataObject) -> None:
    numbers = st.lists(st.fractions(-9, 9, max_denominator=9), min_size=cyclic.n, max_size=cyclic.n)
    x, w = data.draw(numbers), data.draw(numbers)
    products = [u * v for u, v in zip(applied(cyclic.a, x), applied(cyclic.b, w), strict=True)]
    assert applied(cyclic.c, products) == cyclic_ref(x, w)


@given(cyclic_convolutions())
def test_transposing_twice_is_the_identity(cyclic: CyclicConvolution) -> None:
    assert transpose(transpose(cyclic)) == cyclic


@given(cyclic_convolutions(), st.data())
def test_filters_and_products_of_every_size_that_fits(cyclic: CyclicConvolution, data: st.DataObject) -> None:
    m = data.draw(st.integers(1, cyclic.n))
    r = data.draw(st.integers(1, cyclic.n + 1 - m))
    filter_, linear = overlap_save(cyclic, m, r), zero_padded(cyclic, m, r)
    assert (filter_.m, filter_.r, filter_.rank) == (linear.m, linear.r, linear.rank) == (m, r, cyclic.rank)
    # The transpose of a filter made from the transpose: x and s have changed places.
    assert linear_form(overlap_save(transpose(cyclic), m, r)) == linear


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
def test_the_fourier_transform_is_one(n: int) -> None:
    cyclic = fourier(n)
    assert cyclic.rank == n
    for m in range(1, n + 1):
        assert overlap_save(cyclic, m, n + 1 - m).rank == n


def test_sizes_that_do_not_fit_are_refused() -> None:
    cyclic = fourier(4)
    for make in (overlap_save, zero_padded):
        with pytest.raises(ValueError, match=r"^F\(3,3\) needs a cyclic convolution of length 5 or more, got 4$"):
            make(cyclic, 3, 3)
        with pytest.raises(ValueError, match="m is 0, must be at least 1"):
            make(cyclic, 0, 3)
    with pytest.raises(ValueError, match="cannot be folded, both factors must have the same number of coefficients"):
        cyclic_form(linear_form(toom_cook(2, 3)))


@pytest.mark.parametrize("matrix", ["a", "b", "c"])
@pytest.mark.parametrize("change", [lambda entry: -entry, lambda entry: entry + 1], ids=["flipped", "moved"])
@pytest.mark.parametrize("cyclic", [cyclic_form(linear_form(toom_cook(3, 3))), fourier(4)], ids=["folded", "fourier"])
def test_every_wrong_coefficient_breaks_the_law(cyclic: CyclicConvolution, matrix: str, change: Any) -> None:
    entries = sympy.Matrix(getattr(cyclic, matrix))
    for position, entry in enumerate(entries):
        if not entry:
            continue
        wrong = entries.copy()
        wrong[position] = change(entry)
        with pytest.raises(ProofError, match=r"^cyclic convolution of length .: sum_t c\[.*deviation"):
            replace(cyclic, **{matrix: sympy.ImmutableMatrix(wrong)})


def test_a_linear_convolution_that_is_not_folded_is_refused() -> None:
    linear = linear_form(toom_cook(2, 2, "0,1,inf"))
    message = "cyclic convolution of length 2: sum_t c[0,t] a[t,1] b[t,1] is 0, must be 1 (deviation -1)"
    with pytest.raises(ProofError, match=f"^{re.escape(message)}$"):
        CyclicConvolution(n=2, a=linear.a, b=linear.b, c=linear.c[:2, :])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"n": 2.0}, TypeError, "n is 2.0, must be an integer of at least 1"),
        ({"n": 0}, ValueError, "n is 0, must be at least 1"),
        ({"n": MAX_TILE + 1}, ValueError, f"n is {MAX_TILE + 1}, at most {MAX_TILE} is allowed"),
        ({"n": 3}, ValueError, r"c of shape \(2, 2\); cyclic convolution of length 3 of rank 2 needs \(3, 2\)"),
        ({"b": [[1, 1], [1, -1.0]]}, TypeError, "b has an entry that is no exact number"),
    ],
)
def test_what_is_no_cyclic_convolution_is_refused(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        CyclicConvolution(**({"n": 2} | FOURIER_2 | changes))


def test_it_shows_itself_in_one_line() -> None:
    cyclic = CyclicConvolution(n=2, **FOURIER_2)
    assert repr(cyclic) == "<cyclic convolution of length 2, 2 multiplications>"
    assert cyclic._repr_latex_().startswith(r"$\displaystyle C = \left[")
    assert cyclic.digest == CyclicConvolution(n=2, **FOURIER_2).digest != fourier(3).digest
