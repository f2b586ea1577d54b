"""`Recipe`: how an algorithm of one axis is built, as one line of text, and the exact algorithm from it.

In: moduli, one way to multiply modulo each, and where the inverses go; or the text of these. Out: a proved
`BilinearAlgorithm`. Refused: text outside the grammar, which is never evaluated, and algorithms that do not exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Final

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.crt import crt
from winograd.algebra.moduli import Modulus, as_moduli, parse_moduli
from winograd.algebra.points import INFINITY, Infinity, as_points, parse_point, spell
from winograd.algebra.residues import ResidueProduct, SchoolbookProduct, ToomCookProduct, UnitProduct
from winograd.algebra.scaling import Scaling, rescaled
from winograd.algebra.toom_cook import toom_cook

__all__ = ["MAX_RECIPE_LENGTH", "Recipe", "Scaling"]

MAX_RECIPE_LENGTH: Final = 4096
"""Longest text of a recipe, in characters."""

_SCHOOLBOOK: Final = "schoolbook"
_BLOCK = re.compile(r"([^,{} ]+)(?:\{([^{} ]+)\})?(?:,|$)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an algorithm of one axis is built.

    Parameters
    ----------
    moduli : tuple of str
        Each in the grammar of `parse_moduli`: ``x-1/2`` (the point 1/2), ``x^2+1``, ``inf``, ``inf^2``; pairwise
        coprime; their degrees sum to m + r - 1.
    products : tuple of str, optional
        How to multiply modulo each: "" (the default of `crt`), "schoolbook", points such as "0,1,inf", or points and a
        rational unit 1 + q x as "0,1,inf:q", see `UnitProduct`. None given means "" for all.
    scaling : Scaling
        Where the inverses go.

    Raises
    ------
    ValueError
        For text outside the grammar, a wrong number of products, a modulus listed twice.

    Examples
    --------
    >>> recipe = Recipe.parse("x,x-1,x+1,x^2+1{0,1,-1},inf filter")
    >>> recipe.build(4, 3)
    <F(4,3) mod x,x-1,x+1,x^2+1,inf, 7 multiplications>
    >>> recipe.with_scaling(Scaling.DATA).text
    'x,x-1,x+1,x^2+1{0,1,-1},inf data'
    """

    moduli: tuple[str, ...]
    products: tuple[str, ...] = ()
    scaling: Scaling = Scaling.FILTER

    def __post_init__(self) -> None:
        products = self.products or ("",) * len(self.moduli)
        if len(products) != len(self.moduli):
            raise ValueError(f"{len(products)} products for {len(self.moduli)} moduli; give one each, '' by default")
        pairs = [(_modulus(text), product) for text, product in zip(self.moduli, products, strict=True)]
        ordered = sorted(pairs, key=lambda pair: pair[0].is_infinite)
        moduli = as_moduli([modulus for modulus, _ in ordered])
        twice = next((str(modulus) for modulus in moduli if moduli.count(modulus) > 1), None)
        if twice:
            raise ValueError(f"modulus {twice} is listed twice; moduli must be coprime")
        object.__setattr__(self, "moduli", tuple(map(str, moduli)))
        object.__setattr__(self, "products", tuple(_spelled(product) for _, product in ordered))
        object.__setattr__(self, "scaling", Scaling(self.scaling))
        if len(self.text) > MAX_RECIPE_LENGTH:
            raise ValueError(f"recipe of {len(self.text)} characters, at most {MAX_RECIPE_LENGTH} are allowed")

    @classmethod
    def from_points(cls, points: Iterable[object], scaling: Scaling = Scaling.FILTER) -> Recipe:
        """Return the recipe of Toom-Cook at rational points.

        Examples
        --------
        >>> Recipe.from_points([0, "1/2", "inf"]).text
        'x,x-1/2,inf filter'
        """
        chosen = as_points(points)
        irrational = [point for point in chosen if not isinstance(point, Infinity) and not point.is_Rational]
        if irrational:
            raise ValueError(f"point {irrational[0]} is not rational, a recipe's points are")
        return cls(tuple(map(_linear, chosen)), scaling=scaling)

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """Read the text of a recipe: moduli with products in braces, separated by commas, then the scaling.

        Raises
        ------
        ValueError
            If the text is outside the grammar.

        Examples
        --------
        >>> Recipe.parse("x^2+2,x^2-x+1{0,1,inf:1/2},inf^2{schoolbook} integer").products
        ('', '0,1,inf:1/2', 'schoolbook')
        """
        if len(text) > MAX_RECIPE_LENGTH:
            raise ValueError(f"recipe of {len(text)} characters, at most {MAX_RECIPE_LENGTH} are allowed")
        listed, _, scaling = text.rpartition(" ")
        blocks = list(_BLOCK.finditer(listed))
        whole = "".join(block[0] for block in blocks) == listed and not listed.endswith(",")
        if not blocks or not whole or scaling not in [one.value for one in Scaling]:
            raise ValueError(f"recipe {text[:60]!a} is not of the form x,x-1,x^2+1{{0,1,inf}},inf filter|data|integer")
        return cls(tuple(block[1] for block in blocks), tuple(block[2] or "" for block in blocks), Scaling(scaling))

    @property
    def text(self) -> str:
        """One line that `parse` reads."""
        blocks = (f"{m}{{{p}}}" if p else m for m, p in zip(self.moduli, self.products, strict=True))
        return f"{','.join(blocks)} {self.scaling.value}"

    @property
    def points(self) -> tuple[Fraction | Infinity, ...] | None:
        """The points where all moduli are linear, else None."""
        moduli = parse_moduli(",".join(self.moduli))
        if any(modulus.degree > 1 for modulus in moduli):
            return None
        return tuple(INFINITY if one.is_infinite else -_fraction(one.coefficients[0]) for one in moduli)

    def rank(self, m: int, r: int) -> int:
        """Return the number of multiplications of F(m, r)."""
        pairs = zip(parse_moduli(",".join(self.moduli)), self.products, strict=True)
        return sum(_multiplications(min(m, one.degree), min(r, one.degree), one, product) for one, product in pairs)

    def with_scaling(self, scaling: Scaling) -> Recipe:
        """Return the recipe with another scaling."""
        return replace(self, scaling=scaling)

    def build(self, m: int, r: int) -> BilinearAlgorithm:
        """Return the algorithm F(m, r), exact and proved.

        Raises
        ------
        ValueError
            If the moduli are not coprime or do not fit the sizes; see `toom_cook` and `crt`.
        """
        return rescaled(_plain(self.with_scaling(Scaling.FILTER), m, r), self.scaling)

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=1024)
def _plain(recipe: Recipe, m: int, r: int) -> BilinearAlgorithm:
    points = recipe.points
    if points is not None:
        return toom_cook(m, r, points)
    return crt(m, r, parse_moduli(",".join(recipe.moduli)), [_residue_product(text) for text in recipe.products])


