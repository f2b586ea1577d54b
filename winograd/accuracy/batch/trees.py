"""Summation trees of many matrix rows at once; `winograd.accuracy.orders` has them for one row.

In: rows. Out: which two parts every step adds. Part k < columns is an entry, part columns + s is the sum of step s.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.batch.equality import CLOSE
from winograd.accuracy.linear import Matrix
from winograd.accuracy.orders import Order

Steps = NDArray[np.intp]
"""Pairs of parts, of shape (..., columns - 1, 2)."""


def summation_steps(rows: Matrix, order: Order) -> Steps:
    """Return the steps that add each row in an order, sequential or Huffman's.

    Parameters
    ----------
    rows : ndarray of shape (..., columns)

    Examples
    --------
    >>> summation_steps(np.array([4.0, -5.0, 1.0]), Order.HUFFMAN).tolist()
    [[2, 0], [3, 1]]
    """
    columns = rows.shape[-1]
    if order is Order.HUFFMAN:
        found = _huffman_steps(np.abs(rows).reshape(-1, columns))
        return found.reshape(*rows.shape[:-1], columns - 1, 2)
    steps = np.array([(columns + step - 1 if step else 0, step + 1) for step in range(columns - 1)], dtype=np.intp)
    return np.broadcast_to(steps.reshape(-1, 2), (*rows.shape[:-1], columns - 1, 2))


def _huffman_steps(sizes: Matrix) -> Steps:
    """Join the two smallest keys until one is left; of equal keys the one inserted last comes first."""
    count, columns = sizes.shape
    keys = np.full((count, 2 * columns - 1), np.inf)
    keys[:, :columns] = sizes
    steps = np.empty((count, columns - 1, 2), dtype=np.intp)
    every = np.arange(count)
    for step in range(columns - 1):
        product = np.ones(count)
        for side in range(2):
            part = _smallest(keys[:, : columns + step])
            product *= keys[every, part]
            keys[every, part] = np.inf
            steps[:, step, side] = part
        keys[:, columns + step] = product
    return steps


def _smallest(keys: Matrix) -> NDArray[np.intp]:
    """Return the last of the keys that are the smallest of their row."""
    least = keys.min(axis=1, keepdims=True)
    return np.asarray(keys.shape[1] - 1 - np.argmax((keys <= least * (1 + CLOSE))[:, ::-1], axis=1))
