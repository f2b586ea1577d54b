"""`LinearConvolution`: the same algorithms in polynomial form, the exact transposes of the FIR filters.

In: three exact matrices, or a proved algorithm of the other form. Out: an immutable object whose law was proved when it
was made. Refused: wrong shapes, inexact entries, and matrices that break the law, with the first wrong entry.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy

from winograd.algebra.bilinear import (
    BilinearAlgorithm,
    Matrices,
    check_shapes,
    checked_sizes,
    digest_of,
    exact_matrix,
    latex_of,
    prove,
)
from winograd.algebra.residues import GivenProduct


@dataclass(frozen=True, slots=True)
class LinearConvolution:
    r"""An algorithm of the form s = c @ ((a @ x) * (b @ w)): the m + r - 1 coefficients of the product of x and w.

    The law, proved on construction for every entry: sum_t c[j, t] a[t, i] b[t, k] = 1 if j = i + k else 0.

    Parameters
    ----------
    m : int
        Number of coefficients of x, at least 1.
    r : int
        Number of coefficients of w, at least 1; m + r - 1 is at most `MAX_TILE`.
    a : matrix of shape (rank, m)
        Evaluation of x, exact: sympy matrix or nested sequences of int, Fraction, sympy numbers or "p/q".
    b : matrix of shape (rank, r)
        Evaluation of w, exact.
    c : matrix of shape (m + r - 1, rank)
        Interpolation, exact.

    Raises
    ------
    TypeError
        If m or r is not an integer, or an entry is not exact.
    ValueError
        If a size or a shape is out of range.
    ProofError
        If the law fails; names the first wrong entry and the deviation.

    References
    ----------
    R. E. Blahut, Fast Algorithms for Signal Processing, 2010, section 5.4 (the transposition principle).

    Examples
    --------
    >>> karatsuba = LinearConvolution(
    ...     m=2, r=2, a=[[1, 0], [1, 1], [0, 1]], b=[[1, 0], [1, 1], [0, 1]], c=[[1, 0, 0], [-1, 1, -1], [0, 0, 1]]
    ... )
    >>> karatsuba
    <linear convolution of 2 by 2 coefficients, 3 multiplications>
    >>> fir_form(karatsuba)
    <F(2,2), 3 multiplications>
    """

    m: int
    r: int
    a: sympy.ImmutableMatrix
    b: sympy.ImmutableMatrix
    c: sympy.ImmutableMatrix

    def __post_init__(self) -> None:
        m, r = checked_sizes(self.m, self.r)
        object.__setattr__(self, "m", m)
        object.__setattr__(self, "r", r)
        for name in ("a", "b", "c"):
            object.__setattr__(self, name, exact_matrix(name, getattr(self, name)))
        check_shapes(self._label, self._matrices, (self.length, self.m, self.r))
        self.verify()

    @property
    def _label(self) -> str:
        return f"linear convolution of {self.m} by {self.r} coefficients"

    @property
    def _matrices(self) -> Matrices:
        return {"c": self.c, "a": self.a, "b": self.b}

    @property
    def length(self) -> int:
        """Number of coefficients of the product, m + r - 1."""
        return self.m + self.r - 1

    @property
    def rank(self) -> int:
        """Number of multiplications."""
        return int(self.c.cols)

    @property
    def digest(self) -> str:
        """SHA-256 of the sizes and the matrices as hexadecimal text, the same in every process."""
        return digest_of(self._label, self._matrices)

    def verify(self) -> None:
        """Prove the law, entry by entry, in exact arithmetic.

        Raises
        ------
        ProofError
            If an entry is wrong; names the first one in the order (j, i, k), and the deviation.
        """
        prove(self._label, self._matrices, lambda j, i, k: j == i + k)

    def __repr__(self) -> str:
        return f"<{self._label}, {self.rank} multiplications>"

    def _repr_latex_(self) -> str:
        return latex_of({"C": self.c, "A": self.a, "B": self.b})


def linear_form(algorithm: BilinearAlgorithm) -> LinearConvolution:
    """Return the exact transpose of a FIR filter: a = at^T, b = g, c = bt^T, proved.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> linear_form(toom_cook(2, 2, "0,1,inf")).a
    Matrix([
    [1, 0],
    [1, 1],
    [0, 1]])
    """
    return LinearConvolution(m=algorithm.m, r=algorithm.r, a=algorithm.at.T, b=algorithm.g, c=algorithm.bt.T)


def fir_form(linear: LinearConvolution) -> BilinearAlgorithm:
    """Return the exact transpose of a linear convolution: at = a^T, g = b, bt = c^T, proved.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> fir_form(linear_form(toom_cook(4, 3))) == toom_cook(4, 3)
    True
    """
    return BilinearAlgorithm(m=linear.m, r=linear.r, at=linear.a.T, g=linear.b, bt=linear.c.T)


def exchanged(algorithm: BilinearAlgorithm) -> BilinearAlgorithm:
    """Return F(r, m) from F(m, r): x and w of the linear form change places, so at = g^T and g = at^T, proved.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> exchanged(toom_cook(4, 3))
    <F(3,4) at 0,5/8,-5/8,3/2,-3/2,inf (scaled), 6 multiplications>
    """
    products = tuple(
        GivenProduct(exchanged(product.algorithm)) if isinstance(product, GivenProduct) else product
        for product in algorithm.products
    )
    return replace(algorithm, m=algorithm.r, r=algorithm.m, at=algorithm.g.T, g=algorithm.at.T, products=products)
