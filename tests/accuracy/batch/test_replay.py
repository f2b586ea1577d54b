"""A shape, replayed, has the forms and responses of each candidate's own program."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from winograd.accuracy.batch.equality import equal_classes, grouped, powers_of_two
from winograd.accuracy.batch.lowered import LoweredTransform
from winograd.accuracy.batch.matrices import MatrixBatch
from winograd.accuracy.batch.names import mixed, product_names
from winograd.accuracy.formats import float_format
from winograd.accuracy.linear import as_float, forms_exact, matrix_exact, responses, with_rounded_constants
from winograd.accuracy.recipe import Recipe, Scaling
from winograd.algebra.bilinear import fraction_rows
from winograd.codegen.interpret import Contraction
from winograd.codegen.lower import lower_rows
from winograd.codegen.pipeline import STRUCTURAL

SETS = [
    [0, "5/8", "-5/8", "3/2", "-3/2", "inf"],
    [0, "3/5", "-3/5", "7/4", "-7/4", "inf"],
    [0, 1, -1, 2, -2, "inf"],
    [0, 1, -1, 3, "-1/3", "inf"],
]


def matrices(name, scaling):
    return [fraction_rows(getattr(Recipe.from_points(points, scaling).build(4, 3), name)) for points in SETS]


@pytest.mark.parametrize("scaling", Scaling)
@pytest.mark.parametrize("name", ["at", "g", "bt"])
def test_forms_responses_and_changes_are_those_of_each_program(name, scaling):
    rows = matrices(name, scaling)
    batch = MatrixBatch(np.array(rows, dtype=np.float64), rows.__getitem__)
    transform = LoweredTransform.of(batch, Contraction.FUSED)
    half = float_format("float16")
    seen = []
    for numbers, replay in transform.replays:
        for place, number in enumerate(numbers):
            full, structural = lower_rows(rows[number]), lower_rows(rows[number], STRUCTURAL)
            program = full if len(full.nodes) == len(replay.program.nodes) < len(structural.nodes) else structural
            # A form adds and multiplies at most 12 times.
            np.testing.assert_allclose(replay.forms[:, place], as_float(forms_exact(program)), rtol=0, atol=1e-13)
            np.testing.assert_allclose(replay.responses[:, place], responses(program), rtol=0, atol=1e-13)
            change = as_float(matrix_exact(with_rounded_constants(program, half)) - matrix_exact(program))
            np.testing.assert_allclose(replay.change(half)[place], change, rtol=0, atol=1e-13)
            seen.append(int(number))
    assert sorted(seen) == list(range(len(SETS)))


def test_sets_of_one_shape_are_replayed_together_and_others_are_not():
    rows = matrices("bt", Scaling.FILTER)
    batch = MatrixBatch(np.array(rows, dtype=np.float64), rows.__getitem__)
    groups = {tuple(numbers.tolist()) for numbers, _ in LoweredTransform.of(batch, Contraction.FUSED).replays}
    assert groups == {(0, 1), (2,), (3,)}


def test_the_shape_of_another_candidate_is_noticed():
    """What grouping prevents: the integers' program has other nodes than that of fractions."""
    fractions, integers = (lower_rows(matrices("bt", Scaling.FILTER)[place], STRUCTURAL) for place in (0, 3))
    assert len(fractions.nodes) != len(integers.nodes)


def test_numbers_a_few_units_apart_are_equal_and_others_are_not():
    third = 1 / 3
    values = np.array([[third, third * (1 + 2.0**-50), third * (1 + 2.0**-40), 1.0]])
    assert equal_classes(values).tolist() == [[0, 0, 2, 3]]


def test_powers_of_two_computed_with_an_error_are_known():
    values = np.array([0.5 * (1 + 2.0**-52), 0.5 * (1 - 2.0**-53), 0.5 * (1 + 2.0**-30), float(Fraction(3, 8))])
    assert powers_of_two(values).tolist() == [True, True, False, False]


def test_groups_keep_every_row_once():
    labels = np.array([[1, 2], [2, 1], [1, 2], [3, 3]], dtype=np.int16)
    assert sorted(np.concatenate(list(grouped(labels).values())).tolist()) == [0, 1, 2, 3]


def test_constants_and_inputs_do_not_change_places_in_names():
    inputs = mixed(np.arange(20, dtype=np.uint64))
    products = [product_names(np.full(20, label), inputs) for label in range(20)]
    assert len({int(name) for name in np.concatenate([inputs, *products])}) == 21 * 20
