"""The Chinese remainder theorem: every fast convolution algorithm of one variable, Toom-Cook and FFT among them.

In: sizes, pairwise coprime moduli, and how to multiply modulo each. Out: a proved `BilinearAlgorithm` whose rank is the
number of multiplications of all residue products. Refused: moduli with common factors, degrees that do not add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import combinations
from typing import Any, Literal

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm, checked_sizes
from winograd.algebra.field import ExactField
from winograd.algebra.moduli import Modulus, as_moduli
from winograd.algebra.points import INFINITY, as_points
from winograd.algebra.polynomials import divide, gcd, inverse, multiply
from winograd.algebra.residues import (
    Matrix,
    ResidueProduct,
    Ring,
    RingProduct,
    ToomCookProduct,
    as_product,
    times,
    transposed,
)

Products = Sequence[object] | Mapping[object, object]

# Points of a residue product of three multiplications that are tried when none are named.
_KARATSUBA_LIKE = ("0,1,inf", "0,-1,inf", "1,-1,inf", "0,1,-1")


class Inverses(Enum):
    """Which transform takes the inverses v_i modulo nonlinear moduli; those modulo linear ones are in the filter's."""

    FILTER = "filter"
    DATA = "data"


def crt(
    m: int,
    r: int,
    moduli: Iterable[object],
    products: Products | None = None,
    *,
    inverses: Inverses | Literal["filter", "data"] = Inverses.FILTER,
) -> BilinearAlgorithm:
    r"""Return the algorithm F(m, r) over pairwise coprime moduli, proved.

    The product s = x w of polynomials of m and r coefficients has n = m + r - 1. With the moduli M_i, M = prod M_i and
    INFINITY of multiplicity k, s = sum_i (M / M_i) (v_i x w mod M_i) + M q, where v_i is the inverse of M / M_i modulo
    M_i, and q, of k coefficients, comes from the k highest coefficients of x and w. Transposed, that is a FIR filter.
    A linear modulus x - a is the point a of Toom-Cook, with the same scaling.

    Parameters
    ----------
    m, r : int
        Outputs and taps, as in `toom_cook`.
    moduli : iterable
        Polynomials in one symbol (sympy expressions or Poly; a Poly where coefficients are symbols too), ``INFINITY``
        or ``(INFINITY, k)``, or text such as "x,x-1,x^2+1,inf^2". Degrees and k sum to m + r - 1.
    products : sequence or mapping, optional
        How to multiply modulo each modulus: one entry per modulus, or a mapping from moduli. An entry is None (the
        default: Toom-Cook at the points with the least kappa among a few), points, "schoolbook", an algorithm, or an
        object of `winograd.algebra.residues`.
    inverses : Inverses, "filter" or "data"
        FILTER, the default, costs nothing where the filter is transformed beforehand; DATA keeps ``g`` plain. Where a
        modulus has a higher degree than the filter has taps, the data transform takes its inverse in any case.

    Returns
    -------
    BilinearAlgorithm
        ``moduli`` and ``products`` record what it was made from; ``rank`` is the true number of multiplications.

    Raises
    ------
    TypeError
        For what is no modulus and no product.
    ValueError
        For moduli with a common factor, which is named, for constants, for degrees that do not sum to m + r - 1, and
        for another word for ``inverses``.

    References
    ----------
    S. Winograd, Arithmetic complexity of computations, SIAM 1980, chapter 3.
    R. E. Blahut, Fast algorithms for signal processing, Cambridge 2010, chapter 5.

    Examples
    --------
    >>> x = sympy.Symbol("x")
    >>> crt(4, 3, [x, x - 1, x + 1, x**2 + 1, INFINITY])
    <F(4,3) mod x,x-1,x+1,x^2+1,inf, 7 multiplications>
    """
    m, r = checked_sizes(m, r)
    listed = list(moduli) if isinstance(moduli, Iterable) and not isinstance(moduli, str) else as_moduli(moduli)
    chosen = as_moduli(listed)
    _check_degrees(m, r, chosen)
    wanted = _aligned(products, listed, chosen)
    field = _field(chosen, wanted)
    places = _places(m, r, chosen, field, _checked_inverses(inverses))
    done = [_best_block(place, product) for place, product in zip(places, wanted, strict=True)]
    return _assembled(m, r, [block for block, _ in done], field, chosen, tuple(product for _, product in done))


