"""The JSON target: matrices and straight-line programs as data, for tools of other languages.

In: an algorithm. Out: one JSON object; numbers that must stay exact are text such as "-5/4". A program's values are
numbered, inputs first; a node is [operation, arguments] or [operation, arguments, constant], see ``operations``.
"""

from __future__ import annotations

import json
from typing import Any, Final

from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.codegen.nested import AxisPass
from winograd.codegen.program import Op
from winograd.codegen.targets.contract import Request, Stage, Target

VERSION: Final = 1
"""Version of the layout."""


def source(request: Request) -> str:
    """Return the text of the JSON object, one matrix or program a line."""
    nested, programs = request.algorithm, request.programs
    content = {
        "format": "winograd programs",
        "version": VERSION,
        "header": list(request.header),
        "name": request.name,
        "m": list(nested.m),
        "r": list(nested.r),
        "tile": list(nested.tile),
        "ranks": list(nested.ranks),
        "operations": {op.name: op.value for op in Op},
        "axes": [_axis(axis) for axis in nested.axes],
        "data": [_pass(step) for step in programs.data],
        "filter": [_pass(step) for step in programs.filter],
        "inverse": [_pass(step) for step in programs.inverse],
    }
    fields = [f"{json.dumps(key)}: {_value(value)}" for key, value in content.items()]
    return "{\n  " + ",\n  ".join(fields) + "\n}\n"


def _axis(axis: BilinearAlgorithm) -> dict[str, Any]:
    matrices = (("at", axis.at), ("g", axis.g), ("bt", axis.bt))
    return {key: [list(map(str, row)) for row in fraction_rows(matrix)] for key, matrix in matrices}


def _pass(step: AxisPass) -> dict[str, Any]:
    program = step.program
    nodes = [
        [node.op.name, list(node.args), *([] if node.constant is None else [str(node.constant)])]
        for node in program.nodes
    ]
    return {"axis": step.axis, "inputs": program.inputs, "nodes": nodes, "outputs": list(program.outputs)}


def _value(value: object) -> str:
    if isinstance(value, list) and value and isinstance(value[0], (dict, str)):
        return "[\n    " + ",\n    ".join(map(json.dumps, value)) + "\n  ]"
    return json.dumps(value)


TARGET = Target(source=source, comment=None, stages=(Stage.ALL,))
