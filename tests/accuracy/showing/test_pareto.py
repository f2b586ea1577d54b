"""Pareto fronts against their definition."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.accuracy.showing.pareto import FrontRow, non_dominated

FIGURE = st.sampled_from([1.0, 2.0, 3.0, 4.0])
ROWS = st.lists(st.tuples(FIGURE, FIGURE), max_size=8).map(
    lambda pairs: [FrontRow(str(number), *pair) for number, pair in enumerate(pairs)]
)


def dominates(first: FrontRow, second: FrontRow) -> bool:
    no_worse = first.products <= second.products and first.error <= second.error
    return no_worse and (first.products, first.error) != (second.products, second.error)


def is_front(front: tuple[FrontRow, ...], rows: list[FrontRow]) -> bool:
    """Whether the front is what its definition says, the first of equal rows standing for all of them."""
    figures = {(row.products, row.error) for row in rows if not any(dominates(other, row) for other in rows)}
    firsts = {next(row for row in rows if (row.products, row.error) == figure) for figure in figures}
    return set(front) == firsts and len(front) == len(firsts)


@given(ROWS)
def test_the_front_is_what_nobody_dominates(rows: list[FrontRow]) -> None:
    front = non_dominated(rows)
    assert is_front(front, rows)
    assert list(front) == sorted(front, key=lambda row: (row.products, -row.error))


@given(ROWS.filter(bool))
def test_a_front_that_lacks_a_row_is_noticed(rows: list[FrontRow]) -> None:
    assert not is_front(non_dominated(rows)[1:], rows)


def test_a_dominated_row_is_noticed() -> None:
    rows = [FrontRow("a", 1, 1), FrontRow("b", 2, 1)]
    assert not is_front(tuple(rows), rows)


def test_infinite_errors_are_figures_and_nan_is_none() -> None:
    assert [row.label for row in non_dominated([FrontRow("a", 1, math.inf), FrontRow("b", 2, 1)])] == ["a", "b"]
    with pytest.raises(ValueError, match="error of 'c' is nan"):
        FrontRow("c", 1, math.nan)
    with pytest.raises(ValueError, match="products of 'c' is nan"):
        FrontRow("c", math.nan, 1)
