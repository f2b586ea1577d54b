"""Passes: the same matrix, nothing more to do the second time, never worse; and what the whole pipeline reaches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codegen.programs import altered, matrices, programs
from tests.strategies import algorithms
from winograd.algebra.bilinear import BilinearAlgorithm, FractionRows, fraction_rows
from winograd.algebra.crt import crt
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.forms import factors, forms_of, matrix_of
from winograd.codegen.interpret import interpret
from winograd.codegen.lower import SumOrder, row_by_row
from winograd.codegen.passes.collecting import collect
from winograd.codegen.passes.scheduling import live_values
from winograd.codegen.passes.sharing import LARGEST_PART
from winograd.codegen.passes.summation import carried, one_each, squares
from winograd.codegen.pipeline import PASSES, SEPARATE_PASSES, SUMMATION, Pass, passes_for, run_passes
from winograd.codegen.program import Arithmetic, Program
from winograd.codegen.sums import instructions_when_fused, program_of, sums_of

BEGINNINGS = [
    row_by_row(fraction_rows(matrix))
    for algorithm in (toom_cook(6, 3, "0,1,-1,2,-2,1/2,-1/2,inf"), toom_cook(4, 3), crt(4, 3, "x,x-1,x+1,x^2+1,inf"))
    for matrix in (algorithm.bt, algorithm.g, algorithm.at)
]


@dataclass(frozen=True)
class Law:
    """A pass, and what it claims to lower."""

    run: Pass
    claim: Callable[[Program], float]


def instructions(program: Program) -> int:
    return program.counts.instructions


def unfused(program: Program) -> int:
    return program.counts.unfused


CLAIMS: dict[str, Callable[[Program], float]] = {
    "pairing": instructions_when_fused,
    "factoring": instructions_when_fused,
    "fusing": instructions,
    "sharing": instructions,
    "dead code": lambda program: len(program.nodes),
    "scheduling": live_values,
}
SEPARATE_CLAIMS: dict[str, Callable[[Program], float]] = {
    **dict.fromkeys(("pairing", "factoring", "beginning", "collecting", "sharing"), unfused),
    "dead code": CLAIMS["dead code"],
    "scheduling": live_values,
}
LAWS = {
    **{name: Law(PASSES[name], claim) for name, claim in CLAIMS.items()},
    **{f"{name}, no FMA": Law(SEPARATE_PASSES[name], claim) for name, claim in SEPARATE_CLAIMS.items()},
    "collecting": Law(collect, instructions),
    "balanced": Law(SUMMATION[SumOrder.BALANCED], lambda program: float(carried(program, one_each))),
    "huffman": Law(SUMMATION[SumOrder.HUFFMAN], lambda program: float(carried(program, squares))),
}
EVERY_LAW = pytest.mark.parametrize("name", sorted(LAWS))


def test_every_pass_claims_something() -> None:
    assert CLAIMS.keys() == PASSES.keys()
    assert SEPARATE_CLAIMS.keys() == SEPARATE_PASSES.keys()
    assert SUMMATION.keys() == set(SumOrder) - {SumOrder.SEQUENTIAL}


@given(programs())
@settings(deadline=None, max_examples=60)
@EVERY_LAW
def test_a_pass_keeps_the_matrix_and_lowers_what_it_claims_to(name: str, program: Program) -> None:
    law = LAWS[name]
    better = law.run(program)
    assert matrix_of(better) == matrix_of(program)
    assert law.claim(better) <= law.claim(program)


@given(matrices())
@settings(deadline=None, max_examples=40)
@EVERY_LAW
def test_the_laws_hold_for_matrices(name: str, rows: FractionRows) -> None:
    program, law = row_by_row(rows), LAWS[name]
    better = law.run(program)
    assert matrix_of(better) == rows
    assert law.claim(better) <= law.claim(program)
    assert law.run(better) == better


@given(programs())
@settings(deadline=None, max_examples=60)
@EVERY_LAW
def test_a_pass_has_nothing_to_do_the_second_time(name: str, program: Program) -> None:
    once = LAWS[name].run(program)
    assert LAWS[name].run(once) == once


@given(programs())
@settings(deadline=None, max_examples=60)
def test_scheduling_keeps_the_instructions(program: Program) -> None:
    scheduled = PASSES["scheduling"](program)
    assert sorted(node.op.name for node in scheduled.nodes) == sorted(node.op.name for node in program.nodes)


@given(programs())
@settings(deadline=None, max_examples=60)
@pytest.mark.parametrize("order", sorted(SUMMATION))
def test_the_order_of_sums_is_free(order: SumOrder, program: Program) -> None:
    ordered = SUMMATION[order](program)
    assert instructions(ordered) <= instructions(program)
    assert unfused(ordered) <= unfused(program)


@pytest.mark.parametrize("name", sorted(LAWS.keys() - {"dead code", "dead code, no FMA"}))
def test_every_pass_has_something_to_do_somewhere(name: str) -> None:
    """The laws would hold of a pass that does nothing; this one finds something in the passes before it left."""
    assert any(LAWS[name].claim(LAWS[name].run(one)) < LAWS[name].claim(one) for one in BEGINNINGS)


@pytest.mark.parametrize("name", ["pairing", "sharing", "huffman"])
def test_the_laws_notice_a_pass_that_alters_an_instruction(name: str) -> None:
    broken = altered(LAWS[name].run(BEGINNINGS[0]))
    assert matrix_of(broken) != matrix_of(BEGINNINGS[0])


def test_the_laws_notice_a_pass_that_raises_the_count() -> None:
    [fused] = [LAWS["fusing"].run(one) for one in BEGINNINGS[:1]]
    split = program_of(sums_of(fused), fused=False)
    assert matrix_of(split) == matrix_of(fused)
    assert LAWS["fusing"].claim(split) > LAWS["fusing"].claim(fused)


def test_the_laws_notice_a_pass_that_stops_too_early() -> None:
    step = PASSES["sharing"].__wrapped__  # type: ignore[attr-defined]
    unfinished = [once for once in map(step, BEGINNINGS) if once is not None and step(once) is not None]
    assert unfinished


@given(programs())
def test_the_matrix_of_a_program_is_what_the_interpreter_computes(program: Program) -> None:
    vector = [Fraction(3**place, 7) for place in range(program.inputs)]
    expected = [sum((a * b for a, b in zip(row, vector, strict=True)), Fraction(0)) for row in matrix_of(program)]
    assert interpret(program, vector) == expected


@given(st.sampled_from(Arithmetic), st.sampled_from(SumOrder), algorithms())
@settings(deadline=None, max_examples=40)
def test_the_pipeline_never_takes_more_than_rows_one_by_one(
    arithmetic: Arithmetic, order: SumOrder, algorithm: BilinearAlgorithm
) -> None:
    for matrix in (algorithm.bt, algorithm.g, algorithm.at):
        program = row_by_row(fraction_rows(matrix))
        best, gains = run_passes(program, passes_for(arithmetic, order))
        assert matrix_of(best) == matrix_of(program)
        assert best.counts.under(arithmetic) <= program.counts.under(arithmetic)
        assert gains[-1].after == best.counts
        assert all(one.after == following.before for one, following in pairwise(gains))


@given(programs())
@settings(deadline=None, max_examples=60)
@pytest.mark.parametrize("passes", [PASSES, SEPARATE_PASSES], ids=["FMA", "no FMA"])
def test_sharing_does_not_pay_with_cancellation(passes: Mapping[str, Pass], program: Program) -> None:
    shared = passes["sharing"](program)
    forms = forms_of(shared)
    kept = {forms_of(program)[number] for number in range(program.inputs, program.inputs + len(program.nodes))}
    sizes = [sum(map(abs, form)) for form in forms]
    for number, node in enumerate(shared.nodes, start=shared.inputs):
        new = node not in program.nodes and forms[number] not in kept
        if new and len(node.args) == 2:
            parts = [abs(factor) * sizes[argument] for factor, argument in factors(node)]
            assert max(parts) <= LARGEST_PART * sizes[number]
