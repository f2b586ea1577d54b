"""Polynomials over an exact field, as lists of coefficients with the constant term first.

The coefficients are elements of one sympy domain (rationals, an algebraic field, a field of fractions); only +, -, *
and division by nonzero elements are used, so the result is as exact as the domain. The zero polynomial is the empty
list.
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


def trimmed(polynomial: Sequence[Element]) -> list[Element]:
    """Return the polynomial without leading zeros.

    Examples
    --------
    >>> trimmed([1, 2, 0])
    [1, 2]
    """
    size = len(polynomial)
    while size and not polynomial[size - 1]:
        size -= 1
    return list(polynomial[:size])


def multiply(first: Sequence[Element], second: Sequence[Element]) -> list[Element]:
    """Return the product, of ``len(first) + len(second) - 1`` coefficients.

    Examples
    --------
    >>> multiply([1, 1], [-1, 1])
    [-1, 0, 1]
    """
    if not first or not second:
        return []
    zero = first[0] - first[0]
    product = [zero] * (len(first) + len(second) - 1)
    for i, a in enumerate(first):
        if a:
            for j, b in enumerate(second):
                product[i + j] += a * b
    return product


def divide(dividend: Sequence[Element], divisor: Sequence[Element]) -> tuple[list[Element], list[Element]]:
    """Return quotient and remainder, both without leading zeros.

    Raises
    ------
    ZeroDivisionError
        If the divisor is zero.

    Examples
    --------
    >>> from fractions import Fraction
    >>> divide([Fraction(1), Fraction(0), Fraction(1)], [Fraction(1), Fraction(1)])
    ([Fraction(-1, 1), Fraction(1, 1)], [Fraction(2, 1)])
    """
    divisor = trimmed(divisor)
    if not divisor:
        raise ZeroDivisionError("division by the zero polynomial")
    remainder, quotient = trimmed(dividend), []
    for _ in range(len(remainder) - len(divisor) + 1):
        factor = remainder[-1] / divisor[-1]
        quotient.append(factor)
        shift = len(remainder) - len(divisor)
        for i, coefficient in enumerate(divisor):
            remainder[shift + i] -= factor * coefficient
        remainder.pop()
    return trimmed(quotient[::-1]), trimmed(remainder)


def gcd(first: Sequence[Element], second: Sequence[Element]) -> list[Element]:
    """Return the monic greatest common divisor of two polynomials that are not both zero.

    Examples
    --------
    >>> from fractions import Fraction
    >>> gcd([Fraction(-1), Fraction(0), Fraction(1)], [Fraction(2), Fraction(2)])
    [Fraction(1, 1), Fraction(1, 1)]
    """
    first, second = trimmed(first), trimmed(second)
    while second:
        first, second = second, divide(first, second)[1]
    return [coefficient / first[-1] for coefficient in first]


def inverse(polynomial: Sequence[Element], modulus: Sequence[Element]) -> list[Element]:
    """Return the inverse modulo ``modulus`` (extended Euclid).

    Raises
    ------
    ZeroDivisionError
        If the two have a common factor.

    Examples
    --------
    >>> from fractions import Fraction
    >>> inverse([Fraction(0), Fraction(1)], [Fraction(1), Fraction(0), Fraction(1)])
    [Fraction(0, 1), Fraction(-1, 1)]
    """
    one = modulus[-1] / modulus[-1]
    old, new = trimmed(modulus), divide(polynomial, modulus)[1]
    old_factor: list[Element] = []
    new_factor = [one]
    while len(new) > 1:
        quotient, remainder = divide(old, new)
        product = multiply(quotient, new_factor)
        old, new = new, remainder
        old_factor, new_factor = new_factor, subtract(old_factor, product)
    if not new:
        raise ZeroDivisionError("the polynomials have a common factor")
    return divide([coefficient / new[0] for coefficient in new_factor], modulus)[1]


def subtract(first: Sequence[Element], second: Sequence[Element]) -> list[Element]:
    """Return the difference without leading zeros.

    Examples
    --------
    >>> subtract([1, 2], [1, 1, 3])
    [0, 1, -3]
    """
    if not first or not second:
        return trimmed(first or [-coefficient for coefficient in second])
    zero = first[0] - first[0]
    size = max(len(first), len(second))
    padded = [[*part, *[zero] * (size - len(part))] for part in (first, second)]
    return trimmed([a - b for a, b in zip(*padded, strict=True)])
