"""Nested programs: the transform along all axes, in the order that costs least."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import nested_algorithms
from winograd.algebra.bilinear import fraction_rows
from winograd.algebra.crt import crt
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.cost import MACHINES
from winograd.codegen.interpret import interpret
from winograd.codegen.lower import Lowering, SumOrder
from winograd.codegen.nested import AxisPass, cost_of_passes, count_passes, lower_nested, stored_between
from winograd.codegen.program import Program

F2, F4 = toom_cook(2, 3, "0,1,-1,inf"), toom_cook(4, 3, "0,1,-1,2,-2,inf")
LOWERINGS = st.builds(Lowering, st.sampled_from(SumOrder), st.booleans(), st.booleans())
STAGES = ("data", "filter", "inverse")


def run(steps: tuple[AxisPass, ...], tile: np.ndarray) -> np.ndarray:
    for step in steps:
        assert tile.shape == step.extents
        tile = np.stack(interpret(step.program, list(np.moveaxis(tile, step.axis, 0))))
        tile = np.moveaxis(tile, 0, step.axis)
    return tile


def matrices(nested: NestedAlgorithm, stage: str, transposed: bool) -> list[np.ndarray]:
    name = {"data": "bt", "filter": "g", "inverse": "at"}[stage]
    found = [np.array(fraction_rows(getattr(axis, name)), dtype=object) for axis in nested.axes]
    return [matrix.T for matrix in found] if transposed else found


def cost(programs: list[Program], order: tuple[int, ...]) -> int:
    """Return the instructions of an order of axes; obviously right."""
    sizes, total = [program.inputs for program in programs], 0
    for axis in order:
        others = [size for place, size in enumerate(sizes) if place != axis]
        total += int(np.prod(others, dtype=int)) * programs[axis].counts.instructions
        sizes[axis] = len(programs[axis].outputs)
    return total


@given(nested_algorithms(), LOWERINGS, st.sampled_from(STAGES))
@settings(deadline=None, max_examples=25)
def test_the_passes_multiply_every_axis_by_its_matrix(nested: NestedAlgorithm, lowering: Lowering, stage: str) -> None:
    steps = lower_nested(nested, lowering).of(stage)
    factors = matrices(nested, stage, lowering.transposed)
    shape = [matrix.shape[1] for matrix in factors]
    numbers = [Fraction(number * number, 3) for number in range(int(np.prod(shape)))]
    tile = np.array(numbers, dtype=object).reshape(shape)
    expected = tile
    for axis, matrix in enumerate(factors):
        expected = np.moveaxis(np.tensordot(matrix, expected, axes=([1], [axis])), 0, axis)
    assert (run(steps, tile) == expected).all()


@given(nested_algorithms(), LOWERINGS, st.sampled_from(STAGES))
@settings(deadline=None, max_examples=25)
def test_no_order_of_axes_is_cheaper(nested: NestedAlgorithm, lowering: Lowering, stage: str) -> None:
    steps = lower_nested(nested, lowering).of(stage)
    by_axis = {step.axis: step.program for step in steps}
    programs = [by_axis[axis] for axis in range(nested.ndim)]
    costs = [cost(programs, order) for order in permutations(range(nested.ndim))]
    assert count_passes(steps).instructions == min(costs)


def test_the_inverse_of_a_tile_that_is_no_cube_is_cheaper_one_way() -> None:
    steps = lower_nested(nest(F2, F4, F4)).inverse
    programs = [next(step.program for step in steps if step.axis == axis) for axis in range(3)]
    costs = {order: cost(programs, order) for order in permutations(range(3))}
    assert (count_passes(steps).instructions, max(costs.values())) == (344, 464)
    assert steps[0].axis == 0


@pytest.mark.parametrize("stage", STAGES)
def test_transposed_passes_go_the_other_way(stage: str) -> None:
    nested = nest(F2, F4, F4)
    forward, back = (lower_nested(nested, Lowering(transposed=transposed)).of(stage) for transposed in (False, True))
    assert [step.axis for step in forward] != [step.axis for step in back] or stage == "data"
    assert tuple(len(step.program.outputs) for step in sorted(back, key=lambda step: step.axis)) == forward[0].extents


def test_where_orders_tie_the_last_axis_is_first() -> None:
    assert [step.axis for step in lower_nested(nest(F4, F4, F4)).data] == [2, 1, 0]


def test_what_is_stored_between_two_passes() -> None:
    steps = lower_nested(nest(F2, F4, F4)).filter
    assert [step.axis for step in steps] == [0, 2, 1]
    assert stored_between(steps) == (4 * 3 * 3, 4 * 3 * 6)
    assert stored_between(lower_nested(nest(F4)).data) == ()


def test_more_products_than_inputs_are_made_last() -> None:
    superlinear = crt(4, 3, "x,x-1,x+1,x^2+1,inf")
    steps = lower_nested(nest(superlinear, F2)).data
    programs = [next(step.program for step in steps if step.axis == axis) for axis in range(2)]
    assert count_passes(steps).instructions == min(cost(programs, (0, 1)), cost(programs, (1, 0)))


def test_the_cost_of_passes_is_that_of_all_runs() -> None:
    steps = lower_nested(nest(F2, F4)).inverse
    found = cost_of_passes(steps, MACHINES["SSE2"])
    assert found.instructions == count_passes(steps).unfused
    assert found.loads == sum(step.runs * step.program.inputs for step in steps)
    assert found.stores == sum(step.runs * len(step.program.outputs) for step in steps)
