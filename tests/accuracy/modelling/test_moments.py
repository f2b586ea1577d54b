from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import algorithms
from winograd.accuracy.formats import float_format
from winograd.accuracy.linear import (
    as_float,
    forms_exact,
    is_power_of_two,
    matrix_exact,
    responses,
    with_rounded_constants,
)
from winograd.accuracy.modelling.moments import AxisMoments, _changed_tensor, axis_moments, roundings
from winograd.accuracy.modelling.variance import variances
from winograd.accuracy.orders import Order, axis_programs
from winograd.accuracy.protocol import LAYER, STANDARD, FilterRounding, Inputs
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.growth import kappa
from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.interpret import Contraction
from winograd.codegen.lower import AxisPrograms
from winograd.codegen.program import Node, Op, Program

F32 = float_format("float32")


def moments(axis: BilinearAlgorithm, order: Order, rounding: FilterRounding = FilterRounding.ONCE) -> AxisMoments:
    return axis_moments(axis, order, F32, Contraction.SEPARATE, rounding, Inputs.UNIFORM, 0)


@given(algorithms(6), st.sampled_from(Order))
def test_responses_and_forms_are_the_matrix(axis: BilinearAlgorithm, order: Order) -> None:
    programs = axis_programs(axis, order)
    for program, matrix in ((programs.data, axis.bt), (programs.filter, axis.g), (programs.inverse, axis.at)):
        assert matrix_exact(program).tolist() == [list(row) for row in fraction_rows(matrix)]
        # What the outputs are is what they respond to the inputs; float64 sums of at most 16 terms.
        expected = pytest.approx(as_float(matrix_exact(program)), rel=1e-12, abs=1e-12)
        assert expected == responses(program)[: program.inputs].T


def test_a_wrong_response_is_noticed() -> None:
    program = Program(inputs=2, nodes=(Node(Op.FMA, (0, 1), Fraction(3)),), outputs=(2,))
    wrong = replace(program, nodes=(Node(Op.FMS, (0, 1), Fraction(3)),))
    assert responses(program)[:2].T.tolist() == as_float(matrix_exact(program)).tolist()
    assert responses(wrong)[:2].T.tolist() != as_float(matrix_exact(program)).tolist()


def all_of(programs: AxisPrograms) -> tuple[Program, ...]:
    return programs.data, programs.filter, programs.inverse


def passed_on_ref(program: Program, contraction: Contraction) -> np.ndarray:
    """Return the sum over all that is rounded of its form times what the outputs get of it, value by value."""
    forms, response = as_float(forms_exact(program)), responses(program)
    total = np.zeros((len(program.outputs), program.inputs))
    for number, node in enumerate(program.nodes, start=program.inputs):
        constant = Fraction(1) if node.constant is None else node.constant
        multiplies = not is_power_of_two(constant)
        if multiplies and (node.op is Op.SCALE or contraction is Contraction.SEPARATE):
            total += np.outer(response[number], float(constant) * forms[node.args[0]])
        if len(node.args) == 2:
            total += np.outer(response[number], forms[number])
    return total


@pytest.mark.parametrize("contraction", Contraction)
def test_every_value_that_is_rounded_is_there_once_with_all_that_the_outputs_get_of_it(
    contraction: Contraction,
) -> None:
    for m, order in product((2, 4, 6), Order):
        for program in all_of(axis_programs(toom_cook(m, 3), order)):
            found = roundings(program, contraction)
            expected = passed_on_ref(program, contraction)
            assert found.responses.T @ found.forms == pytest.approx(expected, rel=1e-12, abs=1e-12 * expected.max())


