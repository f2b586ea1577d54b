r"""The LaTeX target: a document with the matrices of every axis and the straight-line programs of its transforms.

In: an algorithm. Out: text for pdflatex with amsmath. In a program, d, g and p are the inputs of the data, the filter
and the inverse transform, t are the values in between, and V, U and y the outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.lower import Lowering, lower_axis
from winograd.codegen.program import Node, Op, Program
from winograd.codegen.targets.contract import Request, Stage, Target

_PREAMBLE = r"""\documentclass{article}
\usepackage{amsmath}
\setcounter{MaxMatrixCols}{64}
\allowdisplaybreaks
\begin{document}
"""


def source(request: Request) -> str:
    """Return the text of the document."""
    nested, lowering = request.algorithm, request.lowering
    comments = "".join(f"% {line}".rstrip() + "\n" for line in request.header)
    parts = [f"\\section*{{{request.name.replace('_', chr(92) + '_')}: {_title(nested)}}}", _law(nested.ndim)]
    for axis in dict.fromkeys(nested.axes):
        numbers = [number for number, other in enumerate(nested.axes) if other == axis]
        parts += [_heading(numbers, nested.ndim), *_axis(axis, lowering)]
    return comments + _PREAMBLE + "\n".join(parts) + "\n\\end{document}\n"


def _title(nested: NestedAlgorithm) -> str:
    sizes = (r" \times ".join(map(str, sizes)) for sizes in (nested.m, nested.r))
    return f"$F({', '.join(sizes)})$, {nested.rank} multiplications"


def _law(ndim: int) -> str:
    nested = "" if ndim == 1 else "; of several axes, each transform acts along one axis after the other"
    return f"\\[ y = A^T \\bigl( (G w) \\odot (B^T d) \\bigr) \\]\nfor taps $w$ and data $d$ of one axis{nested}."


def _heading(numbers: Sequence[int], ndim: int) -> str:
    if ndim == 1 or len(numbers) == ndim:
        return r"\subsection*{Every axis}" if ndim > 1 else r"\subsection*{Matrices and programs}"
    return f"\\subsection*{{Axis {' and '.join(map(str, numbers))}}}"


def _axis(axis: BilinearAlgorithm, lowering: Lowering) -> Iterator[str]:
    for letter, matrix in (("A^T", axis.at), ("G", axis.g), ("B^T", axis.bt)):
        yield f"\\[ {letter} = {_matrix(matrix)} \\]"
    programs = lower_axis(axis, lowering)
    stages = (("Data", programs.data, "d", "V"), ("Filter", programs.filter, "g", "U"))
    for title, program, given, result in (*stages, ("Inverse", programs.inverse, "p", "y")):
        count = program.counts.instructions
        yield f"\\paragraph{{{title} transform}} {count} instruction{'' if count == 1 else 's'}."
        yield "\\begin{align*}\n" + " \\\\\n".join(_lines(program, given, result)) + "\n\\end{align*}"


def _matrix(matrix: sympy.ImmutableMatrix) -> str:
    rows = (" & ".join(map(_number, row)) for row in fraction_rows(matrix))
    return "\\begin{pmatrix} " + r" \\ ".join(rows) + " \\end{pmatrix}"


def _lines(program: Program, given: str, result: str) -> Iterator[str]:
    names = [f"{given}_{{{number}}}" for number in range(program.inputs)]
    for number, node in enumerate(program.nodes):
        names.append(f"t_{{{number}}}")
        yield f"{names[-1]} &= {_expression(node, names)}"
    for number, output in enumerate(program.outputs):
        yield f"{result}_{{{number}}} &= {names[output]}"


def _expression(node: Node, names: Sequence[str]) -> str:
    if node.op is Op.ZERO:
        return "0"
    a, b = (*(names[argument] for argument in node.args), "")[:2]
    first = a if node.constant is None else f"{_number(node.constant)}\\, {a}"
    return {Op.NEG: f"-{a}", Op.SUB: f"{a} - {b}", Op.FMS: f"{first} - {b}", Op.SCALE: first}.get(
        node.op, f"{first} + {b}"
    )


def _number(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    return f"{'-' if value < 0 else ''}\\tfrac{{{abs(value.numerator)}}}{{{value.denominator}}}"


TARGET = Target(source=source, comment="%", stages=(Stage.ALL,))
