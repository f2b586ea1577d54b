"""Instruction counts of the sets that really run: the catalogue's, with and without fused multiply-add.

The catalogue states what its algorithms cost; the programs that are emitted take that or less.
"""

from __future__ import annotations

import pytest

import winograd
from winograd.accuracy.catalogue import catalogue
from winograd.algebra.nesting import as_nested
from winograd.codegen.report import report_on

ENOUGH = {
    2: ((4, 4, 4), (4, 4, 4)),
    3: ((10, 9, 8), (18, 12, 12)),
    4: ((12, 12, 8), (21, 16, 12)),
    5: ((21, 20, 12), (39, 29, 18)),
    6: ((32, 31, 16), (60, 46, 24)),
    7: ((36, 35, 16), (68, 54, 24)),
    8: ((50, 42, 20), (90, 70, 29)),
}
"""Data, inverse, filter of the best known F(m, 3) in float32 with the fewest products: with FMA, and without."""


@pytest.mark.parametrize("m", ENOUGH)
def test_the_best_sets_take_no_more_than_this(m: int) -> None:
    fused, separate = ENOUGH[m]
    tile = report_on(as_nested(winograd.best(m, 3))).tile
    assert all(one.counts.instructions <= count for one, count in zip(tile, fused, strict=True))
    assert all(one.separate <= count for one, count in zip(tile, separate, strict=True))


@pytest.mark.parametrize("m", ENOUGH)
@pytest.mark.parametrize("more", [0, 1])
def test_programs_take_no_more_than_the_catalogue_states(m: int, more: int) -> None:
    [row] = [row for row in catalogue().filter(r=3, m=m).rows if row.products == m + 2 + more]
    data, filter_, inverse = row.instructions
    tile = report_on(as_nested(catalogue().build(row.m, row.r, row.products))).tile
    found = [one.counts.instructions for one in tile]
    assert all(count <= stated for count, stated in zip(found, (data, inverse, filter_), strict=True))


def test_a_figure_that_is_too_low_would_be_noticed() -> None:
    tile = report_on(as_nested(winograd.best(4, 3))).tile
    assert not all(one.counts.instructions <= count - 1 for one, count in zip(tile, ENOUGH[4][0], strict=True))
