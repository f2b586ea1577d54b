"""Where the matrices of an algorithm come from, as text that is true of them.

In: an algorithm with a record of its points or moduli. Out: the points or moduli, residue products other than the
default, and where the scales of the products stand, as `repr` shows them and as a recipe that gives the matrices again.
What a record claims and the matrices do not bear out is no recipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.crt import crt
from winograd.algebra.moduli import Modulus
from winograd.algebra.points import Infinity, Point, spell
from winograd.algebra.residues import SchoolbookProduct, ToomCookProduct, UnitProduct
from winograd.algebra.scaling import Scaling, rescaled
from winograd.algebra.toom_cook import toom_cook

DIRECT = "direct"
"""The text for an axis where nothing is saved."""


def made_of(algorithm: BilinearAlgorithm) -> str:
    """Return points or moduli, residue products other than the default in braces, and other scales in brackets.

    Examples
    --------
    >>> made_of(crt(4, 3, "x,x-1,x+1,x^2+1,inf", [None, None, None, "schoolbook", None]))
    'x,x-1,x+1,x^2+1{schoolbook},inf'
    >>> made_of(rescaled(toom_cook(2, 3, "0,1,-1/2,inf"), Scaling.INTEGER))
    '0,1,-1/2,inf (integer)'
    """
    listed = _blocks(algorithm) if algorithm.moduli else spell(algorithm.points)
    if not listed:
        return ""
    plain = _plain(algorithm)
    scaling = None if plain is None else _scaling(plain, algorithm)
    return f"{listed} ({scaling})" if scaling else listed


def recipe_of(algorithm: BilinearAlgorithm) -> str | None:
    """Return the recipe that gives the same matrices, as `winograd.accuracy.recipe` reads it, or None.

    Examples
    --------
    >>> recipe_of(rescaled(toom_cook(2, 3, "0,1,-1/2,inf"), Scaling.DATA))
    'x,x-1,x+1/2,inf data'
    >>> recipe_of(toom_cook(1, 3))
    'direct'
    """
    if 1 in (algorithm.m, algorithm.r) and algorithm == toom_cook(algorithm.m, algorithm.r):
        return DIRECT
    plain = _plain(algorithm)
    if plain is None or not (_is_rational(plain) and all(map(_is_spelled, _chosen_products(plain)))):
        return None
    scaling = next((one for one in Scaling if rescaled(plain, one) == algorithm), None)
    listed = _blocks(plain) if plain.moduli else _linear(plain.points)
    return None if scaling is None else f"{listed} {scaling.value}"


def _plain(algorithm: BilinearAlgorithm) -> BilinearAlgorithm | None:
    """Return what `toom_cook` or `crt` makes of the record of an algorithm, or None if they refuse it."""
    try:
        return _made(algorithm.m, algorithm.r, algorithm.points, algorithm.moduli, algorithm.products)
    except (TypeError, ValueError):
        return None


@lru_cache(maxsize=256)
def _made(
    m: int, r: int, points: tuple[Point, ...], moduli: tuple[Modulus, ...], products: tuple[object, ...]
) -> BilinearAlgorithm:
    return crt(m, r, moduli, products or None) if moduli else toom_cook(m, r, points)


def _scaling(plain: BilinearAlgorithm, algorithm: BilinearAlgorithm) -> str:
    """Return what was done to the scales of the products, "" for nothing and for other changes than to scales."""
    if plain == algorithm or not _differs_in_scale(plain, algorithm):
        return ""
    known = (one for one in (Scaling.DATA, Scaling.INTEGER) if rescaled(plain, one) == algorithm)
    return next((one.value for one in known), "scaled")


def _differs_in_scale(first: BilinearAlgorithm, second: BilinearAlgorithm) -> bool:
    """Say whether rational matrices differ in nothing but a factor of every vector of every product."""
    if first.rank != second.rank or not (_is_rational(first) and _is_rational(second)):
        return False
    pairs = ((first.at.T, second.at.T), (first.g, second.g), (first.bt, second.bt))
    return all(_proportional(one.row(t), other.row(t)) for one, other in pairs for t in range(first.rank))


def _is_rational(algorithm: BilinearAlgorithm) -> bool:
    return all(entry.is_Rational for matrix in (algorithm.at, algorithm.g, algorithm.bt) for entry in matrix)


def _proportional(first: sympy.ImmutableMatrix, second: sympy.ImmutableMatrix) -> bool:
    pivot = next((place for place, entry in enumerate(first) if entry), 0)
    return all(bool(a) == bool(b) and a * second[pivot] == b * first[pivot] for a, b in zip(first, second, strict=True))


def _blocks(algorithm: BilinearAlgorithm) -> str:
    """Return moduli, with residue products other than the default in braces."""
    shown = ["" if product is None else f"{{{_spelled(product)}}}" for product in _chosen_products(algorithm)]
    return ",".join(f"{modulus}{product}" for modulus, product in zip(algorithm.moduli, shown, strict=True))


def _chosen_products(algorithm: BilinearAlgorithm) -> list[object]:
    """Return the residue product of each modulus, None for the default."""
    if len(algorithm.products) != len(algorithm.moduli) or not _has_choice(algorithm):
        return [None] * len(algorithm.moduli)
    default = _default_products(algorithm.m, algorithm.r, algorithm.moduli)
    return [None if one == usual else one for one, usual in zip(algorithm.products, default, strict=True)]


def _has_choice(algorithm: BilinearAlgorithm) -> bool:
    return any(isinstance(one, Modulus) and one.degree > 1 for one in algorithm.moduli)


@lru_cache(maxsize=256)
def _default_products(m: int, r: int, moduli: tuple[Modulus, ...]) -> tuple[object, ...]:
    try:
        return crt(m, r, moduli).products
    except (TypeError, ValueError):
        return (None,) * len(moduli)


def _is_spelled(product: object) -> bool:
    """Say whether a recipe has a word for a residue product."""
    if isinstance(product, ToomCookProduct):
        return bool(product.points)
    return product is None or isinstance(product, (SchoolbookProduct, UnitProduct))


def _spelled(product: object) -> str:
    if isinstance(product, UnitProduct):
        return f"{spell(product.inner.points)}:{product.slope}"
    return spell(product.points) if isinstance(product, ToomCookProduct) and product.points else str(product)


def _linear(points: Sequence[Point]) -> str:
    """Return rational points as moduli."""
    return ",".join(
        "inf" if isinstance(point, Infinity) else str(Modulus((-point, sympy.Integer(1)), 1)) for point in points
    )
