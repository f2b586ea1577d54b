"""Products in residue rings: how two polynomials are multiplied modulo one modulus, and with how many multiplications.

In: the modulus over a field and the sizes of the two factors. Out: matrices a, b, c with product = c ((a x) * (b w)).
Each way of multiplying is a small object that is recorded in the algorithm: `ToomCookProduct`, `SchoolbookProduct`,
`ComplexProduct`, `UnitProduct`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol, runtime_checkable

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.field import ExactField
from winograd.algebra.points import Point, as_points, spell
from winograd.algebra.polynomials import divide, inverse
from winograd.algebra.toom_cook import toom_cook

Matrix = list[list[Any]]
"""Rows of elements of one field."""


@dataclass(frozen=True, slots=True)
class Ring:
    """The polynomials modulo a monic one, over a sympy field.

    Parameters
    ----------
    coefficients : tuple of sympy expressions
        Of the modulus, constant term first, the last one 1.
    field : ExactField
        What holds them.
    """

    coefficients: tuple[sympy.Expr, ...]
    field: ExactField

    @property
    def modulus(self) -> tuple[Any, ...]:
        """The coefficients as elements of the field."""
        return tuple(self.field.element(coefficient) for coefficient in self.coefficients)

    @property
    def degree(self) -> int:
        """Degree of the modulus."""
        return len(self.coefficients) - 1

    def reduction(self, size: int) -> Matrix:
        """Return the matrix, of min(size, degree) rows, that reduces a polynomial of ``size`` coefficients."""
        rows = min(size, self.degree)
        columns = [self.reduced([self.field.zero] * power + [self.field.one])[:rows] for power in range(size)]
        return transposed(columns)

    def reduced(self, polynomial: Sequence[Any]) -> list[Any]:
        """Return the remainder of a polynomial, of ``degree`` coefficients."""
        remainder = divide(polynomial, self.modulus)[1]
        return remainder + [self.field.zero] * (self.degree - len(remainder))

    def multiplication(self, factor: Sequence[Any]) -> Matrix:
        """Return the matrix that multiplies an element of the ring by ``factor``."""
        shifts = ([self.field.zero] * power + list(factor) for power in range(self.degree))
        return transposed([self.reduced(shift) for shift in shifts])

    def matrix(self, entries: sympy.Matrix) -> Matrix:
        """Return a sympy matrix as rows of elements of the field."""
        return [[self.field.element(entry) for entry in entries.row(i)] for i in range(entries.rows)]


@dataclass(frozen=True, slots=True)
class RingProduct:
    """Matrices of a product in a ring: c ((a x) * (b w)) has ``degree`` coefficients."""

    a: Matrix
    b: Matrix
    c: Matrix


@runtime_checkable
class ResidueProduct(Protocol):
    """A way to multiply in a residue ring."""

    def over(self, ring: Ring, first: int, second: int) -> RingProduct:
        """Return the matrices for factors of ``first`` and ``second`` coefficients."""
        ...

    def constants(self, modulus: Sequence[sympy.Expr]) -> tuple[sympy.Expr, ...]:
        """Return the numbers that the matrices need beside the modulus: the field must hold them."""
        ...


@dataclass(frozen=True, slots=True)
class ToomCookProduct:
    """The product of polynomials by Toom-Cook at some points, then reduced; 0, 1, INFINITY is Karatsuba's.

    Parameters
    ----------
    points : tuple of Point
        As many as the product has coefficients; empty takes the default points of that number.
    """

    points: tuple[Point, ...] = ()

    def over(self, ring: Ring, first: int, second: int) -> RingProduct:
        """Return the matrices for factors of ``first`` and ``second`` coefficients; see `toom_cook` for errors."""
        return _reduced(ring, toom_cook(first, second, self.points or None))

    def constants(self, _modulus: Sequence[sympy.Expr]) -> tuple[sympy.Expr, ...]:
        """Return the finite points."""
        return tuple(point for point in self.points if isinstance(point, sympy.Expr))

    def __str__(self) -> str:
        return f"Toom-Cook at {spell(self.points)}" if self.points else "Toom-Cook at default points"


@dataclass(frozen=True, slots=True)
class GivenProduct:
    """The product of polynomials by anybody's algorithm, F(first, second) transposed, then reduced."""

    algorithm: BilinearAlgorithm

    def over(self, ring: Ring, first: int, second: int) -> RingProduct:
        """Return the matrices; ValueError if the algorithm is for other sizes."""
        if (self.algorithm.m, self.algorithm.r) != (first, second):
            raise ValueError(f"residue product {self.algorithm!r}, the factors need F({first},{second})")
        return _reduced(ring, self.algorithm)

    def constants(self, _modulus: Sequence[sympy.Expr]) -> tuple[sympy.Expr, ...]:
        """Return the entries of the algorithm."""
        return (*self.algorithm.at, *self.algorithm.g, *self.algorithm.bt)

    def __str__(self) -> str:
        return repr(self.algorithm)


