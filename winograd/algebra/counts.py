"""`count`: what an algorithm costs, exactly, against the least possible and against direct convolution.

In: an algorithm or a nest of them. Out: `AlgorithmCounts`, integers and Fractions, for the whole and for each axis.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import gcd, lcm, prod

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested


@dataclass(frozen=True, slots=True)
class MatrixCounts:
    """What a matrix, or the Kronecker product of one for each axis, is made of.

    Parameters
    ----------
    nonzeros : int
        Entries that are not zero.
    constants : int or None
        Entries that are neither zero nor plus or minus a power of two, of which 1 is one: they cost a multiplication.
        None for a Kronecker product with irrational entries.
    denominator : int or None
        Lowest common denominator of the entries; None where one is irrational.
    largest : sympy.Expr or None
        Largest absolute value of an entry, exact; None where an entry holds a symbol.
    """

    nonzeros: int
    constants: int | None
    denominator: int | None
    largest: sympy.Expr | None


@dataclass(frozen=True, slots=True)
class AlgorithmCounts:
    """Multiplications of an algorithm, and what its matrices are made of.

    Parameters
    ----------
    m, r : tuple of int
        Outputs and taps per axis.
    multiplications : int
        The rank.
    at, g, bt : MatrixCounts
        Of the matrices; of their Kronecker products where there are several axes.
    axes : tuple of AlgorithmCounts
        The same for each axis; empty where there is only one.
    """

    m: tuple[int, ...]
    r: tuple[int, ...]
    multiplications: int
    at: MatrixCounts
    g: MatrixCounts
    bt: MatrixCounts
    axes: tuple[AlgorithmCounts, ...] = ()

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return prod(self.m)

    @property
    def minimal(self) -> int:
        """Least number of multiplications, the product of m + r - 1 over the axes."""
        return prod(m + r - 1 for m, r in zip(self.m, self.r, strict=True))

    @property
    def direct(self) -> int:
        """Multiplications of direct convolution, the product of m r over the axes."""
        return prod(self.m) * prod(self.r)

    @property
    def per_output(self) -> Fraction:
        """Multiplications per output."""
        return Fraction(self.multiplications, self.outputs)

    @property
    def minimal_per_output(self) -> Fraction:
        """Least multiplications per output."""
        return Fraction(self.minimal, self.outputs)

    @property
    def direct_per_output(self) -> Fraction:
        """Multiplications per output of direct convolution, the number of taps."""
        return Fraction(self.direct, self.outputs)

    @property
    def over_minimal(self) -> Fraction:
        """Multiplications divided by the least number, at least 1."""
        return Fraction(self.multiplications, self.minimal)

    @property
    def over_direct(self) -> Fraction:
        """Multiplications divided by those of direct convolution."""
        return Fraction(self.multiplications, self.direct)

    @property
    def label(self) -> str:
        """Short name in the field's notation, such as F(4x4,3x3)."""
        return f"F({'x'.join(map(str, self.m))},{'x'.join(map(str, self.r))})"

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The table's rows under its `HEADER`: each axis, then the whole."""
        return tuple(_row(part) for part in (*self.axes, self))

    def __repr__(self) -> str:
        return (
            f"<counts of {self.label}: {self.multiplications} multiplications, {self.per_output} per output, "
            f"{self.over_minimal} of the minimum, {_percent(self.over_direct)} of direct>"
        )

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(HEADER, *self.rows, strict=True)]
        lines = ["  ".join(map(str.rjust, row, widths)) for row in (HEADER, *self.rows)]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in HEADER)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(x)}</td>" for x in row) + "</tr>" for row in self.rows)
        return f"<table><caption>{html.escape(repr(self)[1:-1])}</caption><tr>{head}</tr>{body}</table>"


HEADER = (
    "algorithm",
    "products",
    "per output",
    "of minimum",
    "of direct",
    "nonzeros at, g, bt",
    "constants",
    "denominators",
    "largest",
)
"""Columns of the table; the last four hold one figure for each of ``at``, ``g`` and ``bt``."""


def count(algorithm: BilinearAlgorithm | NestedAlgorithm) -> AlgorithmCounts:
    """Count the multiplications of an algorithm and the entries of its matrices.

    Raises
    ------
    TypeError
        If it is neither a BilinearAlgorithm nor a NestedAlgorithm.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> counts = count(toom_cook(4, 3, "0,1,-1,2,-2,inf"))
    >>> counts
    <counts of F(4,3): 6 multiplications, 3/2 per output, 1 of the minimum, 50.0 % of direct>
    >>> counts.g
    MatrixCounts(nonzeros=14, constants=12, denominator=24, largest=1)
    """
    axes = as_nested(algorithm).axes
    whole = _counts(axes)
    if len(axes) == 1:
        return whole
    return AlgorithmCounts(
        m=whole.m,
        r=whole.r,
        multiplications=whole.multiplications,
        at=whole.at,
        g=whole.g,
        bt=whole.bt,
        axes=tuple(_counts([axis]) for axis in axes),
    )


