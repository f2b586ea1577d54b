"""`BilinearAlgorithm`: the matrices of F(m, r) together with the proof that they compute a convolution.

In: three exact matrices. Out: an immutable, hashable object whose law was proved when it was made.
Refused: wrong shapes, inexact entries, and matrices that break the law, with the first wrong entry of the tensor.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from math import lcm, prod
from typing import Any

import sympy
from sympy.polys.constructor import construct_domain
from sympy.polys.domains import QQ

from winograd.algebra.moduli import Modulus
from winograd.algebra.points import INFINITY, Point, as_point
from winograd.quoting import quote

MAX_TILE = 64
"""Largest tile m + r - 1 on one axis."""

_NOT_FINITE = (sympy.nan, sympy.zoo, sympy.oo, -sympy.oo)

FractionRows = tuple[tuple[Fraction, ...], ...]

Matrices = dict[str, sympy.ImmutableMatrix]
"""Three matrices by name, in the order of their law: the one summed over its columns, then the two over their rows."""


class ProofError(ValueError):
    """The matrices do not compute a convolution: the law fails at the entry that the message names."""


@dataclass(frozen=True, slots=True)
class BilinearAlgorithm:
    r"""An algorithm of the form y = at @ ((g @ w) * (bt @ d)) for the FIR filter F(m, r).

    The law, proved on construction for every entry: sum_t at[i, t] g[t, k] bt[t, j] = 1 if j = i + k else 0.

    Parameters
    ----------
    m : int
        Number of outputs, at least 1.
    r : int
        Number of filter taps, at least 1; the tile m + r - 1 is at most `MAX_TILE`.
    at : matrix of shape (m, rank)
        Inverse transform, exact: sympy matrix or nested sequences of int, Fraction, sympy numbers or "p/q".
    g : matrix of shape (rank, r)
        Filter transform, exact.
    bt : matrix of shape (rank, m + r - 1)
        Data transform, exact.
    points : tuple of Point, optional
        Where the matrices come from, for display; it takes no part in comparison.
    moduli, products : tuple, optional
        Likewise, for an algorithm made by `winograd.crt`: its moduli, and how residues are multiplied modulo each.

    Raises
    ------
    TypeError
        If m or r is not an integer, something is no matrix, or an entry is not exact.
    ValueError
        If a size or a shape is out of range, or an entry is not finite.
    ProofError
        If the law fails; names the first wrong entry and the deviation.

    Examples
    --------
    >>> identity = BilinearAlgorithm(m=1, r=2, at=[[1, 1]], g=[[1, 0], [0, 1]], bt=[[1, 0], [0, 1]])
    >>> identity.rank, identity.tile
    (2, 2)
    >>> BilinearAlgorithm(m=1, r=2, at=[[1, 2]], g=[[1, 0], [0, 1]], bt=[[1, 0], [0, 1]])
    Traceback (most recent call last):
    ...
    winograd.algebra.bilinear.ProofError: F(1,2): sum_t at[0,t] g[t,1] bt[t,1] is 2, must be 1 (deviation 1)
    """

    m: int
    r: int
    at: sympy.ImmutableMatrix
    g: sympy.ImmutableMatrix
    bt: sympy.ImmutableMatrix
    points: tuple[Point, ...] = field(default=(), compare=False)
    moduli: tuple[Modulus, ...] = field(default=(), compare=False)
    products: tuple[object, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        m, r = checked_sizes(self.m, self.r)
        object.__setattr__(self, "m", m)
        object.__setattr__(self, "r", r)
        for name in ("at", "g", "bt"):
            object.__setattr__(self, name, exact_matrix(name, getattr(self, name)))
        check_shapes(self._label, self._matrices, (self.m, self.r, self.tile))
        self.verify()

    @property
    def _label(self) -> str:
        return f"F({self.m},{self.r})"

    @property
    def _matrices(self) -> Matrices:
        return {"at": self.at, "g": self.g, "bt": self.bt}

    @property
    def tile(self) -> int:
        """Number of inputs, m + r - 1."""
        return self.m + self.r - 1

    @property
    def rank(self) -> int:
        """Number of multiplications."""
        return int(self.at.cols)

    @property
    def digest(self) -> str:
        """SHA-256 of the sizes and the matrices as hexadecimal text, the same in every process."""
        return digest_of(self._label, self._matrices)

    def verify(self) -> None:
        """Prove the law, entry by entry, in exact arithmetic.

        Raises
        ------
        ProofError
            If an entry is wrong; names the first one in the order (i, k, j), and the deviation.
        """
        prove(self._label, self._matrices, lambda i, k, j: j == i + k)

    def __repr__(self) -> str:
        from winograd.algebra.origin import made_of  # which makes algorithms

        listed = made_of(self)
        where = f" {'mod' if self.moduli else 'at'} {listed}" if listed else ""
        return f"<F({self.m},{self.r}){where}, {self.rank} multiplications>"

    def _repr_latex_(self) -> str:
        return latex_of({"A^T": self.at, "G": self.g, "B^T": self.bt})


def checked_sizes(m: object, r: object) -> tuple[int, int]:
    """Return m and r as ints, or raise the error that names what is wrong with them.

    Raises
    ------
    TypeError
        If one is not an integer (a bool is not).
    ValueError
        If one is below 1 or the tile is above `MAX_TILE`.
    """
    sizes = checked_size("m", m), checked_size("r", r)
    if sum(sizes) - 1 > MAX_TILE:
        raise ValueError(f"F({sizes[0]},{sizes[1]}) has a tile of {sum(sizes) - 1}, at most {MAX_TILE} is allowed")
    return sizes


def checked_size(name: str, value: object) -> int:
    """Return the value as an int of at least 1, or raise a TypeError or ValueError that names it."""
    if isinstance(value, bool) or type(value).__name__ == "bool_":
        raise TypeError(f"{name} is {quote(value)}, must be an integer of at least 1")
    try:
        size = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} is {quote(value)}, must be an integer of at least 1") from None
    if size < 1:
        raise ValueError(f"{name} is {quote(size)}, must be at least 1")
    return size


def exact_matrix(name: str, value: Any) -> sympy.ImmutableMatrix:
    """Return a matrix of exact entries; TypeError or ValueError naming the matrix where an entry is not exact."""
    if isinstance(value, sympy.ImmutableMatrix) and not value.has(sympy.Float, *_NOT_FINITE):
        return value
    try:
        rows = [list(row) for row in (value.tolist() if hasattr(value, "tolist") else value)]
    except TypeError:
        raise TypeError(
            f"{name} of type {type(value).__name__} is no matrix; give a sympy matrix or a sequence of rows"
        ) from None
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"{name} has rows of different lengths, {', '.join(str(len(row)) for row in rows)}")
    return sympy.ImmutableMatrix([[_exact_entry(name, entry) for entry in row] for row in rows])


def _exact_entry(name: str, value: object) -> sympy.Expr:
    try:
        entry = as_point(value)
    except TypeError as error:
        raise TypeError(f"{name} has an entry that is no exact number: {error}") from None
    except ValueError as error:
        raise ValueError(f"{name} has an entry that is no exact number: {error}") from None
    if entry is INFINITY:
        raise ValueError(f"{name} has an entry that is no exact number: inf; entries must be finite")
    return entry


def check_shapes(label: str, matrices: Matrices, sizes: tuple[int, int, int]) -> None:
    """Refuse matrices that are not (sizes[0], rank), (rank, sizes[1]) and (rank, sizes[2]), with a ValueError."""
    rank = next(iter(matrices.values())).cols
    allowed = ((sizes[0], rank), (rank, sizes[1]), (rank, sizes[2]))
    for (name, matrix), shape in zip(matrices.items(), allowed, strict=True):
        if matrix.shape != shape:
            raise ValueError(f"{name} of shape {matrix.shape}; {label} of rank {rank} needs {shape}")


def digest_of(label: str, matrices: Matrices) -> str:
    """Return the SHA-256 of a label and of every entry, as hexadecimal text."""
    spelled = ";".join(",".join(map(str, matrix)) for matrix in matrices.values())
    return hashlib.sha256(f"{label}|{spelled}".encode()).hexdigest()


def latex_of(matrices: Matrices) -> str:
    """Return ``name = matrix`` for every matrix, as LaTeX in display style."""
    body = r",\quad ".join(f"{name} = {sympy.latex(matrix)}" for name, matrix in matrices.items())
    return f"$\\displaystyle {body}$"


def prove(label: str, matrices: Matrices, is_one: Callable[[int, int, int], bool]) -> None:
    """Prove sum_t x[i,t] y[t,k] z[t,j] = 1 where ``is_one(i, k, j)`` and 0 elsewhere, for the three matrices x, y, z.

    Raises
    ------
    ProofError
        If an entry is wrong; names the first one in the order (i, k, j), and the deviation.
    """
    x, y, z = matrices
    for i, k, j, value in tensor_entries(*matrices.values()):
        expected = int(is_one(i, k, j))
        if value != expected:
            raise ProofError(
                f"{label}: sum_t {x}[{i},t] {y}[t,{k}] {z}[t,{j}] is {value}, "
                f"must be {expected} (deviation {value - expected})"
            )


def tensor_entries(
    at: sympy.ImmutableMatrix, g: sympy.ImmutableMatrix, bt: sympy.ImmutableMatrix
) -> Iterator[tuple[int, int, int, Any]]:
    """Yield ``(i, k, j, sum_t at[i,t] g[t,k] bt[t,j])`` for every entry of the trilinear tensor, exactly.

    Rational matrices are scaled to integers product by product; any other field goes through its sympy domain.
    """
    field_, flat = construct_domain([*at, *g, *bt], field=True, extension=True)
    rank = at.cols
    a = _rows(flat[: len(at)], rank)
    filter_ = _rows(flat[len(at) : len(at) + len(g)], g.cols)
    data = _rows(flat[len(at) + len(g) :], bt.cols)
    to_value = field_.to_sympy
    denominator = field_.one
    if field_ == QQ:
        a, filter_, data, denominator = _integers(a, filter_, data)
        to_value = Fraction
    for i in range(len(a)):
        used = [t for t in range(rank) if a[i][t]]
        for k in range(g.cols):
            products = [(t, a[i][t] * filter_[t][k]) for t in used if filter_[t][k]]
            for j in range(bt.cols):
                total = sum((factor * data[t][j] for t, factor in products if data[t][j]), start=0 * denominator)
                yield i, k, j, Fraction(int(total), denominator) if field_ == QQ else to_value(total)


def _rows(flat: Sequence[Any], columns: int) -> list[list[Any]]:
    return [list(flat[start : start + columns]) for start in range(0, len(flat), columns)]


def _integers(
    at: list[list[Any]], g: list[list[Any]], bt: list[list[Any]]
) -> tuple[list[list[int]], list[list[int]], list[list[int]], int]:
    """Scale the factors of every product to integers with one common denominator, which is returned last."""
    rank = len(g)
    columns = [[row[t] for row in at] for t in range(rank)]
    scales = [[_common(part) for part in parts] for parts in zip(columns, g, bt, strict=True)]
    denominator = lcm(*(prod(scale) for scale in scales))
    to_common = [denominator // (of_g * of_bt) for _, of_g, of_bt in scales]
    return (
        [[_times(x, factor) for x, factor in zip(row, to_common, strict=True)] for row in at],
        [[_times(x, scale[1]) for x in row] for row, scale in zip(g, scales, strict=True)],
        [[_times(x, scale[2]) for x in row] for row, scale in zip(bt, scales, strict=True)],
        denominator,
    )


def _common(entries: Sequence[Any]) -> int:
    return lcm(*(int(x.denominator) for x in entries))


def _times(x: Any, multiple: int) -> int:
    """Return x times a multiple of its denominator."""
    return int(x.numerator) * (multiple // int(x.denominator))


@lru_cache(maxsize=1024)
def fraction_rows(matrix: sympy.ImmutableMatrix) -> FractionRows:
    """Return a rational matrix as rows of Fractions.

    Raises
    ------
    NotImplementedError
        If an entry is not rational.

    Examples
    --------
    >>> fraction_rows(sympy.ImmutableMatrix([[1, sympy.Rational(1, 2)]]))
    ((Fraction(1, 1), Fraction(1, 2)),)
    """
    for entry in matrix:
        if not entry.is_Rational:
            raise NotImplementedError(f"entry {entry} is not rational; substitute numbers for symbols first")
    return tuple(tuple(Fraction(int(x.p), int(x.q)) for x in matrix.row(i)) for i in range(matrix.rows))