def _linear(point: sympy.Expr | Infinity) -> str:
    return "inf" if isinstance(point, Infinity) else str(Modulus((-point, sympy.Integer(1)), 1))


def _modulus(text: str) -> Modulus:
    if not isinstance(text, str):
        raise TypeError(f"modulus {text!r} of a recipe must be text")
    return parse_moduli(text)[0] if "," not in text else _refused(text)


def _refused(text: str) -> Modulus:
    raise ValueError(f"modulus {text!r} is a list; give one text per modulus")


def _fraction(value: sympy.Expr) -> Fraction:
    return Fraction(int(value.p), int(value.q))


def _residue_product(text: str) -> ResidueProduct | None:
    if not text:
        return None
    if text == _SCHOOLBOOK:
        return SchoolbookProduct()
    points, colon, unit = text.partition(":")
    product = ToomCookProduct(as_points(points))
    if not colon:
        return product
    slope = parse_point(unit)
    if isinstance(slope, Infinity):
        raise ValueError(f"unit of product {text!r} is inf, must be a rational number q, which means 1 + q x")
    return UnitProduct(product, sympy.Rational(slope.numerator, slope.denominator))


def _spelled(text: str) -> str:
    """Return the text of a product in its one spelling."""
    product = _residue_product(text)
    if isinstance(product, UnitProduct):
        return f"{spell(product.inner.points)}:{product.slope}"
    return spell(product.points) if isinstance(product, ToomCookProduct) else text


def _multiplications(first: int, second: int, modulus: Modulus, product: str) -> int:
    if product != _SCHOOLBOOK:
        return first + second - 1
    vanishing = modulus.is_infinite or not any(modulus.coefficients[:-1])
    pairs = [(i, j) for i in range(first) for j in range(second)]
    return sum(i + j < modulus.degree for i, j in pairs) if vanishing else len(pairs)
