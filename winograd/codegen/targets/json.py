"""The JSON target: matrices and straight-line programs as data, for tools of other languages.

In: an algorithm. Out: one JSON object; numbers that must stay exact are text such as "-5/4". A program's values are
numbered, inputs first; a node is [operation, arguments] or [operation, arguments, constant], see ``operations``. A
pass carries an input and the output that its matrix gives, for whoever reads it to test the reading.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.nested import AxisPass
from winograd.codegen.program import Op, Program
from winograd.codegen.targets.axes import matrix_of
from winograd.codegen.targets.contract import Request, Stage, Target

VERSION: Final = 1
"""Version of the layout."""


def source(request: Request) -> str:
    """Return the text of the JSON object, one matrix or program a line."""
    nested, lowering = request.algorithm, request.lowering
    content = {
        "format": "winograd programs",
        "version": VERSION,
        "header": list(request.header),
        "name": request.name,
        "m": list(nested.m),
        "r": list(nested.r),
        "tile": list(nested.tile),
        "ranks": list(nested.ranks),
        "order": lowering.order,
        "fma": lowering.fma,
        "transposed": lowering.transposed,
        "operations": {op.name: op.value for op in Op},
        "axes": [_axis(axis) for axis in nested.axes],
    }
    content |= {stage: _passes(request, stage) for stage in request.stage.transforms}
    fields = [f"{json.dumps(key)}: {_value(value)}" for key, value in content.items()]
    return "{\n  " + ",\n  ".join(fields) + "\n}\n"


def _axis(axis: BilinearAlgorithm) -> dict[str, Any]:
    matrices = (("at", axis.at), ("g", axis.g), ("bt", axis.bt))
    return {key: [list(map(str, row)) for row in fraction_rows(matrix)] for key, matrix in matrices}


def _passes(request: Request, stage: Stage) -> list[dict[str, Any]]:
    programs = request.programs
    steps = {Stage.DATA: programs.data, Stage.FILTER: programs.filter, Stage.INVERSE: programs.inverse}[stage]
    return [_pass(step, _matrix(request.algorithm, step.axis, stage, request.lowering.transposed)) for step in steps]


def _matrix(nested: NestedAlgorithm, axis: int, stage: Stage, transposed: bool) -> Sequence[Sequence[Fraction]]:
    return fraction_rows(matrix_of(nested.axes[axis], stage, transposed))


def program_as_json(program: Program) -> dict[str, Any]:
    """Return a program as JSON values.

    Examples
    --------
    >>> from winograd.codegen.program import Node
    >>> program_as_json(Program(inputs=2, nodes=(Node(Op.FMA, (0, 1), Fraction(1, 2)),), outputs=(2,)))
    {'inputs': 2, 'nodes': [['FMA', [0, 1], '1/2']], 'outputs': [2]}
    """
    nodes = [
        [node.op.name, list(node.args), *([] if node.constant is None else [str(node.constant)])]
        for node in program.nodes
    ]
    return {"inputs": program.inputs, "nodes": nodes, "outputs": list(program.outputs)}


def _pass(step: AxisPass, rows: Sequence[Sequence[Fraction]]) -> dict[str, Any]:
    sample = [_sample(number) for number in range(step.program.inputs)]
    expected = [sum((entry * value for entry, value in zip(row, sample, strict=True)), Fraction(0)) for row in rows]
    check = {"input": sample, "output": list(map(str, expected))}
    return {"axis": step.axis, **program_as_json(step.program), "check": check}


def _sample(number: int) -> int:
    """Return small integers of both signs without a pattern that a wrong program could share."""
    return (number**3 + 5 * number**2 + 3 * number + 7) % 19 - 9


def _value(value: object) -> str:
    if isinstance(value, list) and value and isinstance(value[0], (dict, str)):
        return "[\n    " + ",\n    ".join(map(json.dumps, value)) + "\n  ]"
    return json.dumps(value)


TARGET = Target(source=source, comment=None, stages=(Stage.ALL, Stage.DATA, Stage.FILTER, Stage.INVERSE))