@dataclass(frozen=True, slots=True)
class SchoolbookProduct:
    """Every coefficient times every other, then reduced; modulo a power of x, those that vanish are left out."""

    def over(self, ring: Ring, first: int, second: int) -> RingProduct:
        """Return the matrices for factors of ``first`` and ``second`` coefficients."""
        vanishing = not any(ring.coefficients[:-1])
        pairs = [(i, j) for i, j in product(range(first), range(second)) if not (vanishing and i + j >= ring.degree)]
        units = [[ring.field.zero] * power + [ring.field.one] for power in range(first + second - 1)]
        return RingProduct(
            a=[_unit(i, first, ring.field) for i, _ in pairs],
            b=[_unit(j, second, ring.field) for _, j in pairs],
            c=transposed([ring.reduced(units[i + j]) for i, j in pairs]),
        )

    def constants(self, _modulus: Sequence[sympy.Expr]) -> tuple[sympy.Expr, ...]:
        """Return nothing: all entries come from the modulus."""
        return ()

    def __str__(self) -> str:
        return "schoolbook"


@dataclass(frozen=True, slots=True)
class ComplexProduct:
    """The product modulo a quadratic without real roots, as one product of complex numbers.

    With the roots p +- s i of the modulus, u + v x is the number (u + v p) + (v s) i; ``inner`` multiplies modulo
    y^2 + 1: by three multiplications (Gauss, the default) or by four (`SchoolbookProduct`).
    """

    inner: ToomCookProduct | SchoolbookProduct = ToomCookProduct(as_points("0,1,inf"))

    def over(self, ring: Ring, first: int, second: int) -> RingProduct:
        """Return the matrices; ValueError if the modulus is no quadratic or a factor has one coefficient only."""
        if (ring.degree, first, second) != (2, 2, 2):
            raise ValueError(f"complex product modulo degree {ring.degree}, needs 2, and factors of 2 coefficients")
        zero, one = ring.field.zero, ring.field.one
        real, imaginary = (ring.field.element(part) for part in _complex_root(ring.coefficients))
        number = [[one, real], [zero, imaginary]]
        back = [[one, -real / imaginary], [zero, one / imaginary]]
        inside = self.inner.over(Ring((sympy.Integer(1), sympy.Integer(0), sympy.Integer(1)), ring.field), 2, 2)
        return RingProduct(times(inside.a, number), times(inside.b, number), times(back, inside.c))

    def constants(self, modulus: Sequence[sympy.Expr]) -> tuple[sympy.Expr, ...]:
        """Return the real and the imaginary part of a root of the modulus."""
        return (*_complex_root(modulus), *self.inner.constants(modulus))

    def __str__(self) -> str:
        return f"complex, {self.inner}"


