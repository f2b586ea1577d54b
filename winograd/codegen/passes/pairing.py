"""Pairing: the even and odd parts that the points +a and -a share.

In: a matrix. Out: the same matrix as a product of butterflies and a sparser core. Two rows (outputs) or two columns
(inputs) with the same absolute values, entry by entry, form a pair: with e the entries that agree in sign and o those
that differ, rows e + o and e - o need each of e and o only once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

Row = tuple[Fraction, ...]
Rows = tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows or columns, ``first < second``, of the same absolute values."""

    first: int
    second: int


def find_pairs(rows: Sequence[Row]) -> tuple[Pair, ...]:
    """Return disjoint pairs of rows with equal absolute values, in order, where pairing saves an instruction.

    A pair with k nonzeros a row takes k instructions instead of 2 (k - 1), so k of at least 3 is asked for.

    Examples
    --------
    >>> one, four = Fraction(1), Fraction(4)
    >>> find_pairs([(one, -four, one), (one, four, one), (one, one, one)])
    (Pair(first=0, second=1),)
    """
    pairs = []
    waiting: dict[Row, int] = {}
    for number, row in enumerate(rows):
        key = tuple(abs(entry) for entry in row)
        if sum(entry != 0 for entry in row) < 3:
            continue
        if key in waiting:
            pairs.append(Pair(waiting.pop(key), number))
        else:
            waiting[key] = number
    return tuple(pairs)


def is_pair(first: Row, second: Row) -> bool:
    """Return whether two rows have the same absolute values: pairing columns may have changed that.

    Examples
    --------
    >>> is_pair((Fraction(1), Fraction(-2)), (Fraction(1), Fraction(2)))
    True
    """
    return all(abs(a) == abs(b) for a, b in zip(first, second, strict=True))


def split(first: Row, second: Row) -> tuple[Row, Row]:
    """Return the part of ``first`` that agrees with ``second`` and the part that is its negative.

    Examples
    --------
    >>> split((Fraction(1), Fraction(2)), (Fraction(1), Fraction(-2)))
    ((Fraction(1, 1), Fraction(0, 1)), (Fraction(0, 1), Fraction(2, 1)))
    """
    zero = Fraction(0)
    even = tuple(a if a == b else zero for a, b in zip(first, second, strict=True))
    odd = tuple(a if a != b else zero for a, b in zip(first, second, strict=True))
    return even, odd


def transpose(rows: Sequence[Row]) -> Rows:
    """Return the transposed matrix."""
    return tuple(zip(*rows, strict=True))
