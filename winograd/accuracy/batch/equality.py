"""Which numbers of a candidate are equal: what decides the shape of its programs.

In: nonnegative float64 arrays, one row a candidate. Out: labels, and the candidates of equal labels together.
Numbers closer than `CLOSE` count as equal: those that are equal exactly differ by a few units in the last place, and
short rationals that differ are further apart. A wrong guess costs a little accuracy of a predicted figure, no more.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.linear import Matrix

CLOSE: Final = 2.0**-44
"""Relative distance up to which two float64 numbers stand for the same one."""

Labels = NDArray[np.int16]


def equal_classes(values: Matrix) -> Labels:
    """Return for every number the first place of the row where it stands.

    Examples
    --------
    >>> equal_classes(np.array([[2.0, 0.1, 0.1 * (1 + 2.0**-52), 2.0, 0.0]])).tolist()
    [[0, 1, 1, 0, 4]]
    """
    count, size = values.shape
    order = np.argsort(values, axis=1)
    ascending = np.take_along_axis(values, order, axis=1)
    begins = np.ones((count, size), dtype=bool)
    begins[:, 1:] = ascending[:, 1:] > ascending[:, :-1] * (1 + CLOSE)
    starts = np.flatnonzero(begins)
    first = np.minimum.reduceat(order.ravel(), starts)
    labels = np.empty((count, size), dtype=np.int16)
    spread = np.repeat(first, np.diff(np.append(starts, count * size)))
    np.put_along_axis(labels, order, spread.reshape(count, size).astype(np.int16), axis=1)
    return labels


def grouped(labels: Labels) -> dict[bytes, NDArray[np.intp]]:
    """Return the numbers of the rows of equal labels, in order, by the bytes of these.

    Examples
    --------
    >>> [rows.tolist() for rows in grouped(np.array([[1, 2], [1, 1], [1, 2]], dtype=np.int16)).values()]
    [[0, 2], [1]]
    """
    found: dict[bytes, list[int]] = {}
    for number, row in enumerate(np.ascontiguousarray(labels)):
        found.setdefault(row.tobytes(), []).append(number)
    return {key: np.array(rows) for key, rows in found.items()}


def mantissas(values: Matrix) -> tuple[Matrix, Matrix]:
    """Return size and power of two of numbers, with its sign: sizes from 1 to 2, exactly 1 within `CLOSE` of it.

    Examples
    --------
    >>> [part.tolist() for part in mantissas(np.array([-0.75, 4.0, 1 - 2.0**-53, 0.0]))]
    [[1.5, 1.0, 1.0, 0.0], [-0.5, 4.0, 1.0, 0.5]]
    """
    sizes, exponents = np.frexp(np.abs(values) * (1 + CLOSE))
    sizes = 2 * sizes / (1 + CLOSE)
    return np.where(sizes <= 1 + CLOSE, np.sign(sizes), sizes), np.copysign(np.ldexp(0.5, exponents), values)


def powers_of_two(values: Matrix) -> NDArray[np.bool_]:
    """Say which numbers are plus or minus a power of two, those within `CLOSE` of one included.

    Examples
    --------
    >>> powers_of_two(np.array([-0.25, 3.0, 0.0])).tolist()
    [True, False, False]
    """
    return np.asarray(mantissas(values)[0] == 1)
