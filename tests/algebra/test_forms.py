"""Canonical forms, and the published matrices: equal to ours up to order and scale, or refused."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import algorithms, point_sets, sizes
from winograd.algebra.bilinear import BilinearAlgorithm, ProofError
from winograd.algebra.forms import canonical, equivalent
from winograd.algebra.points import INFINITY
from winograd.algebra.toom_cook import toom_cook

KNOWN = json.loads((Path(__file__).parent / "data" / "known_matrices.json").read_text(encoding="utf-8"))


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
    scales = st.fractions(-4, 4, max_denominator=4).filter(bool)
    factors = data.draw(st.lists(st.tuples(scales, scales), min_size=algorithm.rank, max_size=algorithm.rank))
    order = data.draw(st.permutations(range(algorithm.rank)))
    assert canonical(rewritten(algorithm, factors, order)) == canonical(algorithm)


def rewritten(
    algorithm: BilinearAlgorithm, factors: list[tuple[Fraction, Fraction]], order: list[int]
) -> BilinearAlgorithm:
    """Scale column t of at and row t of g, divide row t of bt by both, then reorder the products."""
    a, b = ([sympy.Rational(str(pair[side])) for pair in factors] for side in (0, 1))
    at = sympy.Matrix.hstack(*(algorithm.at.col(t) * a[t] for t in order))
    g = sympy.Matrix.vstack(*(algorithm.g.row(t) * b[t] for t in order))
    bt = sympy.Matrix.vstack(*(algorithm.bt.row(t) / (a[t] * b[t]) for t in order))
    return BilinearAlgorithm(m=algorithm.m, r=algorithm.r, at=at, g=g, bt=bt)


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
