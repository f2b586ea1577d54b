"""Passes: the same matrix, nothing more to do the second time, never worse; and what the whole pipeline reaches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings

from tests.codegen.programs import programs
from tests.strategies import algorithms
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.crt import crt
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.forms import factors, forms_of, matrix_of
from winograd.codegen.interpret import interpret
from winograd.codegen.lower import lower_axis, row_by_row
from winograd.codegen.passes.scheduling import live_values
from winograd.codegen.passes.sharing import LARGEST_PART, share
from winograd.codegen.pipeline import PASSES, run_passes
from winograd.codegen.program import Op, Program
from winograd.codegen.sums import instructions_when_fused

INTEGERS = toom_cook(4, 3, "0,1,-1,2,-2,inf")
CLAIMS: dict[str, Callable[[Program], int]] = {
    "pairing": instructions_when_fused,
    "factoring": instructions_when_fused,
    "fusing": lambda program: program.counts.instructions,
    "sharing": lambda program: program.counts.instructions,
    "dead code": lambda program: len(program.nodes),
    "scheduling": live_values,
}


def test_every_pass_claims_something() -> None:
    assert CLAIMS.keys() == PASSES.keys()


@given(programs())
@settings(deadline=None)
@pytest.mark.parametrize("name", sorted(PASSES))
def test_a_pass_keeps_the_matrix_and_lowers_what_it_claims_to(name: str, program: Program) -> None:
    better = PASSES[name](program)
    assert matrix_of(better) == matrix_of(program)
    assert CLAIMS[name](better) <= CLAIMS[name](program)
    if name == "scheduling":
        assert sorted(node.op.name for node in better.nodes) == sorted(node.op.name for node in program.nodes)


@given(programs())
@settings(deadline=None)
@pytest.mark.parametrize("name", sorted(PASSES))
def test_a_pass_has_nothing_to_do_the_second_time(name: str, program: Program) -> None:
    once = PASSES[name](program)
    assert PASSES[name](once) == once


@given(programs())
def test_the_matrix_of_a_program_is_what_the_interpreter_computes(program: Program) -> None:
    vector = [Fraction(3**place, 7) for place in range(program.inputs)]
    expected = [sum((a * b for a, b in zip(row, vector, strict=True)), Fraction(0)) for row in matrix_of(program)]
    assert interpret(program, vector) == expected


def test_a_pass_that_changed_the_matrix_would_be_noticed() -> None:
    program = row_by_row(fraction_rows(INTEGERS.bt))
    place = next(place for place, node in enumerate(program.nodes) if node.op is Op.SUB)
    nodes = [*program.nodes]
    nodes[place] = replace(nodes[place], op=Op.ADD)
    assert matrix_of(replace(program, nodes=tuple(nodes))) != matrix_of(program)


@given(algorithms())
@settings(deadline=None)
def test_the_pipeline_never_takes_more_than_rows_one_by_one(algorithm: BilinearAlgorithm) -> None:
    for matrix in (algorithm.bt, algorithm.g, algorithm.at):
        program = row_by_row(fraction_rows(matrix))
        best, gains = run_passes(program)
        assert best.counts.instructions <= program.counts.instructions
        assert gains[-1].after == best.counts
        assert all(one.after == following.before for one, following in pairwise(gains))


@pytest.mark.parametrize(
    ("algorithm", "data", "inverse", "filter_"),
    [
        (toom_cook(2, 3, "0,1,-1,inf"), 4, 4, 4),
        (INTEGERS, 12, 10, 8),
        (toom_cook(6, 3, "0,1,-1,2,-2,1/2,-1/2,inf"), 24, 20, 12),
        (toom_cook(4, 3), 12, 12, 8),
        (toom_cook(6, 3), 24, 20, 12),
        (crt(4, 3, "x,x-1,x+1,x^2+1,inf"), 11, 12, 8),
    ],
    ids=repr,
)
def test_known_instruction_counts(algorithm: BilinearAlgorithm, data: int, inverse: int, filter_: int) -> None:
    programs_ = lower_axis(algorithm)
    found = [program.counts.instructions for program in (programs_.data, programs_.inverse, programs_.filter)]
    assert found == [data, inverse, filter_]


@given(programs())
@settings(deadline=None)
def test_sharing_does_not_pay_with_cancellation(program: Program) -> None:
    shared = share(program)
    forms = forms_of(shared)
    kept = {forms_of(program)[number] for number in range(program.inputs, program.inputs + len(program.nodes))}
    sizes = [sum(map(abs, form)) for form in forms]
    for number, node in enumerate(shared.nodes, start=shared.inputs):
        new = node not in program.nodes and forms[number] not in kept
        if new and len(node.args) == 2:
            parts = [abs(factor) * sizes[argument] for factor, argument in factors(node)]
            assert max(parts) <= LARGEST_PART * sizes[number]
