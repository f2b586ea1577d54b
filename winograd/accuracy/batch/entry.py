"""`Entry`: an exact number that knows which entry of a matrix, or which ratio of two, it is.

In: exact numbers and their places. Out: numbers that lowering treats as Fractions.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

Place = tuple[int, int]
"""Row and column."""

Ratio = tuple[Place, Place]
"""The places of the entry that is divided and of the one it is divided by."""


class Source(NamedTuple):
    """The entry at one place, divided by that at another where there is one."""

    above: Place
    below: Place | None = None


class Entry(Fraction):
    """Plus or minus an entry of a matrix, or a ratio of two; divisions are written down in ``ratios``.

    Examples
    --------
    >>> ratios = {}
    >>> five, two = (Entry.of(Fraction(value), (0, place), ratios) for place, value in enumerate((5, 2)))
    >>> -(five / two), (-(five / two)).sign, list(ratios)
    (Entry(-5, 2), -1, [((0, 0), (0, 1))])
    """

    __slots__ = ("ratios", "sign", "source")

    source: Source
    sign: int
    ratios: dict[Ratio, None]

    @classmethod
    def of(cls, value: Fraction, place: Place, ratios: dict[Ratio, None]) -> Entry:
        """Return the entry of this value at a place."""
        return cls._made(value, Source(place), 1, ratios)

    @classmethod
    def _made(cls, value: Fraction, source: Source, sign: int, ratios: dict[Ratio, None]) -> Entry:
        made = cls(value)
        made.source, made.sign, made.ratios = source, sign, ratios
        return made

    def __abs__(self) -> Entry:
        return -self if self < 0 else self

    def __neg__(self) -> Entry:
        return self._made(Fraction(-self.numerator, self.denominator), self.source, -self.sign, self.ratios)

    def __truediv__(self, other: Any) -> Any:
        if not isinstance(other, Entry):
            return NotImplemented
        ratio = self.source.above, other.source.above
        self.ratios[ratio] = None
        quotient = Fraction(self.numerator, self.denominator) / Fraction(other.numerator, other.denominator)
        return self._made(quotient, Source(*ratio), self.sign * other.sign, self.ratios)
