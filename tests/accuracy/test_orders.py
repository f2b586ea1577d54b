from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import algorithms
from winograd.accuracy.linear import matrix_exact, responses
from winograd.accuracy.orders import Order, Tree, as_order, axis_programs, huffman_tree, ordered_program
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.toom_cook import toom_cook


def fractions(*values: int | str) -> list[Fraction]:
    return [Fraction(value) for value in values]


@pytest.mark.parametrize(
    ("row", "tree"),
    [
        (fractions(1), 0),
        (fractions(4, 2, 1), ((2, 1), 0)),
        # Equal keys: the one inserted last comes first, at the start and after a sum.
        (fractions(1, 1), (1, 0)),
        (fractions(2, 1, 2), ((1, 2), 0)),
        # Zeros have the key -inf, and so has every sum with a zero.
        (fractions(1, -1, 0, 2), (((2, 1), 0), 3)),
        # 1/2 and 4 make a sum of key 2 = 1/2 * 4, below 5.
        (fractions(4, "1/2", 5), ((1, 0), 2)),
        # 3 * 3 = 9 lies above 5 and 7, which join to 35.
        (fractions(3, 3, 5, 7), ((1, 0), (2, 3))),
    ],
)
def test_huffman_tree_of_known_rows(row: list[Fraction], tree: Tree) -> None:
    assert huffman_tree(row) == tree


def leaves(tree: Tree) -> list[int]:
    return [tree] if isinstance(tree, int) else leaves(tree[0]) + leaves(tree[1])


@given(st.lists(st.fractions(-8, 8, max_denominator=8), min_size=1, max_size=12))
def test_huffman_tree_takes_every_entry_once(row: list[Fraction]) -> None:
    assert sorted(leaves(huffman_tree(row))) == list(range(len(row)))


@given(algorithms(), st.sampled_from(Order))
def test_programs_of_every_order_multiply_by_the_matrices(algorithm: BilinearAlgorithm, order: Order) -> None:
    programs = axis_programs(algorithm, order)
    for program, matrix in (
        (programs.data, algorithm.bt),
        (programs.filter, algorithm.g),
        (programs.inverse, algorithm.at),
    ):
        assert matrix_exact(program).tolist() == [list(row) for row in fraction_rows(matrix)]
        from_inputs = responses(program)[: program.inputs].T
        np.testing.assert_allclose(from_inputs, np.array(fraction_rows(matrix), dtype=float), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("order", [Order.SEQUENTIAL, Order.HUFFMAN])
def test_program_with_another_last_instruction_multiplies_by_another_matrix(order: Order) -> None:
    matrix = toom_cook(4, 3).bt
    program = ordered_program(matrix, order)
    broken = replace(program, outputs=(*program.outputs[:-1], program.nodes[-1].args[0]))
    assert matrix_exact(broken).tolist() != [list(row) for row in fraction_rows(matrix)]


def test_unknown_orders_are_refused() -> None:
    with pytest.raises(ValueError, match="order is 'pairwise', must be one of sequential, huffman, lowered"):
        as_order("pairwise")
    with pytest.raises(ValueError, match="order is 'lowered', must be sequential or huffman"):
        ordered_program(toom_cook(2, 3).bt, Order.LOWERED)
