"""The numbers of a derivation: what each point or modulus contributes to the product of two polynomials.

In: sizes, and points or moduli with their residue products. Out: sympy matrices and coefficients, computed anew, to be
compared with an algorithm that says it was made from them. Refused: what determines no product.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.crt import Inverses
from winograd.algebra.field import ExactField
from winograd.algebra.moduli import Modulus
from winograd.algebra.points import INFINITY, Point, as_points
from winograd.algebra.polynomials import divide, divide_linear, evaluate, inverse, multiply, powers
from winograd.algebra.residues import Matrix, ResidueProduct, Ring, times, transposed

Coefficients = tuple[sympy.Expr, ...]
"""A polynomial, constant term first."""


@dataclass(frozen=True, slots=True)
class PointShare:
    """One product of Toom-Cook; for INFINITY the cofactor is M and the scale 1.

    Parameters
    ----------
    point : Point
    cofactor : Coefficients
        M_t = M / (x - a_t).
    scale : sympy.Expr
        N_t = M_t(a_t).
    a, b, c : sympy.ImmutableMatrix
        Row of a, row of b and column of c of the linear form.
    """

    point: Point
    cofactor: Coefficients
    scale: sympy.Expr
    a: sympy.ImmutableMatrix
    b: sympy.ImmutableMatrix
    c: sympy.ImmutableMatrix


@dataclass(frozen=True, slots=True)
class ResidueShare:
    """The products of one modulus.

    Parameters
    ----------
    modulus : Modulus
    product : ResidueProduct
    cofactor : Coefficients
        M / M_i; for INFINITY the reversed M, modulo the power of x.
    known : Coefficients
        Inverse of the cofactor in the ring.
    idempotent : Coefficients
        ``known`` times the cofactor, 1 modulo this modulus and 0 modulo the others.
    reductions : tuple of two matrices
        From the coefficients of u and of w to their residues.
    multiplication : sympy.ImmutableMatrix
        Of a residue by ``known``.
    known_in_filter : bool
        Whether it is the residue of w that is multiplied so, or that of the product.
    inside : tuple of three matrices
        The product in the ring, c ((a p) * (b q)).
    lift : sympy.ImmutableMatrix
        One column for each coefficient of the product's residue: what it adds to s.
    a, b, c : sympy.ImmutableMatrix
        Rows of a, rows of b and columns of c of the linear form.
    """

    modulus: Modulus
    product: ResidueProduct
    cofactor: Coefficients
    known: Coefficients
    idempotent: Coefficients
    reductions: tuple[sympy.ImmutableMatrix, sympy.ImmutableMatrix]
    multiplication: sympy.ImmutableMatrix
    known_in_filter: bool
    inside: tuple[sympy.ImmutableMatrix, sympy.ImmutableMatrix, sympy.ImmutableMatrix]
    lift: sympy.ImmutableMatrix
    a: sympy.ImmutableMatrix
    b: sympy.ImmutableMatrix
    c: sympy.ImmutableMatrix


@dataclass(frozen=True, slots=True)
class Derivation:
    """The product M of the finite moduli, and the shares in the order of the products."""

    master: Coefficients
    shares: tuple[PointShare, ...] | tuple[ResidueShare, ...]

    @property
    def a(self) -> sympy.ImmutableMatrix:
        """Evaluation of u, of shape (rank, m)."""
        return sympy.ImmutableMatrix.vstack(*(share.a for share in self.shares))

    @property
    def b(self) -> sympy.ImmutableMatrix:
        """Evaluation of w, of shape (rank, r)."""
        return sympy.ImmutableMatrix.vstack(*(share.b for share in self.shares))

    @property
    def c(self) -> sympy.ImmutableMatrix:
        """Interpolation, of shape (m + r - 1, rank)."""
        return sympy.ImmutableMatrix.hstack(*(share.c for share in self.shares))


def lagrange(m: int, r: int, points: Iterable[object]) -> Derivation:
    """Return the derivation of Toom-Cook.

    Raises
    ------
    TypeError, ValueError
        For what are no points, if they are not m + r - 1, or two are equal.

    Examples
    --------
    >>> lagrange(2, 2, [sympy.Integer(0), sympy.Integer(1), INFINITY]).c
    Matrix([
    [-1, 0,  0],
    [ 1, 1, -1],
    [ 0, 0,  1]])
    """
    points = as_points(points)
    if len(points) != m + r - 1:
        raise ValueError(f"F({m},{r}) needs {m + r - 1} points, got {len(points)}")
    finite = [point for point in points if isinstance(point, sympy.Expr)]
    field = ExactField(finite)
    values = [field.element(point) for point in finite]
    master = _product([[-value, field.one] for value in values], field)
    at_infinity = PointShare(
        INFINITY, _spelled(master, field), sympy.Integer(1), _highest(m, 1), _highest(r, 1), _column(master, field)
    )
    shares = [_point_share(m, r, point, master, field) for point in finite]
    if any(not share.scale for share in shares):
        raise ValueError("points are not distinct")
    return Derivation(_spelled(master, field), (*shares, *[at_infinity] * (len(points) - len(finite))))


def _point_share(m: int, r: int, point: sympy.Expr, master: Sequence[Any], field: ExactField) -> PointShare:
    value = field.element(point)
    cofactor = divide_linear(master, value)
    scale = evaluate(cofactor, value)
    row = powers(value, max(m, r), field.one)
    scaled = [entry / scale for entry in row[:r]] if scale else row[:r]
    padding = [field.zero] * (m + r - 1 - len(cofactor))
    return PointShare(
        point=point,
        cofactor=_spelled(cofactor, field),
        scale=field.expression(scale),
        a=_matrix([row[:m]], field),
        b=_matrix([scaled], field),
        c=_column(cofactor + padding, field),
    )


def chinese(
    m: int, r: int, moduli: Sequence[Modulus], products: Sequence[Any], inverses: Inverses = Inverses.FILTER
) -> Derivation:
    """Return the derivation by the Chinese remainder theorem, every modulus with its residue product.

    Raises
    ------
    ValueError
        If the degrees do not sum to m + r - 1, INFINITY is not last, or not every modulus has a residue product.
    ZeroDivisionError
        If two moduli have a common factor.

    Examples
    --------
    >>> from winograd.algebra.moduli import parse_moduli
    >>> from winograd.algebra.residues import SchoolbookProduct
    >>> derivation = chinese(2, 2, parse_moduli("x-1,x^2+1"), [SchoolbookProduct(), SchoolbookProduct()])
    >>> derivation.shares[0].idempotent  # 1 modulo x - 1, 0 modulo x^2 + 1
    (1/2, 0, 1/2)
    """
    degrees = sum(modulus.degree for modulus in moduli)
    infinite_last = all(not modulus.is_infinite for modulus, _ in pairwise(moduli))
    multiplied = len(products) == len(moduli) and all(isinstance(product, ResidueProduct) for product in products)
    if degrees != m + r - 1 or not multiplied or not infinite_last:
        raise ValueError(f"F({m},{r}) needs moduli whose degrees sum to {m + r - 1}, with a product each")
    constants = [
        constant
        for modulus, product in zip(moduli, products, strict=True)
        for constant in product.constants(modulus.coefficients)
    ]
    field = ExactField([*(c for modulus in moduli for c in modulus.coefficients), *constants])
    finite = [[field.element(c) for c in modulus.coefficients] for modulus in moduli if not modulus.is_infinite]
    master = _product(finite, field)
    shares = [
        _residue_share(m, r, modulus, product, master, field, inverses)
        for modulus, product in zip(moduli, products, strict=True)
    ]
    return Derivation(_spelled(master, field), tuple(shares))


def _residue_share(
    m: int,
    r: int,
    modulus: Modulus,
    product: ResidueProduct,
    master: Sequence[Any],
    field: ExactField,
    inverses: Inverses,
) -> ResidueShare:
    if modulus.is_infinite:
        ring = Ring((*[sympy.Integer(0)] * modulus.degree, sympy.Integer(1)), field)
        cofactor = ring.reduced(master[::-1])
        reductions = [_elements(_highest(size, modulus.degree), field) for size in (m, r)]
        basis = [[field.zero] * power + list(master) for power in range(modulus.degree - 1, -1, -1)]
    else:
        ring = Ring(modulus.coefficients, field)
        cofactor = divide(master, ring.modulus)[0]
        reductions = [ring.reduction(size) for size in (m, r)]
        basis = [[field.zero] * power + cofactor for power in range(ring.degree)]
    known = inverse(cofactor, ring.modulus)
    lift = transposed([(column + [field.zero] * (m + r - 1))[: m + r - 1] for column in basis])
    inside = product.over(ring, len(reductions[0]), len(reductions[1]))
    multiplication = ring.multiplication(known)
    in_filter = modulus.degree == 1 or (inverses is Inverses.FILTER and modulus.degree <= r)
    a = times(inside.a, reductions[0])
    b = times(inside.b, times(multiplication, reductions[1]) if in_filter else reductions[1])
    c = times(lift, inside.c if in_filter else times(multiplication, inside.c))
    return ResidueShare(
        modulus=modulus,
        product=product,
        cofactor=_spelled(cofactor, field),
        known=_spelled(known, field),
        idempotent=_spelled(multiply(known, cofactor), field),
        reductions=(_matrix(reductions[0], field), _matrix(reductions[1], field)),
        multiplication=_matrix(multiplication, field),
        known_in_filter=in_filter,
        inside=(_matrix(inside.a, field), _matrix(inside.b, field), _matrix(inside.c, field)),
        lift=_matrix(lift, field),
        a=_matrix(a, field),
        b=_matrix(b, field),
        c=_matrix(c, field),
    )


@dataclass(frozen=True, slots=True)
class Alignment:
    """How an algorithm's products follow from a derivation's: product t is product ``order[t]``, scaled.

    ``scales`` are the factors of the columns of ``at``, the rows of ``g`` and the rows of ``bt``; their product is 1.
    """

    order: tuple[int, ...]
    scales: tuple[Coefficients, Coefficients, Coefficients]

    @property
    def is_identity(self) -> bool:
        """Whether the derivation gives the algorithm's matrices as they stand."""
        return self.in_order and all(f == 1 for factors in self.scales for f in factors)

    @property
    def in_order(self) -> bool:
        """Whether the products stand in the order of the derivation."""
        return self.order == tuple(range(len(self.order)))

    @property
    def moves_signs(self) -> bool:
        """Whether all that the algorithm does beside is to move signs of products from ``g`` to ``bt``."""
        of_at, of_g, _ = self.scales
        return self.in_order and all(f == 1 for f in of_at) and all(abs(f) == 1 for f in of_g)


