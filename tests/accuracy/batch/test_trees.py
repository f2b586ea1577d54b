"""Trees of many rows are those of one row at a time, ties included."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.accuracy.batch.trees import summation_steps
from winograd.accuracy.orders import Order, huffman_tree, sequential_tree

ONE_ROW = {Order.HUFFMAN: huffman_tree, Order.SEQUENTIAL: sequential_tree}

entries = st.sampled_from([Fraction(n, d) * sign for n in (0, 1, 2, 3, 5) for d in (1, 3, 4) for sign in (1, -1)])


def tree_of(steps, columns):
    parts = list(range(columns))
    for first, second in steps:
        parts.append((parts[first], parts[second]))
    return parts[-1]


@pytest.mark.parametrize("order", ONE_ROW)
@given(st.integers(1, 8).flatmap(lambda size: st.lists(st.lists(entries, min_size=size, max_size=size), min_size=1)))
def test_steps_are_those_of_the_tree(order, rows):
    values = np.array([[float(entry) for entry in row] for row in rows])
    found = summation_steps(values, order)
    for row, steps in zip(rows, found.tolist(), strict=True):
        assert tree_of(steps, len(row)) == ONE_ROW[order](row)


def test_of_equal_keys_the_last_inserted_comes_first():
    steps = summation_steps(np.array([1.0, 1.0, 1.0]), Order.HUFFMAN).tolist()
    assert tree_of(steps, 3) == ((2, 1), 0)
    assert tree_of(steps, 3) != sequential_tree([Fraction(1)] * 3)