def _checked_inverses(inverses: object) -> Inverses:
    try:
        return Inverses(inverses)
    except ValueError:
        allowed = " or ".join(repr(one.value) for one in Inverses)
        raise ValueError(f"inverses is {inverses!r:.60}, must be {allowed}") from None


def _check_degrees(m: int, r: int, moduli: Sequence[Modulus]) -> None:
    total = sum(modulus.degree for modulus in moduli)
    if total != m + r - 1:
        listed = ", ".join(map(str, moduli)) or "none"
        raise ValueError(f"F({m},{r}) needs moduli whose degrees sum to {m + r - 1}, got {total} from {listed}")


def _aligned(
    products: Products | None, listed: Sequence[object], moduli: Sequence[Modulus]
) -> list[ResidueProduct | None]:
    """Return what is wanted for each modulus, in the order of ``moduli``, which may have moved INFINITY."""
    if products is None:
        return [None] * len(moduli)
    if isinstance(products, str) or not isinstance(products, Iterable):
        raise TypeError(f"products is {products!r}, must be a sequence with one entry per modulus, or a mapping")
    if isinstance(products, Mapping):
        return _from_mapping(products, listed, moduli)
    wanted = [as_product(product) for product in products]
    if len(wanted) != len(moduli):
        raise ValueError(f"{len(wanted)} products for {len(moduli)} moduli; give one each, None for the default")
    infinite = [number for number, value in enumerate(listed) if _means_infinity(value)]
    return [wanted[number] for number in range(len(wanted)) if number not in infinite] + [
        wanted[number] for number in infinite
    ]


def _from_mapping(
    products: Mapping[Any, object], listed: Sequence[object], moduli: Sequence[Modulus]
) -> list[ResidueProduct | None]:
    # Read beside all moduli, so that their common symbol is known.
    finite = [value for value in listed if not _means_infinity(value)]
    keys = [as_moduli([key] if _means_infinity(key) else [*finite, key])[-1] for key in products]
    wanted = dict(zip(keys, map(as_product, products.values()), strict=True))
    unknown = [str(key) for key in wanted if key not in moduli]
    if unknown:
        raise ValueError(f"products for {', '.join(unknown)}, the moduli are {', '.join(map(str, moduli))}")
    return [wanted.get(modulus) for modulus in moduli]


def _means_infinity(value: object) -> bool:
    if isinstance(value, str):
        return value.strip(" ").startswith("inf")
    return (
        value.is_infinite if isinstance(value, Modulus) else value in (INFINITY, sympy.oo) or isinstance(value, tuple)
    )


