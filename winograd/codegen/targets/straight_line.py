"""Programs as Python functions: what the Python targets share.

In: a `Program` and how the target writes constants and zero. Out: the text of one function, one statement a node.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from winograd.codegen.program import Node, Op, Program

_TEMPLATES = {
    Op.NEG: "-{a}",
    Op.ADD: "{a} + {b}",
    Op.SUB: "{a} - {b}",
    Op.SCALE: "{c} * {a}",
    Op.FMA: "{c} * {a} + {b}",
    Op.FMS: "{c} * {a} - {b}",
}

Spelling = Callable[[Fraction], str]
"""How a target writes a constant."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a target writes a program.

    Parameters
    ----------
    constant : callable
        Writes a constant as an expression.
    zero : str
        The value zero as an expression; ``x0`` is there to take shape and dtype from.
    first : tuple of str
        Parameters before the inputs.
    """

    constant: Spelling
    zero: str
    first: tuple[str, ...] = ()


def function(name: str, program: Program, dialect: Dialect) -> list[str]:
    r"""Return the lines of a function that takes the inputs of a program and returns the list of its outputs.

    Examples
    --------
    >>> program = Program(inputs=2, nodes=(Node(Op.FMA, (0, 1), Fraction(1, 2)),), outputs=(2, 0))
    >>> print(*function("f", program, Dialect(str, "0")), sep="\n")
    def f(x0, x1):
        x2 = 1/2 * x0 + x1
        return [x2, x0]
    """
    inputs = [f"x{number}" for number in range(program.inputs)]
    body = [
        f"    x{number} = {_expression(node, dialect)}" for number, node in enumerate(program.nodes, program.inputs)
    ]
    outputs = [f"x{output}" for output in program.outputs]
    return [*_listed(f"def {name}(", [*dialect.first, *inputs], "):"), *body, *_listed("    return [", outputs, "]")]


def _expression(node: Node, dialect: Dialect) -> str:
    if node.op is Op.ZERO:
        return dialect.zero
    names = dict(zip("ab", (f"x{argument}" for argument in node.args), strict=False))
    constant = "" if node.constant is None else dialect.constant(node.constant)
    return _TEMPLATES[node.op].format(c=constant, **names)


def _listed(opening: str, items: Iterable[str], closing: str) -> list[str]:
    """Return ``opening item, item closing`` in one line, or with the items wrapped below where that is too long."""
    text = ", ".join(items)
    if len(opening) + len(text) + len(closing) <= 100:
        return [opening + text + closing]
    indent = " " * (len(opening) - len(opening.lstrip()))
    inner = " " * 8 if opening.startswith("def") else indent + " " * 4
    return [opening, *textwrap.wrap(text + ",", 100, initial_indent=inner, subsequent_indent=inner), indent + closing]
