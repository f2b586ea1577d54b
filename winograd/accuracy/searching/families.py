"""Families of algorithms: which moduli there are, and the numbers that one member has.

In: sizes and a number of products. Out: `Family` objects, and the `Recipe` of a member from its rational numbers, its
knobs. A family has groups of points +-c, +-1/c, pairs +-a, free points, 0, infinity, and, with three products each,
quadratics without real roots: centred ones x^2 + c, mirrored pairs x^2 +- b x + c, and free ones x^2 + b x + c.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

import sympy

from winograd.accuracy.recipe import Recipe
from winograd.algebra.moduli import Modulus
from winograd.algebra.points import Infinity

Knob = Fraction | Infinity


class Role(Enum):
    """What one number of a family means."""

    MAGNITUDE = "magnitude"
    """a > 0 of a pair of points +-a or a group +-a, +-1/a."""
    POINT = "point"
    MIDDLE = "middle"
    """b of a quadratic."""
    CONSTANT = "constant"
    """c of a quadratic."""
    INNER_POINT = "inner point"
    """A point of a residue product; the only role that infinity can have."""
    SLOPE = "slope"
    """q of the unit 1 + q x of a residue product."""


_INNER = (Role.INNER_POINT,) * 3 + (Role.SLOPE,)


@dataclass(frozen=True, slots=True)
class Family:
    """What the moduli are; each field is how many there are of a kind.

    The knobs of a member, in order: magnitudes of ``groups`` and of ``pairs``, ``points`` points, then for each centred
    quadratic c, for each mirrored pair b and c, for each free quadratic b and c, and last, in the same order, three
    points and the slope of the residue product of each of these. The second of a mirrored pair has the mirrored one.
    """

    groups: int = 0
    pairs: int = 0
    points: int = 0
    zero: int = 0
    infinity: int = 0
    centred: int = 0
    mirrored: int = 0
    quadratics: int = 0

    def __post_init__(self) -> None:
        if self.mirrored and not self.is_symmetric:
            raise ValueError("family has mirrored quadratics beside free points or quadratics, must be symmetric")

    @property
    def tile(self) -> int:
        """Sum of the degrees of the moduli."""
        return self.linear + 2 * (self.centred + 2 * self.mirrored + self.quadratics)

    @property
    def linear(self) -> int:
        """Number of points, infinity included."""
        return 4 * self.groups + 2 * self.pairs + self.points + self.zero + self.infinity

    @property
    def rank(self) -> int:
        """Number of products."""
        return self.linear + 3 * (self.centred + 2 * self.mirrored + self.quadratics)

    @property
    def blocks(self) -> int:
        """Number of quadratics with a residue product of their own."""
        return self.centred + self.mirrored + self.quadratics

    @property
    def is_symmetric(self) -> bool:
        """Whether x -> -x maps every member to itself, but for the residue products of centred quadratics."""
        return not (self.points or self.quadratics)

    @property
    def outer(self) -> tuple[Role, ...]:
        """Roles of the knobs that are numbers of the moduli."""
        quadratic = (Role.MIDDLE, Role.CONSTANT)
        points = (Role.MAGNITUDE,) * (self.groups + self.pairs) + (Role.POINT,) * self.points
        return points + (Role.CONSTANT,) * self.centred + quadratic * (self.mirrored + self.quadratics)

    @property
    def roles(self) -> tuple[Role, ...]:
        """Roles of all knobs."""
        return self.outer + _INNER * self.blocks

    def recipe(self, knobs: Sequence[Knob]) -> Recipe:
        """Return the recipe of a member.

        Examples
        --------
        >>> family = Family(pairs=1, zero=1, infinity=1, centred=1)
        >>> knobs = [Fraction(1), Fraction(1), Fraction(0), Fraction(1), Fraction(-1), Fraction(1, 2)]
        >>> family.recipe(knobs).text
        'x,x-1,x+1,x^2+1{0,1,-1:1/2},inf filter'
        """
        split = len(self.outer)
        numbers = iter([_finite(knob) for knob in knobs[:split]])
        linear = ["x"] * self.zero
        for group in range(self.groups + self.pairs):
            size = next(numbers)
            sizes = (size, 1 / size) if group < self.groups else (size,)
            linear += [_modulus(sign * value) for value in sizes for sign in (-1, 1)]
        linear += [_modulus(-next(numbers)) for _ in range(self.points)]
        quadratics, products = [], []
        for block in range(self.blocks):
            middle = Fraction(0) if block < self.centred else next(numbers)
            constant = next(numbers)
            mirrored = self.centred <= block < self.centred + self.mirrored
            for sign in (1, -1) if mirrored else (1,):
                quadratics.append(_modulus(constant, sign * middle))
                products.append(_product(knobs[split + 4 * block : split + 4 * block + 4], sign))
        return Recipe(
            (*linear, *quadratics, *["inf"] * self.infinity),
            (*[""] * len(linear), *products, *[""] * self.infinity),
        )


def _finite(knob: Knob) -> Fraction:
    if isinstance(knob, Infinity):
        raise ValueError("knob of a modulus is inf, must be a rational number")
    return knob


def _modulus(*lower: Fraction) -> str:
    """Return the text of the monic polynomial with these lower coefficients."""
    exact = [sympy.Rational(number.numerator, number.denominator) for number in lower]
    return str(Modulus((*exact, sympy.Integer(1)), len(exact)))


def _product(knobs: Sequence[Knob], sign: int) -> str:
    """Return the text of a residue product, or of the one that x -> -x makes of it for the sign -1."""
    *points, slope = knobs
    listed = ",".join(str(point if isinstance(point, Infinity) else sign * point) for point in points)
    return f"{listed}:{sign * _finite(slope)}" if slope else listed


def families(m: int, r: int, rank: int) -> tuple[Family, ...]:
    """Return the families of F(m, r) with ``rank`` products, symmetric ones first, none where there are none.

    Where m or r is 1, a quadratic has no third product, and only Toom-Cook is left.

    Examples
    --------
    >>> [(family.groups, family.pairs, family.points) for family in families(4, 3, 6)]
    [(0, 3, 0), (1, 1, 0), (0, 2, 0), (1, 0, 0), (0, 0, 6), (0, 0, 5)]
    >>> families(4, 3, 5)
    ()
    """
    tile = m + r - 1
    count = rank - tile
    left = tile - 2 * count
    if count < 0 or left < 0 or (count and min(m, r) == 1):
        return ()
    alone = ((0, 1), (1, 0)) if left % 2 else ((0, 0), (1, 1))
    symmetric = [
        family
        for zero, infinity in alone
        for mirrored in range(count // 2, -1, -1)
        if left >= zero + infinity
        for family in _symmetric((left - zero - infinity) // 2, zero, infinity, count - 2 * mirrored, mirrored)
    ]
    free = [Family(points=left - infinity, infinity=infinity, quadratics=count) for infinity in (0, 1)]
    return tuple(dict.fromkeys((*symmetric, *(family for family in free if family.points >= 0))))


def _symmetric(pairs: int, zero: int, infinity: int, centred: int, mirrored: int) -> Iterator[Family]:
    for groups in {0: None, pairs // 2: None}:
        yield Family(
            groups=groups,
            pairs=pairs - 2 * groups,
            zero=zero,
            infinity=infinity,
            centred=centred,
            mirrored=mirrored,
        )
