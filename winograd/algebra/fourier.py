"""Fourier transforms as members of the family: their real forms are CRT algorithms over the factors of x^n - 1.

In: sizes. Out: proved `BilinearAlgorithm` objects with real matrices. Refused: tiles shorter than the transform.
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm, checked_sizes
from winograd.algebra.crt import Inverses, crt
from winograd.algebra.moduli import Modulus
from winograd.algebra.residues import ComplexProduct, ResidueProduct, SchoolbookProduct, ToomCookProduct

_X = sympy.Symbol("x")


def regular_fft(m: int, r: int) -> BilinearAlgorithm:
    r"""Return F(m, r) by a Fourier transform of length n = m + r - 1, complex products by four multiplications.

    The moduli are x - 1, x + 1 for even n, and x^2 - 2 cos(2 pi k / n) x + 1: a real number and, for every pair of
    conjugate roots of unity, one complex number.

    Parameters
    ----------
    m, r : int
        As in `toom_cook`. The field holds sines and cosines of 2 pi / n: where its degree is high,
        at n = 11, 13 and most n above 16, the proof takes long.

    References
    ----------
    A. Zlateski et al., FFT convolutions are faster than Winograd on modern CPUs, arXiv 1809.07851: "Regular-FFT".

    Examples
    --------
    >>> regular_fft(2, 3).rank  # 1 + 1 + 4
    6
    """
    return _fft(m, r, ComplexProduct(SchoolbookProduct()))


def gauss_fft(m: int, r: int) -> BilinearAlgorithm:
    """Return F(m, r) by a Fourier transform, complex products by three multiplications; see `regular_fft`.

    References
    ----------
    A. Zlateski et al., arXiv 1809.07851: "Gauss-FFT".

    Examples
    --------
    >>> gauss_fft(2, 3).rank  # 1 + 1 + 3
    5
    """
    return _fft(m, r, ComplexProduct())


def symbolic_fourier(m: int, r: int, length: int = 6) -> BilinearAlgorithm:
    """Return F(m, r) by a Fourier transform of a length whose factors over Q are at most quadratic, with corrections.

    The factors of x^length - 1 settle ``length`` coefficients of the product; x and INFINITY settle the others. The
    inverses are in the data transform, so that ``at`` and ``g`` hold 0 and +-1 only, up to one factor a row.

    Parameters
    ----------
    m, r : int
        m + r - 1 is at least ``length``.
    length : int
        3, 4 or 6.

    Raises
    ------
    ValueError
        For another length, or a tile that is shorter.

    References
    ----------
    L. He et al., SFC: Achieve accurate fast convolution under low-precision arithmetic, arXiv 2407.02913.

    Examples
    --------
    >>> symbolic_fourier(6, 3)
    <F(6,3) mod x,x-1,x+1,x^2-x+1,x^2+x+1,inf, 10 multiplications>
    """
    m, r = checked_sizes(m, r)
    if length not in (3, 4, 6):
        raise ValueError(f"length is {length}, must be 3, 4 or 6")
    missing = m + r - 1 - length
    if missing < 0:
        raise ValueError(f"F({m},{r}) has a tile of {m + r - 1}, shorter than the transform of length {length}")
    cyclic = [_modulus(factor) for factor, _ in sympy.factor_list(_X**length - 1)[1]]
    infinite = [Modulus((), missing - missing // 2)] if missing else []
    finite = [_modulus(_X ** (missing // 2))] if missing > 1 else []
    return crt(m, r, [*finite, *cyclic, *infinite], inverses=Inverses.DATA)


def _fft(m: int, r: int, product: ResidueProduct) -> BilinearAlgorithm:
    m, r = checked_sizes(m, r)
    moduli = list(_real_factors(m + r - 1))
    fits = min(m, r) > 1
    products = [product if modulus.degree == 2 and fits else ToomCookProduct() for modulus in moduli]
    return crt(m, r, moduli, products)


def _real_factors(length: int) -> Iterator[Modulus]:
    """Yield the factors of x^length - 1 over the reals."""
    yield _modulus(_X - 1)
    if length % 2 == 0:
        yield _modulus(_X + 1)
    for k in range(1, (length + 1) // 2):
        yield Modulus((sympy.Integer(1), -2 * sympy.cos(2 * sympy.pi * k / length), sympy.Integer(1)), 2)


def _modulus(polynomial: sympy.Expr) -> Modulus:
    coefficients = sympy.Poly(polynomial, _X).all_coeffs()[::-1]
    return Modulus(tuple(coefficients), len(coefficients) - 1)