def align(algorithm: BilinearAlgorithm, derivation: Derivation) -> Alignment | None:
    """Return how the algorithm's products follow from the derivation's, or None where they do not.

    Examples
    --------
    >>> from winograd.algebra.forms import permuted
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> karatsuba = toom_cook(2, 2, "0,1,inf")
    >>> align(permuted(karatsuba, [2, 0, 1]), lagrange(2, 2, karatsuba.points)).order
    (2, 0, 1)
    """
    at, g, bt = derivation.a.T, derivation.b, derivation.c.T
    if (at, g, bt) == (algorithm.at, algorithm.g, algorithm.bt):
        ones = (sympy.Integer(1),) * algorithm.rank
        return Alignment(tuple(range(algorithm.rank)), (ones, ones, ones))
    if at.cols != algorithm.rank:
        return None
    field = ExactField([*at, *g, *bt, *algorithm.at, *algorithm.g, *algorithm.bt])
    derived = _products(at, g, bt, field)
    given = _products(algorithm.at, algorithm.g, algorithm.bt, field)
    found = _matched(given, derived, field)
    if found is None:
        return None
    order, factors = zip(*found, strict=True)
    of_at, of_g, of_bt = (_spelled(part, field) for part in zip(*factors, strict=True))
    return Alignment(order, (of_at, of_g, of_bt))


