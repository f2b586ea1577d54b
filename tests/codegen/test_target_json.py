"""The JSON target: read back it gives the programs, and these give the matrices and the convolution exactly."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codegen.corpus import random_programs
from tests.strategies import nested_algorithms
from winograd.algebra.bilinear import fraction_rows
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.emit import TARGETS, emit
from winograd.codegen.interpret import interpret
from winograd.codegen.lower import DEFAULT_LOWERING, Lowering, SumOrder
from winograd.codegen.nested import lower_nested
from winograd.codegen.program import Node, Op, Program
from winograd.codegen.targets.json import program_as_json

MATRICES = {"data": "bt", "filter": "g", "inverse": "at"}
MIXED = nest(toom_cook(2, 3, "0,1,-1,inf"), toom_cook(4, 2), toom_cook(1, 3))
lowerings = st.builds(Lowering, st.sampled_from(SumOrder), st.booleans(), st.booleans())


def read(nested: NestedAlgorithm, lowering: Lowering = DEFAULT_LOWERING, stage: str | None = None) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(emit(nested, "json", stage=stage, lowering=lowering).source)
    return content


def program_in(step: dict[str, Any]) -> Program:
    """Return the program of one pass, from its text alone."""
    nodes = (Node(Op[op], tuple(args), *map(Fraction, constant)) for op, args, *constant in step["nodes"])
    return Program(step["inputs"], tuple(nodes), tuple(step["outputs"]))


def matrix_in(program: Program) -> list[list[Fraction]]:
    columns = [
        interpret(program, [Fraction(row == column) for row in range(program.inputs)])
        for column in range(program.inputs)
    ]
    return [[Fraction(entry) for entry in row] for row in zip(*columns, strict=True)]


def run(steps: list[dict[str, Any]], values: np.ndarray) -> np.ndarray:
    for step in steps:
        values = np.stack(interpret(program_in(step), list(np.moveaxis(values, step["axis"], 0))), step["axis"])
    return values


def holds(step: dict[str, Any]) -> bool:
    """Whether the program of a pass does what its check says."""
    given, expected = step["check"]["input"], [Fraction(text) for text in step["check"]["output"]]
    return interpret(program_in(step), [Fraction(value) for value in given]) == expected


@given(nested_algorithms(), lowerings)
def test_read_back_it_gives_the_programs_and_these_the_matrices(nested: NestedAlgorithm, lowering: Lowering) -> None:
    content, programs = read(nested, lowering), lower_nested(nested, lowering)
    for stage, name in MATRICES.items():
        assert [(step["axis"], program_in(step)) for step in content[stage]] == [
            (step.axis, step.program) for step in programs.of(stage)
        ]
        for step in content[stage]:
            rows = [list(map(Fraction, row)) for row in content["axes"][step["axis"]][name]]
            assert rows == [list(row) for row in fraction_rows(getattr(nested.axes[step["axis"]], name))]
            expected = [list(column) for column in zip(*rows, strict=True)] if lowering.transposed else rows
            assert matrix_in(program_in(step)) == expected
            assert holds(step)


def test_any_program_reads_back() -> None:
    for program in random_programs(300):
        assert program_in(json.loads(json.dumps(program_as_json(program)))) == program


@given(nested_algorithms(), st.sampled_from(SumOrder), st.integers(0, 99))
def test_its_programs_convolve(nested: NestedAlgorithm, order: SumOrder, seed: int) -> None:
    content = read(nested, Lowering(order))
    generator = np.random.default_rng(seed)
    w, d = (generator.integers(-9, 10, sizes).astype(object) for sizes in (content["r"], content["tile"]))
    y = run(content["inverse"], run(content["filter"], w) * run(content["data"], d))
    assert list(y.shape) == content["m"]
    for at in product(*map(range, y.shape)):
        window = tuple(slice(start, start + taps) for start, taps in zip(at, w.shape, strict=True))
        assert y[at] == (w * d[window]).sum()


def test_transposed_programs_are_the_gradient_of_the_data() -> None:
    content, forward = read(MIXED, Lowering(transposed=True)), read(MIXED)
    generator = np.random.default_rng(0)
    d = generator.integers(-9, 10, forward["tile"]).astype(object)
    v = generator.integers(-9, 10, forward["ranks"]).astype(object)
    assert (run(forward["data"], d) * v).sum() == (d * run(content["data"], v)).sum()


@pytest.mark.parametrize("stage", TARGETS["json"].stages)
def test_it_has_what_the_stage_asks_for(stage: str) -> None:
    whole, part = read(MIXED), read(MIXED, stage=stage)
    wanted = list(MATRICES) if stage == "all" else [stage]
    assert [name for name in part if name in MATRICES] == wanted
    assert {name: part[name] for name in wanted} == {name: whole[name] for name in wanted}


@pytest.mark.parametrize("lowering", [Lowering(), Lowering(SumOrder.HUFFMAN, fma=False, transposed=True)])
def test_it_says_how_it_was_made(lowering: Lowering) -> None:
    content = read(MIXED, lowering)
    assert [content[name] for name in ("order", "fma", "transposed")] == [
        lowering.order,
        lowering.fma,
        lowering.transposed,
    ]
    used = {op for stage in MATRICES for step in content[stage] for op, *_ in step["nodes"]}
    assert used <= content["operations"].keys() == {op.name for op in Op}
    assert lowering.fma or not used & {"FMA", "FMS"}


def test_a_changed_program_fails_its_check() -> None:
    step = read(nest(toom_cook(4, 3)))["data"][0]
    assert holds(step)
    for number, (op, args, *constant) in enumerate(step["nodes"]):
        other = {"ADD": "SUB", "SUB": "ADD", "FMA": "FMS", "FMS": "FMA"}.get(op)
        if other:
            changed = [*step["nodes"][:number], [other, args, *constant], *step["nodes"][number + 1 :]]
            assert not holds(step | {"nodes": changed})
