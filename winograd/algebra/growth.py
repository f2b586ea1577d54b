"""How much an algorithm amplifies independent relative errors of its products: an exact property of its matrices."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows


@lru_cache(maxsize=4096)
def kappa(algorithm: BilinearAlgorithm) -> Fraction:
    r"""Return kappa = (1 / (m r)) sum_t \|A_t\|^2 \|G_t\|^2 \|B_t\|^2, the mean squared amplification, exactly.

    A_t is column t of ``at``, G_t and B_t are rows of ``g`` and ``bt``. It is invariant under diagonal scaling, and the
    kappa of a nested algorithm is the product over its axes. Direct convolution has 1.

    Raises
    ------
    NotImplementedError
        If an entry is not rational.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> kappa(toom_cook(1, 3)), kappa(toom_cook(2, 3, "0,1,-1,inf"))
    (Fraction(1, 1), Fraction(5, 3))
    """
    columns = zip(*fraction_rows(algorithm.at), strict=True)
    rows = zip(columns, fraction_rows(algorithm.g), fraction_rows(algorithm.bt), strict=True)
    total = sum((_square(a) * _square(g) * _square(b) for a, g, b in rows), start=Fraction(0))
    return total / (algorithm.m * algorithm.r)


def _square(entries: tuple[Fraction, ...]) -> Fraction:
    return sum((entry * entry for entry in entries), start=Fraction(0))