Vectors = tuple[Sequence[Any], ...]


def _products(
    at: sympy.ImmutableMatrix, g: sympy.ImmutableMatrix, bt: sympy.ImmutableMatrix, field: ExactField
) -> list[Vectors]:
    rows = [_elements(matrix, field) for matrix in (at.T, g, bt)]
    return list(zip(*rows, strict=True))


def _matched(
    given: Sequence[Vectors], derived: Sequence[Vectors], field: ExactField
) -> list[tuple[int, tuple[Any, ...]]] | None:
    left = list(range(len(derived)))
    found = []
    for product in given:
        candidates = ((number, _factors(product, derived[number], field)) for number in left)
        match = next(((number, factors) for number, factors in candidates if factors is not None), None)
        if match is None:
            return None
        left.remove(match[0])
        found.append(match)
    return found


def _factors(product: Vectors, derived: Vectors, field: ExactField) -> tuple[Any, ...] | None:
    """Return the three factors, of product 1, that turn the derived vectors into those of the product."""
    factors = tuple(_ratio(vector, origin, field) for vector, origin in zip(product, derived, strict=True))
    if None in factors:
        return None
    return factors if factors[0] * factors[1] * factors[2] == field.one else None


def _ratio(vector: Sequence[Any], origin: Sequence[Any], field: ExactField) -> Any:
    pairs = list(zip(vector, origin, strict=True))
    ratio = next((a / b for a, b in pairs if b), field.one)
    return ratio if ratio and all(a == ratio * b for a, b in pairs) else None


def _elements(matrix: sympy.ImmutableMatrix, field: ExactField) -> Matrix:
    """Return a matrix as rows of elements of the field."""
    return [[field.element(entry) for entry in matrix.row(i)] for i in range(matrix.rows)]


def _product(polynomials: Sequence[Sequence[Any]], field: ExactField) -> list[Any]:
    total = [field.one]
    for polynomial in polynomials:
        total = multiply(total, polynomial)
    return total


def _highest(size: int, count: int) -> sympy.ImmutableMatrix:
    """Return the rows that pick the ``count`` highest of ``size`` coefficients, highest first."""
    rows = min(size, count)
    return sympy.ImmutableMatrix(rows, size, lambda row, column: int(column == size - 1 - row))


def _spelled(elements: Sequence[Any], field: ExactField) -> Coefficients:
    return tuple(field.expression(element) for element in elements)


def _matrix(rows: Matrix, field: ExactField) -> sympy.ImmutableMatrix:
    return sympy.ImmutableMatrix([[field.expression(entry) for entry in row] for row in rows])


def _column(entries: Sequence[Any], field: ExactField) -> sympy.ImmutableMatrix:
    return _matrix([[entry] for entry in entries], field)