def _field(moduli: Sequence[Modulus], wanted: Sequence[ResidueProduct | None]) -> ExactField:
    constants = [
        constant
        for modulus, product in zip(moduli, wanted, strict=True)
        if product is not None
        for constant in product.constants(modulus.coefficients)
    ]
    return ExactField([*(c for modulus in moduli for c in modulus.coefficients), *constants])


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a residue product stands: what goes in from x and w, the factor that is known, what its result adds to s.

    ``known`` multiplies the product in the ring, on the side of the filter if ``known_in_filter``; ``lift`` has one
    column per coefficient of the residue.
    """

    ring: Ring
    left: Matrix
    right: Matrix
    known: list[Any]
    known_in_filter: bool
    lift: Matrix


def _places(m: int, r: int, moduli: Sequence[Modulus], field: ExactField, inverses: Inverses) -> list[_Place]:
    rings = [Ring(modulus.coefficients, field) for modulus in moduli if not modulus.is_infinite]
    _check_coprime(moduli, [ring.modulus for ring in rings])
    master = [field.one]
    for ring in rings:
        master = multiply(master, ring.modulus)
    places = [_finite_place(m, r, ring, master, inverses) for ring in rings]
    if moduli[-1].is_infinite:
        places.append(_infinite_place(m, r, moduli[-1].degree, master, field, inverses))
    return places


def _check_coprime(moduli: Sequence[Modulus], finite: Sequence[Sequence[Any]]) -> None:
    for (i, first), (j, second) in combinations(enumerate(finite), 2):
        common = gcd(first, second)
        if len(common) > 1:
            x = sympy.Symbol("x")
            factor = sympy.gcd(moduli[i].polynomial, moduli[j].polynomial, x)
            raise ValueError(f"moduli {moduli[i]} and {moduli[j]} have the common factor {factor}, must be coprime")


def _in_filter(ring: Ring, r: int, inverses: Inverses) -> bool:
    return ring.degree == 1 or (inverses is Inverses.FILTER and ring.degree <= r)


def _finite_place(m: int, r: int, ring: Ring, master: Sequence[Any], inverses: Inverses) -> _Place:
    cofactor = divide(master, ring.modulus)[0]
    known = inverse(cofactor, ring.modulus)
    lift = _shifts(cofactor, range(ring.degree), m + r - 1, ring.field)
    if ring.degree == 1 and not ring.modulus[0] and ring.field.is_rational and known[0] < 0:
        # As in Toom-Cook at the point 0: the filter's value there is not negated, the data's is.
        known, lift = [-entry for entry in known], [[-entry for entry in row] for row in lift]
    return _Place(
        ring=ring,
        left=ring.reduction(m),
        right=ring.reduction(r),
        known=known,
        known_in_filter=_in_filter(ring, r, inverses),
        lift=lift,
    )


def _infinite_place(
    m: int, r: int, multiplicity: int, master: Sequence[Any], field: ExactField, inverses: Inverses
) -> _Place:
    """Work with reversed polynomials modulo a power of their variable: they begin with the highest coefficients."""
    ring = Ring((*[sympy.Integer(0)] * multiplicity, sympy.Integer(1)), field)
    reversed_master = ring.reduced(list(master)[::-1])
    return _Place(
        ring=ring,
        left=_highest(m, multiplicity, field),
        right=_highest(r, multiplicity, field),
        known=inverse(reversed_master, ring.modulus),
        known_in_filter=_in_filter(ring, r, inverses),
        lift=_shifts(master, range(multiplicity - 1, -1, -1), m + r - 1, field),
    )


def _highest(size: int, multiplicity: int, field: ExactField) -> Matrix:
    """Return the rows that pick the highest coefficients of ``size``, highest first."""
    picked = range(size - 1, max(size - 1 - multiplicity, -1), -1)
    return [[field.one if column == row else field.zero for column in range(size)] for row in picked]


def _shifts(polynomial: Sequence[Any], powers: Iterable[int], size: int, field: ExactField) -> Matrix:
    """Return the matrix whose columns are x^power times the polynomial, of ``size`` rows."""
    columns = []
    for power in powers:
        shifted = [field.zero] * power + list(polynomial)
        columns.append((shifted + [field.zero] * size)[:size])
    return transposed(columns)


def _best_block(place: _Place, wanted: ResidueProduct | None) -> tuple[RingProduct, ResidueProduct]:
    if wanted is not None:
        return _block(place, wanted), wanted
    tried = [(_block(place, product), product) for product in _defaults(place)]
    return min(tried, key=lambda pair: _amplification(pair[0])) if len(tried) > 1 else tried[0]


def _defaults(place: _Place) -> list[ResidueProduct]:
    three = (len(place.left), len(place.right)) == (2, 2)
    if not three:
        return [ToomCookProduct()]
    candidates: list[ResidueProduct] = [ToomCookProduct(as_points(points)) for points in _KARATSUBA_LIKE]
    return candidates if place.ring.field.is_rational else candidates[:1]


def _block(place: _Place, product: ResidueProduct) -> RingProduct:
    """Return the product's share: the rows that x and w are multiplied with, and the columns that add to s."""
    inside = product.over(place.ring, len(place.left), len(place.right))
    known = place.ring.multiplication(place.known)
    if place.known_in_filter:
        right, result = times(known, place.right), inside.c
    else:
        right, result = place.right, times(known, inside.c)
    return RingProduct(times(inside.a, place.left), times(inside.b, right), times(place.lift, result))


def _amplification(block: RingProduct) -> Any:
    """Return the block's share of kappa, up to the factor 1 / (m r)."""
    parts = (block.a, block.b, transposed(block.c))
    squares = [[sum(entry * entry for entry in row) for row in part] for part in parts]
    return sum(a * b * c for a, b, c in zip(*squares, strict=True))


def _assembled(
    m: int,
    r: int,
    blocks: Sequence[RingProduct],
    field: ExactField,
    moduli: tuple[Modulus, ...],
    products: tuple[ResidueProduct, ...],
) -> BilinearAlgorithm:
    def matrix(rows: Iterable[Sequence[Any]]) -> sympy.ImmutableMatrix:
        return sympy.ImmutableMatrix([[field.expression(entry) for entry in row] for row in rows])

    return BilinearAlgorithm(
        m=m,
        r=r,
        at=matrix(row for block in blocks for row in block.a).T,
        g=matrix(row for block in blocks for row in block.b),
        bt=matrix(row for block in blocks for row in transposed(block.c)),
        moduli=moduli,
        products=products,
    )
