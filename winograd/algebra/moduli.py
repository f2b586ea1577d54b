"""Moduli: what the Chinese remainder theorem is taken over.

In: sympy polynomials in one symbol, ``INFINITY``, ``(INFINITY, k)``, or text in our own grammar. Out: monic `Modulus`
objects. Refused: constants, polynomials in several symbols, inexact coefficients, INFINITY listed twice. Text is never
evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any, Final

import sympy

from winograd.algebra.points import INFINITY, as_point

MAX_MODULUS_LENGTH: Final = 256
"""Longest text of one modulus, in characters."""

_X = sympy.Symbol("x")
_TERM = re.compile(r"([+-]?)([0-9./]*)(\*?x(?:\^([0-9]{1,2}))?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Modulus:
    """A monic polynomial of degree at least 1, or INFINITY with a multiplicity.

    Parameters
    ----------
    coefficients : tuple of sympy expressions
        Constant term first, the last one 1; empty for INFINITY.
    degree : int
        Degree of the polynomial, or the multiplicity of INFINITY: how many products' worth of outputs it settles.
    """

    coefficients: tuple[sympy.Expr, ...]
    degree: int

    @property
    def is_infinite(self) -> bool:
        """Whether this is INFINITY."""
        return not self.coefficients

    @property
    def polynomial(self) -> sympy.Expr:
        """The polynomial in the symbol x.

        Raises
        ------
        ValueError
            For INFINITY.
        """
        if self.is_infinite:
            raise ValueError("INFINITY is no polynomial")
        return sum((c * _X**power for power, c in enumerate(self.coefficients)), start=sympy.Integer(0))

    def __str__(self) -> str:
        if self.is_infinite:
            return "inf" if self.degree == 1 else f"inf^{self.degree}"
        terms = [_spelled(c, power) for power, c in reversed(list(enumerate(self.coefficients))) if c != 0]
        return "".join(terms).removeprefix("+")

    def __repr__(self) -> str:
        return f"<Modulus {self}>"


def _spelled(coefficient: sympy.Expr, power: int) -> str:
    """Return one term with its sign, in the grammar of `parse_moduli` where the coefficient is rational."""
    variable = ("", "x")[min(power, 1)] + (f"^{power}" if power > 1 else "")
    if not coefficient.is_Rational:
        return f"+({coefficient})" + (f"*{variable}" if variable else "")
    sign = "-" if coefficient < 0 else "+"
    size = abs(coefficient)
    if not variable:
        return f"{sign}{size}"
    return sign + (variable if size == 1 else f"{size}*{variable}")


def as_moduli(values: Iterable[object]) -> tuple[Modulus, ...]:
    """Turn what a caller may pass as moduli into `Modulus` objects, INFINITY moved to the end.

    Whether they are coprime is left to `winograd.algebra.crt.crt`.

    Raises
    ------
    TypeError
        For what is no exact polynomial and not INFINITY.
    ValueError
        For constants, for polynomials in no or several symbols, and for INFINITY listed twice.

    Examples
    --------
    >>> x = sympy.Symbol("x")
    >>> as_moduli([(INFINITY, 2), x, 2 * x**2 + 2])
    (<Modulus x>, <Modulus x^2+1>, <Modulus inf^2>)
    >>> as_moduli("x,x^2-3/2*x+1,inf")
    (<Modulus x>, <Modulus x^2-3/2*x+1>, <Modulus inf>)
    """
    if isinstance(values, str):
        return parse_moduli(values)
    if not isinstance(values, Iterable):
        raise TypeError(f"moduli is {values!r}, must be a sequence of polynomials and INFINITY, or text")
    listed = list(values)
    generator = _generator(listed)
    moduli = [_as_modulus(value, generator) for value in listed]
    finite = [modulus for modulus in moduli if not modulus.is_infinite]
    infinite = [modulus for modulus in moduli if modulus.is_infinite]
    if len(infinite) > 1:
        raise ValueError("INFINITY is listed twice; write a multiplicity k as (INFINITY, k)")
    return (*finite, *infinite)


def _as_modulus(value: object, generator: sympy.Symbol | None) -> Modulus:
    if isinstance(value, Modulus):
        return value
    if value is INFINITY or value is sympy.oo:
        return Modulus((), 1)
    if isinstance(value, str):
        return _parse_modulus(value.strip(" "))
    if isinstance(value, tuple):
        return _infinite(value)
    if isinstance(value, sympy.Poly):
        return _monic(value)
    if not isinstance(value, sympy.Expr) or value.has(sympy.Float):
        raise TypeError(f"modulus {value!r} is no exact sympy polynomial, INFINITY or (INFINITY, k)")
    if generator is None and value.free_symbols:
        raise ValueError(f"modulus {value} shares no symbol with the others; polynomials must be in one symbol")
    if generator is None or not value.has(generator):
        raise ValueError(f"modulus {value} is a constant, must have degree 1 or more")
    if not value.is_polynomial(generator):
        raise ValueError(f"modulus {value} is no polynomial in {generator}")
    return _monic(sympy.Poly(value, generator))


def _infinite(value: tuple[Any, ...]) -> Modulus:
    if len(value) != 2 or value[0] is not INFINITY:
        raise TypeError(f"modulus {value!r} is no exact sympy polynomial, INFINITY or (INFINITY, k)")
    multiplicity = value[1]
    if isinstance(multiplicity, bool) or not hasattr(multiplicity, "__index__") or multiplicity.__index__() < 1:
        raise ValueError(f"multiplicity of INFINITY is {multiplicity!r}, must be an integer of at least 1")
    return Modulus((), multiplicity.__index__())


def _monic(polynomial: sympy.Poly) -> Modulus:
    if len(polynomial.gens) != 1:
        raise ValueError(f"modulus {polynomial.as_expr()} is in {len(polynomial.gens)} symbols, must be in one")
    if polynomial.degree() < 1:
        raise ValueError(f"modulus {polynomial.as_expr()} is a constant, must have degree 1 or more")
    coefficients = polynomial.all_coeffs()[::-1]
    for coefficient in coefficients:
        as_point(coefficient)  # refuses what is not exact
    monic = tuple(sympy.cancel(coefficient / coefficients[-1]) for coefficient in coefficients)
    return Modulus(monic, polynomial.degree())


def _generator(values: Sequence[object]) -> sympy.Symbol | None:
    """Return the symbol of the polynomials: the one that all of them have."""
    expressions = [value for value in values if isinstance(value, sympy.Expr) and value.free_symbols]
    if not expressions:
        return None
    shared = reduce(frozenset.intersection, (frozenset(expression.free_symbols) for expression in expressions))
    if len(shared) > 1:
        raise ValueError(f"moduli share the symbols {sorted(map(str, shared))}; give sympy.Poly objects to name theirs")
    return next(iter(shared), None)


def parse_moduli(text: str) -> tuple[Modulus, ...]:
    """Read a comma-separated list: polynomials in x such as ``x^2-3/2*x+1``, ``inf`` and ``inf^k``.

    Raises
    ------
    ValueError
        If the text is outside the grammar.

    Examples
    --------
    >>> parse_moduli("x,x-1,x+1,x^2+1,inf^2")
    (<Modulus x>, <Modulus x-1>, <Modulus x+1>, <Modulus x^2+1>, <Modulus inf^2>)
    """
    return as_moduli([_parse_modulus(part.strip(" ")) for part in text.split(",")])


@lru_cache(maxsize=4096)  # a search reads the same few hundred again and again
def _parse_modulus(text: str) -> Modulus:
    if len(text) > MAX_MODULUS_LENGTH:
        raise ValueError(f"modulus of {len(text)} characters, at most {MAX_MODULUS_LENGTH} are allowed")
    infinite = re.fullmatch(r"inf(?:\^([0-9]{1,2}))?", text, re.ASCII)
    if infinite:
        return _infinite((INFINITY, int(infinite[1] or 1)))
    coefficients: dict[int, sympy.Expr] = {}
    position = 0
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None or match.end() == position or (position and not match[1]) or not (match[2] or match[3]):
            break
        power = int(match[4] or 1) if match[3] else 0
        factor = as_point(match[1] + (match[2] or "1"))
        assert isinstance(factor, sympy.Expr)
        coefficients[power] = coefficients.get(power, sympy.Integer(0)) + factor
        position = match.end()
    if not text or position < len(text):
        raise ValueError(f"modulus {text!r} is not a polynomial in x such as x^2-3/2*x+1, inf or inf^k")
    return _monic(sympy.Poly([coefficients.get(power, 0) for power in range(max(coefficients), -1, -1)], _X))
