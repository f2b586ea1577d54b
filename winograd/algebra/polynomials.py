"""Polynomials over an exact field, as lists of coefficients with the constant term first.

The coefficients are elements of one sympy domain (rationals, an algebraic field, a field of fractions); only +, - and *
are used, so the result is as exact as the domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Element = Any
"""An element of a sympy domain; the domains' element types share no base class."""


def multiply_linear(polynomial: Sequence[Element], root: Element) -> list[Element]:
    """Return ``polynomial * (x - root)``.

    Examples
    --------
    >>> multiply_linear([-1, 1], -1)
    [-1, 0, 1]
    """
    zero = root - root
    shifted = [zero, *polynomial]
    scaled = [*(root * coefficient for coefficient in polynomial), zero]
    return [high - low for high, low in zip(shifted, scaled, strict=True)]


def divide_linear(polynomial: Sequence[Element], root: Element) -> list[Element]:
    """Return the quotient of ``polynomial`` by ``x - root``, which must divide it (synthetic division).

    Examples
    --------
    >>> divide_linear([-1, 0, 1], 1)
    [1, 1]
    """
    quotient: list[Element] = []
    carry = root - root
    for coefficient in reversed(polynomial[1:]):
        carry = coefficient + root * carry
        quotient.append(carry)
    return quotient[::-1]


def evaluate(polynomial: Sequence[Element], point: Element) -> Element:
    """Return ``polynomial(point)`` by Horner's rule.

    Examples
    --------
    >>> evaluate([1, 0, 2], 3)
    19
    """
    value = point - point
    for coefficient in reversed(polynomial):
        value = value * point + coefficient
    return value


def powers(point: Element, count: int, one: Element) -> list[Element]:
    """Return ``[1, point, ..., point**(count - 1)]``.

    Examples
    --------
    >>> powers(3, 4, 1)
    [1, 3, 9, 27]
    """
    values = [one]
    while len(values) < count:
        values.append(values[-1] * point)
    return values[:count]
