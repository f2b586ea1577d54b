"""`CyclicConvolution`: products of polynomials modulo x^n - 1, and the filters that come out of them.

In: three exact matrices, or a linear convolution to fold. Out: an immutable object, proved when it was made.
Refused: wrong shapes, inexact entries, matrices that break the law, and lengths that are too short for a filter.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from winograd.algebra.bilinear import (
    MAX_TILE,
    BilinearAlgorithm,
    Matrices,
    check_shapes,
    checked_size,
    checked_sizes,
    digest_of,
    exact_matrix,
    latex_of,
    prove,
)
from winograd.algebra.linear import LinearConvolution


@dataclass(frozen=True, slots=True)
class CyclicConvolution:
    r"""An algorithm of the form s = c @ ((a @ x) * (b @ w)), where s_j is the sum of x_i w_k over j = i + k modulo n.

    The law, proved on construction for every entry: sum_t c[j, t] a[t, i] b[t, k] = 1 if j = i + k modulo n else 0.

    Parameters
    ----------
    n : int
        Number of coefficients of x, of w and of s, from 1 to `MAX_TILE`.
    a, b : matrix of shape (rank, n)
        Evaluation of x and of w, exact: sympy matrix or nested sequences of int, Fraction, sympy numbers or "p/q".
    c : matrix of shape (n, rank)
        Interpolation, exact.

    Raises
    ------
    TypeError
        If n is not an integer, or an entry is not exact.
    ValueError
        If a size or a shape is out of range.
    ProofError
        If the law fails; names the first wrong entry and the deviation.

    References
    ----------
    R. E. Blahut, Fast Algorithms for Signal Processing, 2010, sections 5.3 and 5.4.

    Examples
    --------
    >>> fourier = [[1, 1], [1, -1]]
    >>> CyclicConvolution(n=2, a=fourier, b=fourier, c=[["1/2", "1/2"], ["1/2", "-1/2"]])
    <cyclic convolution of length 2, 2 multiplications>
    """

    n: int
    a: sympy.ImmutableMatrix
    b: sympy.ImmutableMatrix
    c: sympy.ImmutableMatrix

    def __post_init__(self) -> None:
        n = checked_size("n", self.n)
        if n > MAX_TILE:
            raise ValueError(f"n is {n}, at most {MAX_TILE} is allowed")
        object.__setattr__(self, "n", n)
        for name in ("a", "b", "c"):
            object.__setattr__(self, name, exact_matrix(name, getattr(self, name)))
        check_shapes(self._label, self._matrices, (n, n, n))
        self.verify()

    @property
    def _label(self) -> str:
        return f"cyclic convolution of length {self.n}"

    @property
    def _matrices(self) -> Matrices:
        return {"c": self.c, "a": self.a, "b": self.b}

    @property
    def rank(self) -> int:
        """Number of multiplications."""
        return int(self.c.cols)

    @property
    def digest(self) -> str:
        """SHA-256 of the size and the matrices as hexadecimal text, the same in every process."""
        return digest_of(self._label, self._matrices)

    def verify(self) -> None:
        """Prove the law, entry by entry, in exact arithmetic.

        Raises
        ------
        ProofError
            If an entry is wrong; names the first one in the order (j, i, k), and the deviation.
        """
        prove(self._label, self._matrices, lambda j, i, k: j == (i + k) % self.n)

    def __repr__(self) -> str:
        return f"<{self._label}, {self.rank} multiplications>"

    def _repr_latex_(self) -> str:
        return latex_of({"C": self.c, "A": self.a, "B": self.b})


def cyclic_form(linear: LinearConvolution) -> CyclicConvolution:
    """Return the linear convolution of n by n coefficients folded modulo x^n - 1: row j of c takes row j + n, proved.

    Raises
    ------
    ValueError
        If x and w have different numbers of coefficients.

    Examples
    --------
    >>> from winograd.algebra.linear import linear_form
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> cyclic_form(linear_form(toom_cook(3, 3)))
    <cyclic convolution of length 3, 5 multiplications>
    """
    n = linear.m
    if linear.r != n:
        raise ValueError(f"{linear!r} cannot be folded, both factors must have the same number of coefficients")
    low, high = linear.c[:n, :], linear.c[n:, :].col_join(sympy.zeros(1, linear.rank))
    return CyclicConvolution(n=n, a=linear.a, b=linear.b, c=low + high)


def transpose(cyclic: CyclicConvolution) -> CyclicConvolution:
    """Return the exact transpose with respect to x: a and c^T change places, w runs backwards; twice is the identity.

    Examples
    --------
    >>> fourier = [[1, 1], [1, -1]]
    >>> cyclic = CyclicConvolution(n=2, a=fourier, b=fourier, c=[["1/2", "1/2"], ["1/2", "-1/2"]])
    >>> transpose(cyclic).c
    Matrix([
    [1,  1],
    [1, -1]])
    """
    return CyclicConvolution(n=cyclic.n, a=cyclic.c.T, b=_backwards(cyclic.b, cyclic.n), c=cyclic.a.T)


def overlap_save(cyclic: CyclicConvolution, m: int, r: int) -> BilinearAlgorithm:
    """Return F(m, r) out of a cyclic convolution of length n >= m + r - 1, proved.

    The data are padded with zeros to n, the taps run backwards from place 0, and the first m outputs are kept. The rank
    is that of the cyclic convolution.

    Raises
    ------
    TypeError
        If m or r is not an integer.
    ValueError
        If m or r is below 1, or m + r - 1 is above n.

    Examples
    --------
    >>> fourier = [[1, 1], [1, -1]]
    >>> cyclic = CyclicConvolution(n=2, a=fourier, b=fourier, c=[["1/2", "1/2"], ["1/2", "-1/2"]])
    >>> overlap_save(cyclic, 1, 2)
    <F(1,2), 2 multiplications>
    """
    m, r = _fitting(cyclic, m, r)
    return BilinearAlgorithm(m=m, r=r, at=cyclic.c[:m, :], g=_backwards(cyclic.b, r), bt=cyclic.a[:, : m + r - 1])


def zero_padded(cyclic: CyclicConvolution, m: int, r: int) -> LinearConvolution:
    """Return the linear convolution of m by r coefficients out of a cyclic one of length n >= m + r - 1, proved.

    Both factors are padded with zeros to n, so that nothing wraps around. Raises as `overlap_save`.

    Examples
    --------
    >>> fourier = [[1, 1], [1, -1]]
    >>> cyclic = CyclicConvolution(n=2, a=fourier, b=fourier, c=[["1/2", "1/2"], ["1/2", "-1/2"]])
    >>> zero_padded(cyclic, 2, 1)
    <linear convolution of 2 by 1 coefficients, 2 multiplications>
    """
    m, r = _fitting(cyclic, m, r)
    return LinearConvolution(m=m, r=r, a=cyclic.a[:, :m], b=cyclic.b[:, :r], c=cyclic.c[: m + r - 1, :])


def _fitting(cyclic: CyclicConvolution, m: int, r: int) -> tuple[int, int]:
    m, r = checked_sizes(m, r)
    if m + r - 1 > cyclic.n:
        raise ValueError(f"F({m},{r}) needs a cyclic convolution of length {m + r - 1} or more, got {cyclic.n}")
    return m, r


def _backwards(matrix: sympy.ImmutableMatrix, count: int) -> sympy.ImmutableMatrix:
    """Return the columns 0, -1, ..., -(count - 1)."""
    return matrix.extract(list(range(matrix.rows)), [-column % matrix.cols for column in range(count)])
