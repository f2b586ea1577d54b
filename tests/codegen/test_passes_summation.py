"""Summation: trees that carry least, short chains, small terms first."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.codegen.forms import matrix_of
from winograd.codegen.interpret import interpret
from winograd.codegen.passes.summation import add_small_first, balance, carried, squares
from winograd.codegen.passes.trees import Join, Leaf, huffman_tree
from winograd.codegen.program import Op, Program, ProgramBuilder


def least(weights: tuple[int, ...]) -> int:
    """Return what the additions of the best of all trees carry: obviously right, slow."""
    if len(weights) < 2:
        return 0
    return sum(weights) + min(least(first) + least(second) for first, second in halves(weights))


def halves(weights: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    for mask in range(1, 2 ** (len(weights) - 1)):
        chosen = [mask >> place & 1 for place in range(len(weights))]
        yield (
            tuple(weight for weight, one in zip(weights, chosen, strict=True) if one),
            tuple(weight for weight, one in zip(weights, chosen, strict=True) if not one),
        )


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6))
def test_no_tree_carries_less(weights: list[int]) -> None:
    leaves = [Leaf(Fraction(1), place, Fraction(weight)) for place, weight in enumerate(weights)]
    tree = huffman_tree(leaves, fused=False)
    assert tree is not None
    assert tree.carried == least(tuple(weights))


def test_another_tree_carries_more() -> None:
    leaves = [Leaf(Fraction(1), place, Fraction(weight)) for place, weight in enumerate((9, 1, 1))]
    assert Join.of(Join.of(leaves[0], leaves[1]), leaves[2]).carried > least((9, 1, 1))


@given(st.lists(st.sampled_from([1, -1, 2, -3]), min_size=2, max_size=9), st.booleans())
def test_products_meet_only_where_there_is_nothing_else(coefficients: list[int], fused: bool) -> None:
    leaves = [Leaf(Fraction(c), place, Fraction(c * c)) for place, c in enumerate(coefficients)]
    tree = huffman_tree(leaves, fused=fused)
    meeting = sum(
        isinstance(join.first, Leaf) and isinstance(join.second, Leaf) and 1 not in map(abs, pair(join))
        for join in joins(tree)
    )
    if fused:
        assert meeting == all(abs(c) != 1 for c in coefficients)


def pair(join: Join) -> list[Fraction]:
    return [part.coefficient for part in (join.first, join.second) if isinstance(part, Leaf)]


def joins(tree: Join | Leaf | None) -> Iterator[Join]:
    if isinstance(tree, Join):
        yield tree
        yield from joins(tree.first)
        yield from joins(tree.second)


def depth(program: Program) -> int:
    depths = [0] * program.inputs
    for node in program.nodes:
        depths.append(1 + max(depths[argument] for argument in node.args))
    return max(depths)


@pytest.mark.parametrize("count", range(2, 18))
def test_balanced_sums_are_as_short_as_can_be(count: int) -> None:
    chain = one_sum([1] * count)
    assert depth(chain) == count - 1
    assert depth(balance(chain)) == ceil(log2(count))


@given(st.lists(st.sampled_from([1, -1, 2, -2, Fraction(-5, 3)]), min_size=2, max_size=8), st.booleans())
def test_signs_and_products_cost_nothing(coefficients: list[Fraction], fused: bool) -> None:
    program = one_sum(coefficients, fused=fused)
    for order in (balance, add_small_first):
        assert matrix_of(order(program)) == matrix_of(program)
        assert order(program).counts.instructions <= program.counts.instructions
        assert order(program).counts.unfused <= program.counts.unfused


def one_sum(coefficients: list, *, fused: bool = True) -> Program:
    builder = ProgramBuilder(len(coefficients))
    terms = [(Fraction(c), place) for place, c in enumerate(coefficients)]
    if fused:
        return builder.build([builder.combination(terms)])
    total = builder.scaled(*terms[0])
    for factor, value in terms[1:]:
        total = builder.emit(Op.ADD if factor > 0 else Op.SUB, total, builder.scaled(abs(factor), value))
    return builder.build([total])


def test_small_terms_first_round_less() -> None:
    """64 + 1 + 1/2 + ...: the sum of the small terms is exact enough that the mean error is nearly a rounding."""
    program = one_sum([Fraction(64), *[Fraction(1)] * 7], fused=False)
    small_first = add_small_first(program)
    inputs = list(np.random.default_rng(0).standard_normal((8, 4000)).astype(np.float32))
    [exact] = interpret(program, [value.astype(np.float64) for value in inputs])
    errors = [float(np.square(interpret(one, inputs)[0] - exact).mean()) for one in (program, small_first)]
    assert carried(small_first, squares) < carried(program, squares)
    assert errors[1] < errors[0]
