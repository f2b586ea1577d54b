"""Data that the worst case has in mind: signs that make all terms of one product add up.

In: an algorithm. Out: signs of data and filter, for the product through which the most error can pass.
"""

from __future__ import annotations

from functools import reduce

import numpy as np

from winograd.accuracy.linear import Matrix
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm, as_nested


def adversarial_signs(algorithm: BilinearAlgorithm | NestedAlgorithm) -> tuple[Matrix, Matrix]:
    """Return signs of data, of shape (*tile,), and of filters, (*taps,), entries 1 and -1.

    Per axis they are those of rows t of bt and g, t the product with the largest
    max_o abs(at_ot) sum_k abs(g_tk) sum_j abs(bt_tj).

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> [signs.tolist() for signs in adversarial_signs(toom_cook(2, 3, "0,1,-1,inf"))]
    [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    data, filters = [], []
    for axis in as_nested(algorithm).axes:
        at, g, bt = (np.array(fraction_rows(matrix), dtype=np.float64) for matrix in (axis.at, axis.g, axis.bt))
        product = int((np.abs(at).max(axis=0) * np.abs(g).sum(axis=1) * np.abs(bt).sum(axis=1)).argmax())
        data.append(np.where(bt[product] < 0, -1.0, 1.0))
        filters.append(np.where(g[product] < 0, -1.0, 1.0))
    return reduce(np.multiply.outer, data), reduce(np.multiply.outer, filters)
