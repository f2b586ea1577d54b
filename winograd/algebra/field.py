"""The field that a set of exact numbers lies in, as a sympy domain that knows how to spell them.

In: sympy numbers and expressions. Out: elements with exact +, -, * and /: rationals, algebraic numbers, rational
functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sympy
from sympy.polys.constructor import construct_domain


class ExactField:
    """The smallest field sympy finds that holds the given values.

    Parameters
    ----------
    values : iterable of sympy expressions
        Exact numbers, or expressions in symbols.

    Examples
    --------
    >>> field = ExactField([sympy.sqrt(2)])
    >>> root = field.element(sympy.sqrt(2))
    >>> field.expression(root * root)
    2
    """

    __slots__ = ("_domain", "_known", "one", "zero")

    def __init__(self, values: Iterable[sympy.Expr]) -> None:
        listed = [sympy.Integer(1), *values]
        self._domain, elements = construct_domain(listed, field=True, extension=True)
        self._known = dict(zip(listed, elements, strict=True))
        self.one: Any = self._domain.one
        self.zero: Any = self._domain.zero

    @property
    def is_rational(self) -> bool:
        """Whether all elements are rational numbers."""
        return bool(self._domain.is_QQ)

    def element(self, value: sympy.Expr) -> Any:
        """Return a value of the field as an element; values named at the start cost nothing."""
        if value not in self._known:
            self._known[value] = self._domain.from_sympy(value)
        return self._known[value]

    def expression(self, element: Any) -> sympy.Expr:
        """Return an element as a sympy expression."""
        return self._domain.to_sympy(element)

    def __repr__(self) -> str:
        return f"<ExactField {self._domain}>"
