"""Exact numbers and expressions in symbols as JSON values: built from a closed list of operations, never evaluated.

In: sympy expressions; JSON values. Out: "p/q", "I", ["+", a, b, ...], ["*", a, b, ...], ["^", base, "p/q"],
["sin", "p/q"] and ["cos", "p/q"] of p/q pi, ["symbol", name]; the identical expressions. Refused, with the place:
other heads, sizes above the limits, what is not finite, fields that are too large for a proof in reasonable time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from fractions import Fraction
from math import prod
from typing import Any, Final, TypeAlias

import sympy

MAX_NUMBER_LENGTH: Final = 1024
"""Longest rational number that is written or read, in characters."""

MAX_NODES: Final = 2048
"""Most lists and texts in one expression, heads included."""

MAX_DEPTH: Final = 24
"""Deepest nesting of lists in one expression."""

MAX_ROOTS: Final = 16
"""Most distinct roots, sines and cosines written in one expression: sympy compares each with each."""

MAX_RADICAND: Final = 10**64
"""Largest numerator and denominator of a rational number under a root: sympy looks for its factors."""

MAX_EXPONENT: Final = 64
"""Largest numerator of an exponent, up to its sign."""

MAX_ROOT: Final = 8
"""Largest denominator of an exponent."""

MAX_ANGLE: Final = 128
"""Largest numerator, up to its sign, and denominator of p/q in the sine or cosine of p/q pi."""

MAX_TERMS: Final = 1024
"""Most terms that an expression may have when its products and integer powers are multiplied out."""

MAX_ATOMS: Final = 3
"""Most distinct irrational numbers (roots, sines, cosines, I) in the matrices of one axis; the toolkit needs two."""

MAX_DEGREE: Final = 20
"""Largest product of the degrees of these numbers; the Fourier transforms up to a tile of 12 reach 20."""

MAX_SYMBOLS: Final = 6
"""Most distinct symbols in the matrices of one axis."""

Written: TypeAlias = str | list[Any]
"""What `json` makes of an expression."""

_RATIONAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:/[1-9][0-9]*)?", re.ASCII)
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}", re.ASCII)
_NOT_FINITE = frozenset({sympy.nan, sympy.zoo, sympy.oo, -sympy.oo})
_ALLOWED = (
    f'must be text "p" or "p/q" of at most {MAX_NUMBER_LENGTH} digits, "I", '
    "or a list headed by +, *, ^, sin, cos or symbol"
)


def write_expression(where: str, value: sympy.Expr) -> Written:
    """Return an expression as a JSON value that `read_expression` turns into the identical expression.

    Raises
    ------
    NotImplementedError
        If the grammar has no word for a part of it, or it is above one of the limits.

    Examples
    --------
    >>> write_expression("at", sympy.sqrt(3) / 2 + sympy.cos(sympy.pi / 7))
    ['+', ['*', '1/2', ['^', '3', '1/2']], ['cos', '1/7']]
    """
    written = _written(where, value)
    try:
        same = read_expression(where, written) == value
    except ValueError as error:
        raise NotImplementedError(f"{error}; it could not be read again") from None
    if not same:
        raise NotImplementedError(
            f"{where} holds {_short(value)}, which would be read as another expression; symbols have no assumptions"
        )
    return written


def _written(where: str, value: sympy.Expr) -> Written:
    match value:
        case sympy.Rational():
            return _written_rational(where, value)
        case sympy.Symbol():
            return ["symbol", value.name]
        case sympy.Add() | sympy.Mul():
            # Sorted by their text: the order of sympy's own arguments is nobody's promise.
            operands = sorted((_written(where, part) for part in value.args), key=json.dumps)
            return ["+" if isinstance(value, sympy.Add) else "*", *operands]
        case sympy.Pow() if value.exp.is_Rational:
            return ["^", _written(where, value.base), str(value.exp)]
        case sympy.sin() | sympy.cos() if (angle := value.args[0] / sympy.pi).is_Rational:
            return [value.func.__name__, str(angle)]
    if value is sympy.I:
        return "I"
    raise NotImplementedError(f"{where} holds {_short(value)}, which has no form in JSON")


def _written_rational(where: str, value: sympy.Rational) -> str:
    text = str(value)
    if len(text) > MAX_NUMBER_LENGTH:
        raise NotImplementedError(
            f"{where} holds a number of {len(text)} characters, at most {MAX_NUMBER_LENGTH} can be read"
        )
    return text


def read_expression(where: str, value: Any) -> sympy.Expr:
    """Return the expression that a JSON value stands for; text is matched, never evaluated.

    Raises
    ------
    ValueError
        If it is outside the grammar or above one of the limits; names the place.

    Examples
    --------
    >>> read_expression("at", ["*", "1/2", ["^", "3", "1/2"]])
    sqrt(3)/2
    """
    _check_extent(where, value)
    expression = _built(where, value)
    if not isinstance(value, str):
        _check_growth(where, expression)
    return expression


def _check_extent(where: str, value: Any) -> None:
    """Refuse what is too large before anything is built; one level after the other, without recursion."""
    nodes, depth, level = 0, 0, [value]
    roots: set[str] = set()
    while level:
        nodes += len(level)
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise ValueError(f"{where} is too large, at most {MAX_NODES} parts nested {MAX_DEPTH} deep are allowed")
        roots.update(json.dumps(part) for part in level if _makes_root(part))
        if len(roots) > MAX_ROOTS:
            raise ValueError(f"{where} has more than {MAX_ROOTS} distinct roots, sines and cosines")
        level, depth = [part for parts in level if isinstance(parts, list) for part in parts], depth + 1


def _makes_root(value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return value[0] in ("sin", "cos") or (value[0] == "^" and isinstance(value[-1], str) and "/" in value[-1])


def _built(where: str, value: Any) -> sympy.Expr:
    if value == "I":
        return sympy.I
    if not isinstance(value, list):
        return _rational(where, value)
    head, *parts = value or [None]
    if head in ("+", "*") and len(parts) >= 2:
        operands = [_built(f"{where}[{number}]", part) for number, part in enumerate(parts, start=1)]
        return sympy.Add(*operands) if head == "+" else sympy.Mul(*operands)
    if head == "^" and len(parts) == 2:
        return _power(where, *parts)
    if head in ("sin", "cos") and len(parts) == 1:
        angle = _small(f"{where}[1]", parts[0], MAX_ANGLE, MAX_ANGLE) * sympy.pi
        return sympy.sin(angle) if head == "sin" else sympy.cos(angle)
    if head == "symbol" and len(parts) == 1:
        return _symbol(f"{where}[1]", parts[0])
    raise ValueError(f"{where} is {quoted(value)}, {_ALLOWED}")


def _rational(where: str, value: Any) -> sympy.Rational:
    short = isinstance(value, str) and len(value) <= MAX_NUMBER_LENGTH
    if not short or _RATIONAL.fullmatch(value) is None:
        raise ValueError(f"{where} is {quoted(value)}, {_ALLOWED}")
    fraction = Fraction(value)
    return sympy.Rational(fraction.numerator, fraction.denominator)


def _power(where: str, base: Any, exponent: Any) -> sympy.Expr:
    built = _built(f"{where}[1]", base)
    _check_growth(f"{where}[1]", built)
    by = _small(f"{where}[2]", exponent, MAX_EXPONENT, MAX_ROOT)
    numbers = [] if by.is_Integer else built.atoms(sympy.Rational)
    if any(max(abs(number.p), number.q) > MAX_RADICAND for number in numbers):
        raise ValueError(f"{where}[1] is a root of a number of more than {len(str(MAX_RADICAND)) - 1} digits")
    power = built**by
    _check_growth(where, power)
    return power


def _small(where: str, value: Any, numerator: int, denominator: int) -> sympy.Rational:
    number = _rational(where, value)
    if abs(number.p) > numerator or number.q > denominator:
        raise ValueError(f"{where} is {quoted(value)}, at most {numerator}/{denominator} in size is allowed there")
    return number


def _symbol(where: str, name: Any) -> sympy.Symbol:
    if not isinstance(name, str) or _SYMBOL.fullmatch(name) is None:
        raise ValueError(f"{where} is {quoted(name)}, must be a letter or _ and at most 31 letters, digits or _")
    return sympy.Symbol(name)


def _check_growth(where: str, expression: sympy.Expr) -> None:
    """Refuse what became too large: powers of powers and products of sums grow without much text."""
    for part in sympy.preorder_traversal(expression):
        if part in _NOT_FINITE:
            raise ValueError(f"{where} is not finite")
        if isinstance(part, sympy.Rational) and max(abs(part.p), part.q).bit_length() > 4 * MAX_NUMBER_LENGTH:
            raise ValueError(f"{where} is a number of more than {MAX_NUMBER_LENGTH} digits")
        if isinstance(part, sympy.Pow) and (abs(part.exp.p) > MAX_EXPONENT or part.exp.q > MAX_ROOT):
            raise ValueError(f"{where} has the exponent {part.exp}, at most {MAX_EXPONENT}/{MAX_ROOT} is allowed")
    if _terms(expression) > MAX_TERMS:
        raise ValueError(f"{where} has more than {MAX_TERMS} terms when it is multiplied out")


def _terms(expression: sympy.Expr) -> int:
    match expression:
        case sympy.Add():
            return sum(map(_terms, expression.args))
        case sympy.Mul():
            return prod(map(_terms, expression.args))
        case sympy.Pow() if expression.exp.is_Integer:
            return int(_terms(expression.base) ** abs(int(expression.exp)))
    return 1


def check_field(where: str, entries: Iterable[sympy.Expr]) -> None:
    """Refuse matrices whose entries generate a field in which a proof takes long.

    Raises
    ------
    ValueError
        If there are more than `MAX_ATOMS` irrational numbers or `MAX_SYMBOLS` symbols, or the product of the degrees
        is above `MAX_DEGREE`.
    """
    symbols: set[sympy.Expr] = set()
    degrees: dict[sympy.Expr, int] = {}
    for part in {part for entry in set(entries) for part in sympy.preorder_traversal(entry)}:
        if isinstance(part, sympy.Symbol):
            symbols.add(part)
        else:
            degrees.update((atom, _degree(atom)) for atom in _irrational(part))
    if len(symbols) > MAX_SYMBOLS:
        raise ValueError(f"{where} has {len(symbols)} symbols, at most {MAX_SYMBOLS} are allowed")
    if len(degrees) > MAX_ATOMS:
        raise ValueError(f"{where} has {len(degrees)} distinct irrational numbers, at most {MAX_ATOMS} are allowed")
    if (degree := prod(degrees.values())) > MAX_DEGREE:
        raise ValueError(f"{where} has irrational numbers of degree {degree}, at most {MAX_DEGREE} is allowed")


def _irrational(part: sympy.Basic) -> list[sympy.Expr]:
    """Return the irrational numbers that a part adds to the field: sqrt(6) adds sqrt(2) and sqrt(3)."""
    if isinstance(part, sympy.Pow) and not part.exp.is_Integer:
        index = sympy.Rational(1, part.exp.q)
        small = part.base.is_Rational and max(abs(part.base.p), part.base.q) < 2**32
        return [base**index for base in (sympy.factorrat(part.base) if small else [part.base])]
    return [part] if part is sympy.I or isinstance(part, sympy.sin | sympy.cos) else []


def _degree(atom: sympy.Expr) -> int:
    """Return a bound of the degree: a root's index, and that of the field of the roots of unity for an angle."""
    if isinstance(atom, sympy.Pow):
        return int(atom.exp.q)
    return 2 if atom is sympy.I else int(sympy.totient(2 * (atom.args[0] / sympy.pi).q))


def quoted(value: Any) -> str:
    """Write a JSON value in one short line of ASCII."""
    return _cut(json.dumps(value))


def _short(value: sympy.Expr) -> str:
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
