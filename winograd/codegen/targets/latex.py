r"""The LaTeX target: a document with the matrices of every axis and the straight-line programs of its transforms.

In: an algorithm. Out: text for pdflatex with amsmath. In a program, d, g and p are the inputs of the data, the filter
and the inverse transform, t are the values in between, and V, U and y the outputs; the other way round where matrices
are transposed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.lower import lower_axis
from winograd.codegen.program import Node, Op, Program
from winograd.codegen.targets.axes import matrix_of
from winograd.codegen.targets.contract import Request, Stage, Target

_PREAMBLE = r"""\documentclass{article}
\usepackage{amsmath}
\setcounter{MaxMatrixCols}{64}
\allowdisplaybreaks
\begin{document}
"""


@dataclass(frozen=True, slots=True)
class _Transform:
    """How one transform is written: its title, its matrix, and the letters of its inputs and outputs."""

    title: str
    letter: str
    given: str
    result: str

    @property
    def transposed(self) -> _Transform:
        """The same for the transposed matrix."""
        letter = self.letter.removesuffix("^T") if self.letter.endswith("^T") else f"{self.letter}^T"
        return _Transform(f"Transposed {self.title.lower()}", letter, self.result, self.given)


_TRANSFORMS: Final = {
    Stage.DATA: _Transform("Data transform", "B^T", "d", "V"),
    Stage.FILTER: _Transform("Filter transform", "G", "g", "U"),
    Stage.INVERSE: _Transform("Inverse transform", "A^T", "p", "y"),
}


def source(request: Request) -> str:
    """Return the text of the document."""
    nested = request.algorithm
    comments = "".join(f"% {line}".rstrip() + "\n" for line in request.header)
    parts = [f"\\section*{{{request.name.replace('_', chr(92) + '_')}: {_title(nested)}}}", _law(nested.ndim)]
    for axis in dict.fromkeys(nested.axes):
        numbers = [number for number, other in enumerate(nested.axes) if other == axis]
        parts += [_heading(numbers, nested.ndim), *_axis(axis, request)]
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


def _axis(axis: BilinearAlgorithm, request: Request) -> Iterator[str]:
    made = lower_axis(axis, request.lowering)
    programs = {Stage.DATA: made.data, Stage.FILTER: made.filter, Stage.INVERSE: made.inverse}
    for stage in request.stage.transforms:
        how, program = _TRANSFORMS[stage], programs[stage]
        matrix = matrix_of(axis, stage, request.lowering.transposed)
        if request.lowering.transposed:
            how = how.transposed
        count = program.counts.instructions
        yield f"\\paragraph{{{how.title}}} {count} instruction{'' if count == 1 else 's'} for ${how.letter}$."
        yield f"\\[ {how.letter} = {_matrix(matrix)} \\]"
        yield "\\begin{align*}\n" + " \\\\\n".join(equations(program, how.given, how.result)) + "\n\\end{align*}"


def _matrix(matrix: sympy.ImmutableMatrix) -> str:
    rows = (" & ".join(map(_number, row)) for row in fraction_rows(matrix))
    return "\\begin{pmatrix} " + r" \\ ".join(rows) + " \\end{pmatrix}"


def equations(program: Program, given: str, result: str) -> Iterator[str]:
    r"""Yield one aligned equation per instruction and per output, with these letters for inputs and outputs.

    Examples
    --------
    >>> program = Program(inputs=2, nodes=(Node(Op.FMA, (0, 1), Fraction(1, 2)),), outputs=(2,))
    >>> print(*equations(program, "d", "V"), sep="\n")
    t_{0} &= \tfrac{1}{2}\, d_{0} + d_{1}
    V_{0} &= t_{0}
    """
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


TARGET = Target(source=source, comment="%", stages=(Stage.ALL, Stage.DATA, Stage.FILTER, Stage.INVERSE))
