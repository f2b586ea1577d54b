"""The LaTeX target: a well-formed document, whose equations, read back, are the matrices that stand above them."""

from __future__ import annotations

import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codegen.corpus import random_programs
from tests.strategies import nested_algorithms
from winograd.algebra.bilinear import fraction_rows
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.emit import TARGETS, emit
from winograd.codegen.forms import matrix_of
from winograd.codegen.lower import Lowering, SumOrder
from winograd.codegen.targets.latex import equations

MIXED = nest(toom_cook(2, 3), toom_cook(4, 2), toom_cook(2, 3))
LETTERS = {"data": ("B^T", "d", "V"), "filter": ("G", "g", "U"), "inverse": ("A^T", "p", "y")}
MATRICES = {"B^T": "bt", "G": "g", "A^T": "at", "B": "bt", "G^T": "g", "A": "at"}
BLOCK = re.compile(
    r"\\paragraph\{.*? transform\} (\d+) instructions? for \$(.*?)\$\.\n"
    r"\\\[ (.*?) = \\begin\{pmatrix\} (.*?) \\end\{pmatrix\} \\\]\n"
    r"\\begin\{align\*\}\n(.*?)\n\\end\{align\*\}",
    re.DOTALL,
)
TERM = re.compile(r"(-?)(?:(\d+|\\tfrac\{\d+\}\{\d+\})\\, )?([a-zA-Z]_\{\d+\})")
lowerings = st.builds(Lowering, st.sampled_from(SumOrder), st.booleans(), st.booleans())


def number(text: str) -> Fraction:
    return Fraction(re.sub(r"\\tfrac\{(\d+)\}\{(\d+)\}", r"\1/\2", text))


def matrix(text: str) -> list[list[Fraction]]:
    return [[number(entry) for entry in row.split(" & ")] for row in text.split(r" \\ ")]


def evaluate(expression: str, values: dict[str, list[Fraction]], columns: int) -> list[Fraction]:
    """Return the linear form of a sum of terms such as ``-\\tfrac{1}{2}\\, d_{3}``; refuse everything else."""
    total = [Fraction(0)] * columns
    if expression == "0":
        return total
    for part in re.sub(r" ([+-]) ", r"|\1", expression).split("|"):
        term = TERM.fullmatch(part.removeprefix("+"))
        assert term, expression
        sign, factor, name = term.groups()
        scale = (-1 if sign else 1) * number(factor or "1")
        total = [old + scale * new for old, new in zip(total, values[name], strict=True)]
    return total


def outputs(equations: str, given: str, result: str, columns: int) -> list[list[Fraction]]:
    """Return the rows that the equations of one transform compute; nothing is used before it is defined."""
    values = {f"{given}_{{{k}}}": [Fraction(k == column) for column in range(columns)] for k in range(columns)}
    rows = []
    for line in equations.split(" \\\\\n"):
        name, _, expression = line.partition(" &= ")
        assert name not in values
        values[name] = evaluate(expression, values, columns)
        if name.startswith(f"{result}_"):
            assert name == f"{result}_{{{len(rows)}}}"
            rows.append(values[name])
    return rows


def check_document(text: str, nested: NestedAlgorithm, lowering: Lowering, stages: list[str]) -> None:
    blocks = BLOCK.findall(text)
    axes = list(dict.fromkeys(nested.axes))
    assert len(blocks) == len(axes) * len(stages) == text.count(r"\paragraph")
    for place, (_, *letters, entries, lines) in enumerate(blocks):
        axis, (letter, given, result) = axes[place // len(stages)], LETTERS[stages[place % len(stages)]]
        rows = fraction_rows(getattr(axis, MATRICES[letter]))
        if lowering.transposed:
            letter = letter.removesuffix("^T") if letter.endswith("^T") else f"{letter}^T"
            rows, given, result = tuple(zip(*rows, strict=True)), result, given
        assert letters == [letter, letter]
        assert matrix(entries) == outputs(lines, given, result, len(rows[0])) == list(map(list, rows))


def is_balanced(text: str) -> bool:
    """Whether braces, displays and environments of a document close in the order in which they opened."""
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    opened: list[str] = []
    for mark in re.finditer(r"\\(begin|end)\{([a-z]+\*?)\}|\\[\[\]]|(?<!\\)[{}]", body):
        kind, name = mark[1] or mark[0][-1], mark[2] or ""
        closing = {"end": "begin", "]": "[", "}": "{"}.get(kind)
        if closing is None:
            opened.append(kind + name)
        elif not opened or opened.pop() != closing + name:
            return False
    return not opened


def test_the_equations_of_any_program_are_its_matrix() -> None:
    for program in random_programs(300):
        text = " \\\\\n".join(equations(program, "d", "V"))
        assert outputs(text, "d", "V", program.inputs) == list(map(list, matrix_of(program)))


@given(nested_algorithms(), lowerings)
def test_its_equations_are_its_matrices(nested: NestedAlgorithm, lowering: Lowering) -> None:
    text = emit(nested, "latex", lowering=lowering).source
    check_document(text, nested, lowering, ["data", "filter", "inverse"])
    assert is_balanced(text)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("stage", TARGETS["latex"].stages)
def test_it_has_what_the_stage_asks_for(stage: str, transposed: bool) -> None:
    lowering = Lowering(transposed=transposed)
    text = emit(MIXED, "latex", stage=stage, lowering=lowering).source
    check_document(text, MIXED, lowering, list(LETTERS) if stage == "all" else [stage])


def test_a_wrong_document_is_noticed() -> None:
    nested = nest(toom_cook(4, 3))
    text = emit(nested, "latex").source
    check_document(text, nested, Lowering(), list(LETTERS))
    for right, wrong in ((" - ", " + "), ("V_{0} &= ", "V_{0} &= -"), (r"\tfrac{5}{8}", r"\tfrac{5}{7}")):
        assert right in text
        with pytest.raises(AssertionError):
            check_document(text.replace(right, wrong, 1), nested, Lowering(), list(LETTERS))
    assert is_balanced(text)
    for right, wrong in (("}", ""), (r"\]", ""), (r"\end{align*}", r"\end{pmatrix}"), (r"\end{document}", "")):
        assert not is_balanced(text.replace(right, wrong, 1))


def test_names_are_escaped() -> None:
    text = emit(MIXED, "latex", name="my_f_2").source
    assert r"\section*{my\_f\_2: " in text


def test_counts_stand_beside_the_transforms() -> None:
    text = emit(nest(toom_cook(4, 3, "0,1,-1,2,-2,inf")), "latex").source
    assert [count for count, *_ in BLOCK.findall(text)] == ["12", "8", "10"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex is installed")
@pytest.mark.parametrize("transposed", [False, True])
def test_pdflatex_takes_it(transposed: bool, tmp_path: Path) -> None:
    source = emit(MIXED, "latex", name="f_2", lowering=Lowering(transposed=transposed)).source
    (tmp_path / "f.tex").write_text(source, encoding="ascii")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "f.tex"]
    ran = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
