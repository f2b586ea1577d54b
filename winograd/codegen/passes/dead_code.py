"""Dead code: instructions whose values no output needs.

In: a program. Out: one with no more instructions.
"""

from __future__ import annotations

from winograd.codegen.graph import Graph
from winograd.codegen.passes.repetition import repeated
from winograd.codegen.program import Program


@repeated
def drop_dead_code(program: Program) -> Program | None:
    """Return the program without what no output needs.

    Examples
    --------
    >>> from winograd.codegen.program import Node, Op
    >>> program = Program(inputs=2, nodes=(Node(Op.SUB, (0, 1)), Node(Op.ADD, (0, 1))), outputs=(3,))
    >>> drop_dead_code(program)
    <Program 2 -> 1, 1 instructions>
    """
    kept = Graph.of(program).replaced({})
    return kept if len(kept.nodes) < len(program.nodes) else None
