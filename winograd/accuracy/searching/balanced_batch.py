"""Predicted errors of many algorithms whose rows are balanced by powers of two, as float16 asks: see `balanced`.

In: exact algorithms of one size and rank, each the same on every axis. Out: predicted relative L2 errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from winograd.accuracy.batch.matrices import Batch
from winograd.accuracy.batch.nested import relative_l2
from winograd.accuracy.formats import float_format
from winograd.accuracy.linear import Matrix
from winograd.accuracy.model import predict_error
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import Experiment
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.forms import balanced
from winograd.algebra.nesting import nest


def predict_balanced(
    algorithms: Sequence[BilinearAlgorithm], *, ndim: int, dtype: str, experiment: Experiment, order: Order
) -> Matrix:
    """Return ``predict_error(nest(*[balanced(algorithm)] * ndim), ...).relative_l2`` of each; nan where not finite.

    Examples
    --------
    >>> from winograd import toom_cook
    >>> from winograd.accuracy.protocol import STANDARD
    >>> setting = {"ndim": 1, "dtype": "float16", "experiment": STANDARD, "order": Order.HUFFMAN}
    >>> [f"{error:.0e}" for error in predict_balanced([toom_cook(2, 3)], **setting)]
    ['5e-04']
    """
    chosen = [balanced(algorithm) for algorithm in algorithms]
    if dtype == "float64":  # where constants in float64 say nothing about their own rounding
        setting: dict[str, Any] = {"dtype": dtype, "experiment": experiment, "order": order}
        return np.array([predict_error(nest(*[one] * ndim), **setting).relative_l2 for one in chosen])
    batch = Batch.of_algorithms(chosen)
    return relative_l2(batch, ndim, float_format(dtype), experiment, order)
