"""F inside F on one axis: an outer algorithm whose multiplications are convolutions by an inner algorithm.

In: two proved algorithms. Out: one for more outputs and more taps, proved, of rank at most the product of the ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm, checked_sizes

Place = tuple[int, int]
"""An index as (of its block, inside its block)."""


def iterate(outer: BilinearAlgorithm, inner: BilinearAlgorithm, r: int | None = None) -> BilinearAlgorithm:
    r"""Return ``inner`` inside ``outer``: F(b (m1 - 1) + m2, b (r1 - 1) + r2) from F(m1, r1) outside F(m2, r2).

    Outputs, taps and samples are cut into blocks that begin b apart, index = b block + place, and the algorithm is the
    Kronecker product of the two, with the samples that blocks share added up: since (i1 + k1 = j1 and i2 + k2 = j2)
    implies (b i1 + i2) + (b k1 + k2) = b j1 + j2, the law of the whole follows from the two laws for any choice of
    block and place. For every index to have one, b is the smaller of m2 and r2 (of r2 alone where m1 is 1, of m2 alone
    where r1 is 1). The classical case is m2 = r2 = b: F(b, b) inside F(m1, r1) is F(b m1, b r1).

    Parameters
    ----------
    outer, inner : BilinearAlgorithm
        F(m1, r1), whose numbers are blocks, and F(m2, r2), which works inside the blocks.
    r : int, optional
        Number of taps if fewer than all are needed: the last ones are left out, and so are the products that vanish.

    Returns
    -------
    BilinearAlgorithm
        Of rank R1 R2, less the products that vanish.

    Raises
    ------
    TypeError, ValueError
        If r is no integer, or out of range, or the tile is above `MAX_TILE`.

    References
    ----------
    R. C. Agarwal and C. S. Burrus, Fast one-dimensional digital convolution by multidimensional techniques, IEEE Trans.
    Acoustics, Speech, and Signal Processing 22(1), 1974.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> karatsuba = toom_cook(2, 2, "0,1,inf")
    >>> iterate(karatsuba, karatsuba)
    <F(4,4), 9 multiplications>
    """
    block = _block(outer, inner)
    m, most = block * (outer.m - 1) + inner.m, block * (outer.r - 1) + inner.r
    m, r = checked_sizes(m, most if r is None else r)
    if r > most:
        raise ValueError(
            f"r is {r}, must be at most the {most} taps of F({inner.m},{inner.r}) in F({outer.m},{outer.r})"
        )
    outputs = [_place(index, block, outer.m) for index in range(m)]
    taps = [_place(index, block, outer.r) for index in range(r)]
    columns, g, bt = [], [], []
    for first, second in product(range(outer.rank), range(inner.rank)):
        column = [outer.at[i1, first] * inner.at[i2, second] for i1, i2 in outputs]
        filter_ = [outer.g[first, k1] * inner.g[second, k2] for k1, k2 in taps]
        data = _overlap_add(outer.bt.row(first), inner.bt.row(second), block)[: m + r - 1]
        if all(any(vector) for vector in (column, filter_, data)):
            columns.append(column)
            g.append(filter_)
            bt.append(data)
    return BilinearAlgorithm(m=m, r=r, at=sympy.ImmutableMatrix(columns).T, g=g, bt=bt)


def _block(outer: BilinearAlgorithm, inner: BilinearAlgorithm) -> int:
    fitting = [inner.m] * (outer.m > 1) + [inner.r] * (outer.r > 1)
    return min(fitting, default=1)


def _place(index: int, block: int, blocks: int) -> Place:
    """Return the last block that holds the index, and the place in it; the last block may be longer than the others."""
    number = min(index // block, blocks - 1)
    return number, index - block * number


def _overlap_add(outer: Sequence[Any], inner: Sequence[Any], block: int) -> list[Any]:
    total = [sympy.Integer(0)] * (block * (len(outer) - 1) + len(inner))
    for (number, of_block), (place, of_place) in product(enumerate(outer), enumerate(inner)):
        total[block * number + place] += of_block * of_place
    return total