@pytest.mark.parametrize("rounding", FilterRounding)
def test_rounded_constants_change_the_tensor_by_what_their_matrices_differ(rounding: FilterRounding) -> None:
    fmt, axis = float_format("float16"), toom_cook(4, 3, "0,1,-1,1/3,-3,inf")
    for order in Order:
        programs = axis_programs(axis, order)
        at, g, bt = (as_float(matrix_exact(program)) for program in (programs.inverse, programs.filter, programs.data))
        rounded = [
            as_float(matrix_exact(with_rounded_constants(program, fmt)))
            for program in (programs.inverse, programs.filter, programs.data)
        ]
        if rounding is FilterRounding.ONCE:
            rounded[1] = g
        change = np.einsum("it,tk,tj->ikj", *rounded) - np.einsum("it,tk,tj->ikj", at, g, bt)
        overlap, squares = _changed_tensor(axis, programs, fmt, rounding)
        diagonal = [sum(change[i, k, i + k] for k in range(3)) for i in range(4)]
        assert squares.max() > 0
        assert overlap == pytest.approx(diagonal, rel=1e-6, abs=1e-12)
        assert squares == pytest.approx((change**2).sum(axis=(1, 2)), rel=1e-6)


def test_constants_are_rounded_once() -> None:
    program = Program(inputs=1, nodes=(Node(Op.SCALE, (0,), Fraction(1, 3)),), outputs=(1,))
    rounded = forms_exact(with_rounded_constants(program, float_format("float16")))[1, 0]
    assert rounded == Fraction(1365, 4096)


@given(algorithms(6), st.sampled_from(Order))
def test_products_are_amplified_by_kappa(axis: BilinearAlgorithm, order: Order) -> None:
    assert np.diag(moments(axis, order).products).mean() / axis.r == pytest.approx(float(kappa(axis)), rel=1e-12)


@given(algorithms(5), st.sampled_from(Order), st.sampled_from(FilterRounding))
def test_covariances_are_symmetric_and_nonnegative(
    axis: BilinearAlgorithm, order: Order, rounding: FilterRounding
) -> None:
    found = moments(axis, order, rounding)
    for part in (found.products, found.first, found.later, found.inverse):
        size = np.abs(part).max()
        assert np.abs(part - part.T).max() <= 1e-12 * size
        assert np.linalg.eigvalsh(part).min() >= -1e-10 * size


def test_filters_transformed_beforehand_have_no_transform_error() -> None:
    axis = toom_cook(4, 3)
    rounded = FilterRounding.ONCE, FilterRounding.EVERY_INSTRUCTION
    once, every = (moments(axis, Order.LOWERED, rounding).first for rounding in rounded)
    assert np.all(np.diag(once) < np.diag(every))


def test_powers_of_two_round_nothing_and_fused_products_only_once() -> None:
    nodes = (Node(Op.SCALE, (0,), Fraction(4)), Node(Op.FMA, (1, 2), Fraction(3)), Node(Op.NEG, (3,)))
    program = Program(inputs=2, nodes=nodes, outputs=(4,))
    assert len(roundings(program, Contraction.FUSED).forms) == 1
    assert len(roundings(program, Contraction.SEPARATE).forms) == 2


@pytest.mark.parametrize("experiment", [STANDARD, LAYER], ids=lambda one: one.name)
def test_covariances_of_outputs_have_the_variances_on_their_diagonal(experiment: object) -> None:
    parts = variances(nest(toom_cook(3, 2), toom_cook(2, 3)), F32, experiment, Order.LOWERED)  # type: ignore[arg-type]
    for variance, covariance in ((parts.before, parts.before_covariance), (parts.after, parts.after_covariance)):
        assert np.diag(covariance) == pytest.approx(variance.ravel(), rel=1e-12, abs=0)


def test_axes_may_be_exchanged_for_the_products_only() -> None:
    first, second = toom_cook(2, 3), toom_cook(4, 3)
    one, other = (variances(nest(*axes), F32, LAYER, Order.LOWERED) for axes in ((first, second), (second, first)))
    for name in ("filter_storage", "constants"):
        assert getattr(one, name) == pytest.approx(getattr(other, name).T, rel=1e-9, abs=0)
    assert one.before.mean() != pytest.approx(other.before.mean(), rel=1e-3, abs=0)
