"""What the nodes of a program are as linear maps: forms of the inputs, and responses of the outputs.

In: a `Program`. Out: exact forms, float64 responses, and the program whose constants are those of a float format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.formats import FloatFormat
from winograd.codegen.interpret import interpret
from winograd.codegen.program import Node, Op, Program

Matrix = NDArray[np.float64]


@lru_cache(maxsize=256)
def forms_exact(program: Program) -> NDArray[Any]:
    """Return the linear form of every value, inputs first, as an object array of shape (values, inputs), exactly.

    Examples
    --------
    >>> program = Program(inputs=2, nodes=(Node(Op.SUB, (0, 1)),), outputs=(2,))
    >>> forms_exact(program)[2].tolist()
    [Fraction(1, 1), Fraction(-1, 1)]
    """
    identity = np.array([[Fraction(int(i == j)) for j in range(program.inputs)] for i in range(program.inputs)])
    every_value = replace(program, outputs=tuple(range(program.inputs + len(program.nodes))))
    forms = np.stack(interpret(every_value, list(identity)))
    forms.flags.writeable = False
    return forms


def matrix_exact(program: Program) -> NDArray[Any]:
    """Return the matrix that the program multiplies by, as an object array of shape (outputs, inputs)."""
    return np.asarray(forms_exact(program)[list(program.outputs)])


def as_float(exact: NDArray[Any]) -> Matrix:
    """Round an exact array to float64."""
    return np.asarray(exact.astype(np.float64), dtype=np.float64)


def responses(program: Program) -> Matrix:
    """Return how much every output changes with every value, as an array of shape (values, outputs).

    Examples
    --------
    >>> program = Program(inputs=1, nodes=(Node(Op.NEG, (0,)), Node(Op.SCALE, (1,), Fraction(3))), outputs=(2,))
    >>> responses(program).tolist()
    [[-3.0], [3.0], [1.0]]
    """
    response = np.zeros((program.inputs + len(program.nodes), len(program.outputs)))
    for column, output in enumerate(program.outputs):
        response[output, column] += 1
    for number in range(len(program.nodes) - 1, -1, -1):
        for argument, factor in factors(program.nodes[number]):
            response[argument] += factor * response[program.inputs + number]
    return response


def factors(node: Node) -> Iterator[tuple[int, float]]:
    """Yield each argument of a node with the factor it is multiplied by."""
    constant = float(node.constant) if node.constant is not None else 1.0
    first, second = {
        Op.ZERO: (0.0, 0.0),
        Op.NEG: (-1.0, 0.0),
        Op.ADD: (1.0, 1.0),
        Op.SUB: (1.0, -1.0),
        Op.SCALE: (constant, 0.0),
        Op.FMA: (constant, 1.0),
        Op.FMS: (constant, -1.0),
    }[node.op]
    yield from zip(node.args, (first, second), strict=False)


def with_rounded_constants(program: Program, fmt: FloatFormat) -> Program:
    """Return the program with every constant rounded to the format, exactly as it is then executed."""
    nodes = (
        node if node.constant is None else replace(node, constant=fmt.rounded(node.constant)) for node in program.nodes
    )
    return replace(program, nodes=tuple(nodes))


def is_power_of_two(constant: Fraction) -> bool:
    """Say whether multiplying by the constant is exact where nothing underflows: plus or minus a power of two.

    Examples
    --------
    >>> is_power_of_two(Fraction(-1, 4)), is_power_of_two(Fraction(3))
    (True, False)
    """
    product = abs(constant.numerator * constant.denominator)
    return product != 0 and product & (product - 1) == 0
