"""Counts: against the matrices themselves, their Kronecker products, and figures of the literature."""

from __future__ import annotations

from fractions import Fraction
from html import unescape

import pytest
import sympy
from hypothesis import given, settings

from tests.strategies import nested_algorithms
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.counts import HEADER, MatrixCounts, count
from winograd.algebra.crt import crt
from winograd.algebra.forms import scaled
from winograd.algebra.fourier import gauss_fft, symbolic_fourier
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.points import INFINITY
from winograd.algebra.toom_cook import toom_cook


def matrix_counts_ref(matrices: list[sympy.ImmutableMatrix]) -> MatrixCounts:
    """Count the entries of the Kronecker product, formed."""
    entries = [Fraction(1)]
    for matrix in matrices:
        entries = [x * y for x in entries for row in fraction_rows(matrix) for y in row]
    powers = {Fraction(2) ** k for k in range(-40, 41)}
    common = sympy.ilcm(1, *(entry.denominator for entry in entries))
    return MatrixCounts(
        nonzeros=sum(entry != 0 for entry in entries),
        constants=sum(entry != 0 and abs(entry) not in powers for entry in entries),
        denominator=int(common),
        largest=sympy.Rational(str(max(map(abs, entries)))),
    )


@settings(max_examples=25)
@given(nested_algorithms(max_axes=2))
def test_counts_of_a_nest_are_those_of_its_kronecker_products(nested: NestedAlgorithm) -> None:
    counts = count(nested)
    for name in ("at", "g", "bt"):
        assert getattr(counts, name) == matrix_counts_ref([getattr(axis, name) for axis in nested.axes])
    assert counts.multiplications == nested.rank
    assert counts.axes == (tuple(count(axis) for axis in nested.axes) if nested.ndim > 1 else ())


@pytest.mark.parametrize("name", ["at", "g", "bt"])
def test_a_changed_scale_changes_the_counts_of_that_matrix(name: str) -> None:
    algorithm = toom_cook(4, 3, "0,1,-1,2,-2,inf")
    factors = {"at": [1] * 6, "g": [1] * 6, "bt": [1] * 6, name: [3] * 6}
    factors.pop("at" if name == "bt" else "bt")
    other = count(scaled(algorithm, **factors))
    assert getattr(other, name) != getattr(count(algorithm), name)


def test_integer_points_of_lavin_and_gray() -> None:
    counts = count(toom_cook(4, 3, "0,1,-1,2,-2,inf"))
    assert (counts.at.nonzeros, counts.g.nonzeros, counts.bt.nonzeros) == (18, 14, 22)
    assert (counts.at.constants, counts.g.constants, counts.bt.constants) == (0, 12, 2)
    assert (counts.at.denominator, counts.g.denominator, counts.bt.denominator) == (1, 24, 1)
    assert (counts.at.largest, counts.g.largest, counts.bt.largest) == (8, 1, 5)
    assert (counts.per_output, counts.minimal_per_output, counts.direct_per_output) == (
        Fraction(3, 2),
        Fraction(3, 2),
        3,
    )
    assert (counts.over_minimal, counts.over_direct) == (1, Fraction(1, 2))


def test_a_three_dimensional_nest() -> None:
    counts = count(nest(toom_cook(2, 3), toom_cook(4, 3), toom_cook(4, 3)))
    assert (counts.multiplications, counts.outputs, counts.minimal, counts.direct) == (144, 32, 144, 864)
    assert counts.per_output == Fraction(9, 2)
    assert [axis.m for axis in counts.axes] == [(2,), (4,), (4,)]


def test_superlinear_algorithms_are_above_the_minimum() -> None:
    axis = symbolic_fourier(6, 3)
    counts = count(nest(axis, axis))
    assert counts.multiplications == 100
    assert counts.over_direct == Fraction(100, 324)
    assert counts.over_minimal == Fraction(100, 64)
    assert count(crt(4, 3, "x,x-1,x+1,x^2+1,inf")).over_minimal == Fraction(7, 6)


def test_irrational_entries_have_no_denominator() -> None:
    algorithm = gauss_fft(3, 3)
    counts = count(algorithm)
    for name in ("at", "g", "bt"):
        entries = [entry for entry in getattr(algorithm, name) if entry]
        matrix = getattr(counts, name)
        assert matrix.denominator is None
        assert matrix.nonzeros == len(entries)
        assert all(abs(entry) <= matrix.largest for entry in entries)
        assert any(abs(entry) == matrix.largest for entry in entries)
        powers = [sympy.Rational(2) ** k for k in range(-4, 5)]
        assert matrix.constants == sum(abs(entry) not in powers for entry in entries)
    assert 0 < counts.at.constants < counts.at.nonzeros
    assert count(nest(algorithm, algorithm)).at.constants is None
    assert count(nest(algorithm, algorithm)).at.largest == counts.at.largest**2


def test_symbols_have_no_largest_entry() -> None:
    a = sympy.Symbol("a")
    counts = count(toom_cook(2, 2, [0, a, INFINITY]))
    assert counts.at == MatrixCounts(nonzeros=4, constants=1, denominator=None, largest=None)
    assert "-" in counts.rows[0][-1]


def test_zeros_are_counted_as_nothing() -> None:
    padded = BilinearAlgorithm(m=1, r=1, at=[[1, 0]], g=[[1], [3]], bt=[[1], [0]])
    counts = count(padded)
    assert counts.multiplications == 2
    assert counts.at == MatrixCounts(nonzeros=1, constants=0, denominator=1, largest=sympy.Integer(1))
    assert counts.g.constants == 1


def test_tables() -> None:
    counts = count(nest(toom_cook(2, 3), toom_cook(4, 3)))
    assert (
        repr(counts) == "<counts of F(2x4,3x3): 24 multiplications, 3 per output, 1 of the minimum, 33.3 % of direct>"
    )
    lines = str(counts).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert [line.split()[0] for line in lines[2:]] == ["F(2,3)", "F(4,3)", "F(2x4,3x3)"]
    page = counts._repr_html_()
    for text in (*HEADER, *(cell for row in counts.rows for cell in row)):
        assert text in unescape(page)


def test_names_of_symbols_are_escaped() -> None:
    counts = count(scaled(toom_cook(1, 1), g=[sympy.Symbol("<script>")], bt=[1]))
    assert "<script>" not in counts._repr_html_()


def test_what_is_no_algorithm_is_refused() -> None:
    with pytest.raises(TypeError, match="must be a BilinearAlgorithm or a NestedAlgorithm"):
        count(toom_cook)  # type: ignore[arg-type]