def _counts(axes: Sequence[BilinearAlgorithm]) -> AlgorithmCounts:
    return AlgorithmCounts(
        m=tuple(axis.m for axis in axes),
        r=tuple(axis.r for axis in axes),
        multiplications=prod(axis.rank for axis in axes),
        at=_matrix_counts([axis.at for axis in axes]),
        g=_matrix_counts([axis.g for axis in axes]),
        bt=_matrix_counts([axis.bt for axis in axes]),
    )


def _matrix_counts(matrices: Sequence[sympy.ImmutableMatrix]) -> MatrixCounts:
    """Count the entries of the Kronecker product without forming it."""
    entries = [[entry for entry in matrix if entry != 0] for matrix in matrices]
    nonzeros = prod(map(len, entries))
    if all(entry.is_Rational for matrix in entries for entry in matrix):
        rational = [[Fraction(int(entry.p), int(entry.q)) for entry in matrix] for matrix in entries]
        return MatrixCounts(
            nonzeros=nonzeros,
            constants=nonzeros - _powers_of_two(rational),
            # The greatest common divisor of a Kronecker product is the product of those of its factors.
            denominator=prod(map(_content, rational), start=Fraction(1)).denominator,
            largest=prod((_largest(matrix) for matrix in entries), start=sympy.Integer(1)),
        )
    numeric = all(entry.is_number for matrix in entries for entry in matrix)
    return MatrixCounts(
        nonzeros=nonzeros,
        constants=sum(not _is_power_of_two(entry) for entry in entries[0]) if len(entries) == 1 else None,
        denominator=None,
        largest=prod((_largest(matrix) for matrix in entries), start=sympy.Integer(1)) if numeric else None,
    )


def _largest(entries: Sequence[sympy.Expr]) -> sympy.Expr:
    return max(map(abs, entries), default=sympy.Integer(0))


def _content(entries: Sequence[Fraction]) -> Fraction:
    """Return the greatest rational that every entry is an integer multiple of."""
    return Fraction(gcd(*(entry.numerator for entry in entries)), lcm(*(entry.denominator for entry in entries)))


def _powers_of_two(matrices: Sequence[Sequence[Fraction]]) -> int:
    """Return how many products of one entry of each matrix are plus or minus a power of two."""
    odd_parts = sorted((Counter(map(_odd_part, entries)) for entries in matrices), key=len)
    *others, last = odd_parts
    combined = reduce(_products, others, Counter({Fraction(1): 1}))
    return sum(times * last[1 / odd_part] for odd_part, times in combined.items())


def _products(first: Counter[Fraction], second: Counter[Fraction]) -> Counter[Fraction]:
    products: Counter[Fraction] = Counter()
    for a, a_times in first.items():
        for b, b_times in second.items():
            products[a * b] += a_times * b_times
    return products


def _odd_part(value: Fraction) -> Fraction:
    """Return the absolute value without its factors of two."""
    numerator, denominator = abs(value.numerator), value.denominator
    return Fraction(numerator // (numerator & -numerator), denominator // (denominator & -denominator))


def _is_power_of_two(entry: sympy.Expr) -> bool:
    return bool(entry.is_Rational) and _odd_part(Fraction(int(entry.p), int(entry.q))) == 1


def _row(counts: AlgorithmCounts) -> tuple[str, ...]:
    matrices = (counts.at, counts.g, counts.bt)
    return (
        counts.label,
        str(counts.multiplications),
        str(counts.per_output),
        str(counts.over_minimal),
        _percent(counts.over_direct),
        _joined([matrix.nonzeros for matrix in matrices]),
        _joined([matrix.constants for matrix in matrices]),
        _joined([matrix.denominator for matrix in matrices]),
        _joined([matrix.largest for matrix in matrices]),
    )


def _joined(figures: Sequence[object]) -> str:
    return ", ".join("-" if figure is None else str(figure) for figure in figures)


def _percent(ratio: Fraction) -> str:
    """Write a ratio in per cent, rounded to one decimal."""
    return f"{float(100 * ratio):.1f} %"
