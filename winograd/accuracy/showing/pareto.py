"""Pareto fronts: which of several algorithms nobody beats in both cost and error.

In: rows of label, cost and error. Out: the rows that no other row dominates, by rising cost. Refused: nan.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrontRow:
    """One algorithm in a comparison of cost and error.

    Parameters
    ----------
    label : str
        Short name, for pictures and tables.
    products : float
        Multiplications per output, over all axes.
    error : float
        Any measure, the same one in all rows.

    Raises
    ------
    ValueError
        If products or error is nan, which compares with nothing.
    """

    label: str
    products: float
    error: float

    def __post_init__(self) -> None:
        for name in ("products", "error"):
            if math.isnan(getattr(self, name)):
                raise ValueError(f"{name} of {self.label!r} is nan, must be a number")


def non_dominated(rows: Iterable[FrontRow]) -> tuple[FrontRow, ...]:
    """Return the rows that no other row equals or beats in both figures, by rising cost and falling error.

    A row dominates another that costs at least as much and errs at least as much. Of rows that agree in both figures,
    the first one given stays.

    Examples
    --------
    >>> rows = [FrontRow("a", 8, 3.4e-7), FrontRow("b", 4.63, 2.95e-7), FrontRow("c", 2.37, 1.4e-5)]
    >>> [row.label for row in non_dominated(rows)]
    ['c', 'b']
    """
    front: list[FrontRow] = []
    for row in sorted(rows, key=lambda row: (row.products, row.error)):  # stable: the first of equals comes first
        if not front or row.error < front[-1].error:
            front.append(row)
    return tuple(front)