@dataclass(frozen=True, slots=True)
class UnitProduct:
    """Another product, of v x instead of x, with the inverse of the unit v = 1 + q x taken out of its result again.

    That moves the points of ``inner`` inside the ring: with three points and q, every way to multiply modulo a
    quadratic without real roots by three multiplications is reached or approached.

    Parameters
    ----------
    inner : ToomCookProduct
        The product that is done.
    slope : sympy expression
        q.
    """

    inner: ToomCookProduct
    slope: sympy.Expr

    def over(self, ring: Ring, first: int, second: int) -> RingProduct:
        """Return the matrices; ValueError if the first factor is shorter than the modulus or v is no unit."""
        if first != ring.degree or first < 2:
            raise ValueError(f"a unit 1 + q x times {first} coefficients modulo degree {ring.degree}, needs as many")
        unit = [ring.field.one, ring.field.element(self.slope)]
        try:
            back = inverse(unit, ring.modulus)
        except ZeroDivisionError:
            raise ValueError(f"1 + {self.slope} x is no unit: it has a factor in common with the modulus") from None
        inside = self.inner.over(ring, first, second)
        return RingProduct(
            times(inside.a, ring.multiplication(unit)), inside.b, times(ring.multiplication(back), inside.c)
        )

    def constants(self, modulus: Sequence[sympy.Expr]) -> tuple[sympy.Expr, ...]:
        """Return q and what ``inner`` needs."""
        return (self.slope, *self.inner.constants(modulus))

    def __str__(self) -> str:
        return f"{self.inner} of 1 + {self.slope} x times the first factor"


def _complex_root(modulus: Sequence[sympy.Expr]) -> tuple[sympy.Expr, sympy.Expr]:
    if len(modulus) != 3:
        raise ValueError(f"complex product modulo a polynomial of degree {len(modulus) - 1}, needs degree 2")
    real = -modulus[1] / 2
    square = modulus[0] - real**2
    if square.is_positive is not True:
        raise ValueError("complex product modulo a quadratic with real roots; it needs one without")
    return real, sympy.sqrt(square)


_PRODUCTS = (ToomCookProduct, SchoolbookProduct, ComplexProduct, GivenProduct, UnitProduct)


def as_product(value: object) -> ResidueProduct | None:
    """Turn what a caller may pass as one of ``products`` into a way to multiply; None stays None, the default.

    Raises
    ------
    TypeError, ValueError
        For anything but None, points, the word "schoolbook", an algorithm, or one of the classes of this module.

    Examples
    --------
    >>> str(as_product([0, 1, "inf"])), str(as_product("schoolbook"))
    ('Toom-Cook at 0,1,inf', 'schoolbook')
    """
    if value is None or isinstance(value, _PRODUCTS):
        return value
    if value == "schoolbook":
        return SchoolbookProduct()
    if isinstance(value, BilinearAlgorithm):
        return GivenProduct(value)
    if isinstance(value, Iterable):
        return ToomCookProduct(as_points(value))
    raise TypeError(f"product {value!r}, must be points, 'schoolbook', an algorithm F(d, d) or a residue product")


def transposed(rows: Sequence[Sequence[Any]]) -> Matrix:
    """Return the transposed matrix."""
    return [list(column) for column in zip(*rows, strict=True)]


def times(first: Matrix, second: Matrix) -> Matrix:
    """Return the matrix product."""
    columns = transposed(second)
    return [[_dot(row, column) for column in columns] for row in first]


def _dot(row: Sequence[Any], column: Sequence[Any]) -> Any:
    total = row[0] * column[0]
    for a, b in zip(row[1:], column[1:], strict=True):
        total += a * b
    return total


def _unit(index: int, size: int, field: ExactField) -> list[Any]:
    return [field.one if position == index else field.zero for position in range(size)]


def _reduced(ring: Ring, algorithm: BilinearAlgorithm) -> RingProduct:
    product_coefficients = ring.matrix(algorithm.bt.T)
    reduction = transposed(
        [ring.reduced([ring.field.zero] * power + [ring.field.one]) for power in range(algorithm.tile)]
    )
    return RingProduct(
        a=ring.matrix(algorithm.at.T), b=ring.matrix(algorithm.g), c=times(reduction, product_coefficients)
    )
