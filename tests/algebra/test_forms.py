"""Order, scale and balance of the products; the published matrices are ours up to order and scale, or refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import algorithms, point_sets, sizes
from winograd.accuracy.experiment import measure_error
from winograd.algebra.bilinear import BilinearAlgorithm, ProofError, fraction_rows
from winograd.algebra.crt import crt
from winograd.algebra.forms import balanced, canonical, equivalent, permuted, scaled
from winograd.algebra.fourier import gauss_fft
from winograd.algebra.growth import kappa
from winograd.algebra.nesting import nest
from winograd.algebra.points import INFINITY
from winograd.algebra.toom_cook import toom_cook

KNOWN = json.loads((Path(__file__).parent / "data" / "known_matrices.json").read_text(encoding="utf-8"))

SCALES = st.fractions(-4, 4, max_denominator=4).filter(bool)
FLOAT16_BREAKS_IT = toom_cook(8, 3, "0,1,-1,2,-2,1/2,-1/2,4,-4,inf")


@pytest.mark.parametrize("form", [balanced, canonical, lambda wrong: equivalent(FLOAT16_BREAKS_IT, wrong)])
def test_what_is_no_algorithm_of_one_axis_is_refused_in_one_line(form: Any) -> None:
    with pytest.raises(TypeError, match=r"^algorithm is a int, must be a BilinearAlgorithm$"):
        form(3)
    with pytest.raises(TypeError, match=r"^algorithm is a NestedAlgorithm, .*; give the axes of a nest one by one$"):
        form(nest(FLOAT16_BREAKS_IT))


@pytest.mark.parametrize("entry", KNOWN["sets"], ids=lambda entry: entry["name"])
def test_published_matrices_are_ours(entry: dict[str, Any]) -> None:
    published = BilinearAlgorithm(m=entry["m"], r=entry["r"], **entry["matrices"])
    ours = toom_cook(entry["m"], entry["r"], entry["points"])
    assert equivalent(published, ours)
    assert not equivalent(published, toom_cook(entry["m"], entry["r"], ["3", *entry["points"][1:]]))


@pytest.mark.parametrize("entry", KNOWN["broken"], ids=lambda entry: entry["name"])
def test_broken_matrices_are_refused_with_the_entry(entry: dict[str, Any]) -> None:
    message = "sum_t at[0,t] g[t,0] bt[t,1] is -5/12, must be 0 (deviation -5/12)"
    with pytest.raises(ProofError, match=re.escape(message)):
        BilinearAlgorithm(m=entry["m"], r=entry["r"], **entry["matrices"])


@given(sizes(max_tile=6), st.data())
def test_permuted_points_have_one_canonical_form(size: tuple[int, int], data: st.DataObject) -> None:
    points = data.draw(point_sets(sum(size) - 1))
    permuted = data.draw(st.permutations(points))
    assert canonical(toom_cook(*size, points)) == canonical(toom_cook(*size, permuted))


@given(algorithms(6), st.data())
def test_order_and_scale_of_the_products_do_not_matter(algorithm: BilinearAlgorithm, data: st.DataObject) -> None:
    factors = data.draw(st.lists(st.tuples(SCALES, SCALES), min_size=algorithm.rank, max_size=algorithm.rank))
    order = data.draw(st.permutations(range(algorithm.rank)))
    of_at, of_g = zip(*factors, strict=True)
    rewritten = permuted(scaled(algorithm, at=of_at, g=of_g), order)
    assert canonical(rewritten) == canonical(algorithm)
    assert equivalent(rewritten, algorithm)


@given(algorithms(6))
def test_canonical_forms_are_algorithms_and_fixed_points(algorithm: BilinearAlgorithm) -> None:
    form = canonical(algorithm)
    form.verify()
    assert canonical(form) == form
    for product in range(form.rank):
        for vector in (form.at.col(product), form.g.row(product)):
            assert next(entry for entry in vector if entry) == 1


@pytest.mark.parametrize(
    "other",
    [
        toom_cook(2, 3, [0, 1, -1, 2]),
        toom_cook(2, 3, [0, 1, 2, INFINITY]),
        toom_cook(3, 2, [0, 1, -1, INFINITY]),
        toom_cook(4, 3),
    ],
)
def test_other_products_are_another_algorithm(other: BilinearAlgorithm) -> None:
    assert not equivalent(toom_cook(2, 3, [0, 1, -1, INFINITY]), other)


def test_a_product_without_effect_has_one_form() -> None:
    parts = {"at": [[1, 1, 0]], "g": [[1, 0], [0, 1], [5, 6]], "bt": [[1, 0], [0, 1], [7, 8]]}
    others = {**parts, "at": [[1, 1, 9]], "bt": [[1, 0], [0, 1], [0, 0]]}
    first, second = (BilinearAlgorithm(m=1, r=2, **matrices) for matrices in (parts, others))
    assert equivalent(first, second)
    assert not equivalent(first, toom_cook(1, 2))


def test_symbols_have_canonical_forms() -> None:
    a, b = sympy.symbols("a b")
    points = [0, a, b, INFINITY]
    assert equivalent(toom_cook(2, 3, points), toom_cook(2, 3, [b, 0, a, INFINITY]))
    assert not equivalent(toom_cook(2, 3, points), toom_cook(2, 3, [0, a, -b, INFINITY]))


def test_one_number_with_two_spellings_is_one_number() -> None:
    root = sympy.sqrt(2)
    points = [0, 3 + 2 * root, -1, INFINITY]
    respelled = [0, (1 + root) ** 2, -1, INFINITY]
    assert canonical(toom_cook(2, 3, points)) == canonical(toom_cook(2, 3, respelled))
    # sqrt(2) + sqrt(3) in the field that it generates, against the field of both roots.
    nested_root, sum_ = sympy.sqrt(5 + 2 * sympy.sqrt(6)), root + sympy.sqrt(3)
    first, second = toom_cook(2, 2, [0, nested_root, INFINITY]), toom_cook(2, 2, [0, sum_, INFINITY])
    assert equivalent(first, second)
    assert not equivalent(first, toom_cook(2, 2, [0, root - sympy.sqrt(3), INFINITY]))


def test_fourier_algorithms_are_equivalent_to_themselves_on_another_scale() -> None:
    algorithm = gauss_fft(3, 3)
    scale = [1 + sympy.sqrt(5), *[sympy.sqrt(5)] * (algorithm.rank - 1)]
    other = permuted(scaled(algorithm, at=scale, bt=scale), range(algorithm.rank)[::-1])
    assert other != algorithm
    assert equivalent(other, algorithm)
    assert not equivalent(algorithm, crt(3, 3, "x-1,x^4+x^3+x^2+x+1"))


@given(algorithms(6), st.data())
def test_permuting_back_is_the_identity(algorithm: BilinearAlgorithm, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(algorithm.rank)))
    other = permuted(algorithm, order)
    assert permuted(other, [order.index(t) for t in range(algorithm.rank)]) == algorithm
    for t, source in enumerate(order):
        assert other.g.row(t) == algorithm.g.row(source)
        if algorithm.points:
            assert other.points[t] == algorithm.points[source]


@pytest.mark.parametrize("matrix", ["at", "g", "bt"])
def test_one_matrix_permuted_alone_breaks_the_law(matrix: str) -> None:
    algorithm = toom_cook(4, 3)
    other = permuted(algorithm, [1, 0, 2, 3, 4, 5])
    with pytest.raises(ProofError):
        replace(algorithm, **{matrix: getattr(other, matrix)})


@pytest.mark.parametrize(
    ("order", "error", "message"),
    [
        ([0, 1, 2], ValueError, r"^order \[0, 1, 2\] must list each of 0 to 3 once"),
        ([0, 1, 2, 2], ValueError, "must list each of 0 to 3 once"),
        ([0, 1, 2, -1], ValueError, "must list each of 0 to 3 once"),
        ([0, 1, 2, 3.0], TypeError, "float"),
    ],
)
def test_what_is_no_order_is_refused(order: list[Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        permuted(toom_cook(2, 3), order)


@given(algorithms(6), st.data())
def test_the_third_factor_follows_from_two(algorithm: BilinearAlgorithm, data: st.DataObject) -> None:
    first, second = (data.draw(st.lists(SCALES, min_size=algorithm.rank, max_size=algorithm.rank)) for _ in range(2))
    third = [1 / (a * b) for a, b in zip(first, second, strict=True)]
    other = scaled(algorithm, at=first, g=second)
    assert other == scaled(algorithm, g=second, bt=third) == scaled(algorithm, at=first, bt=third)
    assert scaled(other, at=[1 / a for a in first], g=[1 / b for b in second]) == algorithm
    assert other.points == algorithm.points
    assert kappa(other) == kappa(algorithm)
    for t in range(algorithm.rank):
        assert other.at.col(t) == algorithm.at.col(t) * sympy.Rational(str(first[t]))


@pytest.mark.parametrize("matrix", ["at", "g", "bt"])
def test_one_matrix_scaled_alone_breaks_the_law(matrix: str) -> None:
    algorithm = toom_cook(4, 3)
    other = scaled(algorithm, at=[1, 1, 3, 1, 1, 1], g=[1, 1, 2, 1, 1, 1])
    with pytest.raises(ProofError):
        replace(algorithm, **{matrix: getattr(other, matrix)})


def test_symbols_are_factors() -> None:
    a = sympy.Symbol("a")
    other = scaled(toom_cook(1, 2), g=[a, 1], bt=[1, a])
    assert other.at == sympy.ImmutableMatrix([[1 / a, 1 / a]])
    assert equivalent(other, toom_cook(1, 2))


@pytest.mark.parametrize(
    ("factors", "error", "message"),
    [
        ({}, ValueError, "^factors for none given, must be for exactly two of at, g, bt: the third follows$"),
        ({"at": [1, 1, 1]}, ValueError, "factors for at given, must be for exactly two"),
        ({"at": [1] * 3, "g": [1] * 3, "bt": [1] * 3}, ValueError, "factors for at, g, bt given"),
        ({"at": [1, 1, 1], "g": [1, 0, 1]}, ValueError, "factor 1 of g is zero"),
        ({"at": [1, 1, 1], "bt": [1, sympy.sin(0), 1]}, ValueError, "factor 1 of bt is zero"),
        ({"at": [1, 1], "g": [1, 1, 1]}, ValueError, "^2 factors of at given, must be 3, one for each product$"),
        ({"at": [1, 1, 1, 1], "g": [1, 1, 1]}, ValueError, "4 factors of at given, must be 3"),
        ({"at": [1, 1, INFINITY], "g": [1, 1, 1]}, ValueError, "factors of at have INFINITY among them"),
        ({"at": [1, 1, 0.5], "g": [1, 1, 1]}, TypeError, "is not exact"),
        ({"at": [1, 1, "1e5"], "g": [1, 1, 1]}, ValueError, "is not one of: an integer"),
    ],
)
def test_what_is_no_scale_is_refused(factors: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        scaled(toom_cook(2, 2), **factors)


@given(algorithms())
def test_balanced_rows_sum_to_one_or_little_less(algorithm: BilinearAlgorithm) -> None:
    other = balanced(algorithm)
    for before, after in ((algorithm.g, other.g), (algorithm.bt, other.bt)):
        for old, new in zip(fraction_rows(before), fraction_rows(after), strict=True):
            assert Fraction(1, 2) < sum(map(abs, new)) <= 1
            (factor,) = {x / y for x, y in zip(new, old, strict=True) if y}
            assert factor > 0
            assert (factor.numerator & (factor.numerator - 1), factor.denominator & (factor.denominator - 1)) == (0, 0)
    assert balanced(other) == other
    assert other.points == algorithm.points


def test_rows_of_zeros_and_irrational_rows_are_balanced() -> None:
    padded = BilinearAlgorithm(m=1, r=1, at=[[1, 5]], g=[[1], [7]], bt=[[1], [0]])
    assert balanced(padded) == BilinearAlgorithm(m=1, r=1, at=[[1, 40]], g=[[1], ["7/8"]], bt=[[1], [0]])
    for row in (
        row for matrix in (balanced(gauss_fft(2, 3)).g, balanced(gauss_fft(3, 3)).bt) for row in matrix.tolist()
    ):
        assert sympy.Rational(1, 2) < sum(map(abs, row)) <= 1
    with pytest.raises(NotImplementedError, match="holds symbols; substitute numbers for them first"):
        balanced(toom_cook(2, 2, [0, sympy.Symbol("a"), INFINITY]))


def test_balance_keeps_what_the_algorithm_is_made_from() -> None:
    algorithm = crt(4, 3, "x,x-1,x+1,x^2+1,inf")
    other = balanced(algorithm)
    assert other != algorithm
    assert (other.moduli, other.products) == (algorithm.moduli, algorithm.products)
    assert equivalent(other, algorithm)


def test_balance_saves_float16() -> None:
    before = measure_error(nest(FLOAT16_BREAKS_IT, FLOAT16_BREAKS_IT), dtype="float16", trials=200)
    axis = balanced(FLOAT16_BREAKS_IT)
    after = measure_error(nest(axis, axis), dtype="float16", trials=200)
    # 860 at 5000 trials; 200 trials give each mean within a tenth.
    assert before.mean_abs > 500 * after.mean_abs


def test_balance_changes_nothing_where_the_range_suffices() -> None:
    algorithm = toom_cook(2, 3)
    # In sequential order: Huffman's order follows the sizes of the entries, which balancing changes.
    before, after = (
        measure_error(other, dtype="float32", trials=50, order="sequential")
        for other in (algorithm, balanced(algorithm))
    )
    assert before.mean_abs == after.mean_abs
