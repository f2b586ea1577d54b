"""What an explanation is made of: formulas, each as plain text and as LaTeX, in steps with a few words.

In: exact sympy expressions and matrices with their names. Out: ASCII text, LaTeX, and Markdown for notebooks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import sympy

_SUBSCRIPT = re.compile(r"_(\w+)", re.ASCII)
_WORD = re.compile(r"\b(at|bt|g|mod)\b", re.ASCII)


@dataclass(frozen=True, slots=True)
class Formula:
    """An equation as plain text, of one or several lines, and as LaTeX for math mode."""

    text: str
    latex: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a derivation; ``title`` and ``words`` hold no mathematics, so that they read the same everywhere."""

    title: str
    words: str
    formulas: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where an algorithm comes from, step by step, with its own numbers.

    ``str`` gives plain text, ``latex`` a fragment of a LaTeX document; notebooks show it as Markdown with formulas.

    Parameters
    ----------
    title : str
        The algorithm in one line.
    steps : tuple of Step
    """

    title: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "\n".join(self._text_lines())

    def _text_lines(self) -> Iterator[str]:
        yield self.title
        for number, step in enumerate(self.steps, start=1):
            yield f"\n{number}. {step.title}\n   {step.words}"
            yield from (f"     {line}" for formula in step.formulas for line in formula.text.splitlines())

    @property
    def latex(self) -> str:
        """Headings, words and displayed formulas as LaTeX; needs the package amsmath."""
        return "\n".join(
            f"\\paragraph{{{number}. {step.title}}}\n{step.words}\n{_aligned(step.formulas)}"
            for number, step in enumerate(self.steps, start=1)
        )

    def _repr_markdown_(self) -> str:
        steps = (
            f"**{number}. {step.title}.** {step.words}\n\n$$\n{_aligned(step.formulas)}\n$$"
            for number, step in enumerate(self.steps, start=1)
        )
        return "\n\n".join((f"`{self.title}`", *steps)).replace("{align*}", "{aligned}")

    def __repr__(self) -> str:
        return f"<explanation of {self.title}, {len(self.steps)} steps>"


def equation(name: str, value: sympy.Expr | sympy.MatrixBase) -> Formula:
    r"""Return ``name = value``; matrices take several lines of text.

    Examples
    --------
    >>> equation("N_0", sympy.Rational(-1, 2)).latex
    'N_{0} &= - \\frac{1}{2}'
    >>> print(equation("at", sympy.Matrix([[1, -10], [0, 1]])).text)
    at = [1  -10]
         [0    1]
    """
    latex = f"{latex_name(name)} &= {sympy.latex(value)}"
    if not isinstance(value, sympy.MatrixBase):
        return Formula(f"{name} = {spelled(value)}", latex)
    first, *others = _matrix_lines(value)
    indent = " " * len(f"{name} = ")
    return Formula("\n".join([f"{name} = {first}", *(indent + line for line in others)]), latex)


def statement(text: str) -> Formula:
    """Return a formula of names only, ``left = right``, the same in text and LaTeX but for subscripts.

    Examples
    --------
    >>> statement("A_10 = a_10 R_10").latex
    'A_{10} &= a_{10} R_{10}'
    """
    return Formula(text, latex_name(text).replace("=", "&=", 1).replace(" * ", r" \odot "))


def polynomial(name: str, coefficients: Sequence[sympy.Expr], x: sympy.Symbol) -> Formula:
    """Return ``name(x) = polynomial``, the constant term first among the coefficients and last in the text.

    Examples
    --------
    >>> a, x = sympy.symbols("a x")
    >>> polynomial("M", [-a, sympy.Rational(1, 2) - a, 0, -1], x).text
    'M(x) = -x^3 + (1/2 - a)*x - a'
    """
    text, latex = polynomial_text(coefficients, x), polynomial_latex(coefficients, x)
    return Formula(f"{name}({x}) = {text}", f"{latex_name(name)}({x}) &= {latex}")


def polynomial_text(coefficients: Sequence[sympy.Expr], x: sympy.Symbol) -> str:
    """Return a polynomial as text, highest power first."""
    return _joined(_terms(coefficients, lambda power: spelled(x**power), spelled, "({})", "*"))


def polynomial_latex(coefficients: Sequence[sympy.Expr], x: sympy.Symbol) -> str:
    """Return a polynomial as LaTeX, highest power first."""
    return _joined(_terms(coefficients, lambda power: sympy.latex(x**power), sympy.latex, r"\left({}\right)", r" \, "))


def _terms(
    coefficients: Sequence[sympy.Expr],
    power_of: Callable[[int], str],
    write: Callable[[sympy.Expr], str],
    parentheses: str,
    dot: str,
) -> Iterator[tuple[str, str]]:
    """Yield sign and absolute value of every term, highest power first."""
    for power, coefficient in reversed(list(enumerate(map(sympy.sympify, coefficients)))):
        if coefficient == 0:
            continue
        negative = not coefficient.is_Add and coefficient.could_extract_minus_sign()
        size = -coefficient if negative else coefficient
        factor = parentheses.format(write(size)) if size.is_Add else write(size)
        term = power_of(power) if size == 1 else f"{factor}{dot}{power_of(power)}"
        yield "-" if negative else "+", term if power else write(size)


def _joined(terms: Iterator[tuple[str, str]]) -> str:
    text = " ".join(f"{sign} {term}" for sign, term in terms) or "+ 0"
    return text.removeprefix("+ ") if text.startswith("+") else text.replace("- ", "-", 1)


def spelled(value: object) -> str:
    """Write an exact expression as text, powers with ``^``."""
    return str(value).replace("**", "^")


def latex_name(name: str) -> str:
    """Write names as LaTeX: whole subscripts, and the names of the code in its own letters."""
    return _WORD.sub(_word, _SUBSCRIPT.sub(r"_{\1}", name))


def _word(match: re.Match[str]) -> str:
    return r"\bmod " if match[1] == "mod" else rf"\mathtt{{{match[1]}}}"


def _matrix_lines(matrix: sympy.MatrixBase) -> list[str]:
    cells = [[spelled(entry) for entry in matrix.row(i)] for i in range(matrix.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [f"[{'  '.join(map(str.rjust, row, widths))}]" for row in cells]


def _aligned(formulas: tuple[Formula, ...]) -> str:
    body = " \\\\\n".join(formula.latex for formula in formulas)
    return f"\\begin{{align*}}\n{body}\n\\end{{align*}}"
