"""F inside F: sizes, ranks, leaving out taps, refusals; the law itself is proved whenever one is made."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import algorithms
from winograd.algebra.bilinear import BilinearAlgorithm, ProofError
from winograd.algebra.reduction import iterate
from winograd.algebra.toom_cook import toom_cook


@given(algorithms(5), algorithms(5))
def test_sizes_and_rank(outer: BilinearAlgorithm, inner: BilinearAlgorithm) -> None:
    whole = iterate(outer, inner)
    block = min([inner.m] * (outer.m > 1) + [inner.r] * (outer.r > 1), default=1)
    assert (whole.m, whole.r) == (block * (outer.m - 1) + inner.m, block * (outer.r - 1) + inner.r)
    assert whole.rank <= outer.rank * inner.rank  # where blocks overlap, products may be needless


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_blocks_of_one_size_multiply(m: int, r: int, block: int) -> None:
    whole = iterate(toom_cook(m, r), toom_cook(block, block))
    assert (whole.m, whole.r, whole.rank) == (m * block, r * block, (m + r - 1) * (2 * block - 1))


def test_direct_algorithms_give_splitting_and_tiling() -> None:
    inner = toom_cook(4, 3)
    assert repr(iterate(toom_cook(1, 2), inner)) == "<F(4,6), 12 multiplications>"
    assert repr(iterate(toom_cook(2, 1), inner)) == "<F(8,3), 12 multiplications>"
    assert iterate(toom_cook(1, 1), inner) == iterate(inner, toom_cook(1, 1)) == inner


@given(algorithms(4), algorithms(5), st.data())
def test_leaving_out_taps_costs_nothing(
    outer: BilinearAlgorithm, inner: BilinearAlgorithm, data: st.DataObject
) -> None:
    whole = iterate(outer, inner)
    shorter = iterate(outer, inner, data.draw(st.integers(1, whole.r)))
    assert shorter.m == whole.m
    assert shorter.rank <= whole.rank


def test_products_of_left_out_taps_vanish() -> None:
    outer, inner = toom_cook(2, 3), toom_cook(6, 6)
    assert (iterate(outer, inner).rank, iterate(outer, inner, 17).rank) == (44, 43)


def test_f_inside_f_inside_f() -> None:
    karatsuba = toom_cook(2, 2, "0,1,inf")
    assert repr(iterate(karatsuba, iterate(karatsuba, karatsuba))) == "<F(8,8), 27 multiplications>"
    assert iterate(karatsuba, iterate(karatsuba, karatsuba)) == iterate(iterate(karatsuba, karatsuba), karatsuba)


def test_algebraic_points_stay_exact() -> None:
    root = sympy.sqrt(2)
    assert iterate(toom_cook(2, 2, "0,1,inf"), toom_cook(2, 2, [root, -root, "inf"])).rank == 9


@given(algorithms(4), algorithms(4), st.data())
def test_a_wrong_entry_of_a_part_breaks_the_proof(
    outer: BilinearAlgorithm, inner: BilinearAlgorithm, data: st.DataObject
) -> None:
    wrong = BilinearAlgorithm(m=inner.m, r=inner.r, at=inner.at, g=inner.g, bt=inner.bt)
    row, column = data.draw(st.integers(0, inner.rank - 1)), data.draw(st.integers(0, inner.r - 1))
    mutated = wrong.g.as_mutable()
    mutated[row, column] += 1
    object.__setattr__(wrong, "g", sympy.ImmutableMatrix(mutated))
    with pytest.raises(ProofError):
        iterate(outer, wrong)


def test_taps_and_tiles_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"r is 10, must be at most the 9 taps of F\(3,3\) in F\(2,3\)"):
        iterate(toom_cook(2, 3), toom_cook(3, 3), 10)
    with pytest.raises(ValueError, match="r is 0, must be at least 1"):
        iterate(toom_cook(2, 3), toom_cook(3, 3), 0)
    with pytest.raises(TypeError, match="r is True"):
        iterate(toom_cook(2, 3), toom_cook(3, 3), True)
    with pytest.raises(ValueError, match=r"F\(36,36\) has a tile of 71"):
        iterate(toom_cook(6, 6), toom_cook(6, 6))
