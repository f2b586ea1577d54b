"""`Scaling`: which transform holds the scale of each product of an algorithm.

In: an algorithm as `toom_cook` and `crt` make it. Out: the same products with their scales elsewhere, proved.
Refused: entries that are not rational, where scales are to be moved.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from fractions import Fraction
from math import gcd, lcm

from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.forms import scaled


class Scaling(Enum):
    """Which transform holds the scale of each product; kappa is the same for all."""

    FILTER = "filter"
    """The inverses 1 / N are in ``g``, as `toom_cook` and `crt` have them."""
    DATA = "data"
    """They are in ``bt``: every row of ``g`` begins with 1."""
    INTEGER = "integer"
    """Rows of ``bt`` are integers without a common factor; ``g`` takes the rest."""


def rescaled(algorithm: BilinearAlgorithm, scaling: Scaling) -> BilinearAlgorithm:
    """Return an algorithm, as `toom_cook` and `crt` make it, with its scales where ``scaling`` says.

    Raises
    ------
    NotImplementedError
        If an entry is not rational and scales are to be moved.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> rescaled(toom_cook(1, 2, [1, -1]), Scaling.DATA).g
    Matrix([
    [1,  1],
    [1, -1]])
    """
    if scaling is Scaling.FILTER:
        return algorithm
    if scaling is Scaling.DATA:
        factors = [1 / next((entry for entry in row if entry), Fraction(1)) for row in fraction_rows(algorithm.g)]
        return scaled(algorithm, at=[1] * algorithm.rank, g=factors)
    rows = fraction_rows(algorithm.bt)
    return scaled(algorithm, at=[1] * algorithm.rank, bt=[_to_integers(row) for row in rows])


def _to_integers(row: Iterable[Fraction]) -> Fraction:
    """Return the positive factor that makes a row one of integers without a common factor."""
    entries = [entry for entry in row if entry]
    if not entries:
        return Fraction(1)
    return Fraction(lcm(*(entry.denominator for entry in entries)), gcd(*(entry.numerator for entry in entries)))
