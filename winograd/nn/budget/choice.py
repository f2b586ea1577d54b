"""The choice: one option for every layer, so that the sum of their weights stays under a limit and their cost is least.

In: weights and costs of the options of each layer, and the limit. Out: the index of an option for each layer. Refused:
nothing; None where even the lightest options are too heavy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

LEVELS: Final = 10_000
"""Parts of the limit that weights are rounded up to."""

Options = Sequence[tuple[float, float]]
"""Weight and cost of each option of a layer."""


def choose(layers: Sequence[Options], limit: float, levels: int = LEVELS) -> tuple[int, ...] | None:
    """Return the cheapest choice whose weights sum up to the limit at most, or None where there is none.

    Weights are rounded up to multiples of limit / levels, and the choice of these is exact, by dynamic programming over
    the layers. So the sum never exceeds the limit, and no choice is cheaper that stays under
    limit (1 - len(layers) / levels).

    Parameters
    ----------
    layers : sequence of sequences of (float, float)
        Weight and cost of each option of each layer; not negative, infinite weights are never chosen.
    limit : float
        Above 0.
    levels : int
        How finely weights are told apart.

    Examples
    --------
    >>> choose([[(0.0, 9.0), (0.5, 4.0), (4.0, 1.0)], [(0.0, 5.0), (0.4, 2.0)]], limit=1.0)
    (1, 1)
    >>> choose([[(2.0, 9.0)]], limit=1.0) is None
    True
    """
    least = np.zeros(levels + 1)
    """Least cost of the layers so far, by the levels that they may take."""
    taken = []
    for options in layers:
        costs = np.array([_shifted(least, _level(weight, limit, levels)) + cost for weight, cost in options])
        taken.append(costs.argmin(axis=0))
        least = costs.min(axis=0)
    if not np.isfinite(least[levels]):
        return None
    chosen, left = [], levels
    for options, best in zip(reversed(layers), reversed(taken), strict=True):
        index = int(best[left])
        chosen.append(index)
        left -= _level(options[index][0], limit, levels)
    return tuple(reversed(chosen))


def _level(weight: float, limit: float, levels: int) -> int:
    """Return the weight in parts of the limit, rounded up; one too many where it is above the limit."""
    share = weight / limit * levels
    return int(np.ceil(share)) if share <= levels else levels + 1


def _shifted(costs: np.ndarray, by: int) -> np.ndarray:
    """Return what is left of the costs once an option takes so many levels: infinite where it takes too many."""
    return np.concatenate([np.full(min(by, len(costs)), np.inf), costs[: max(len(costs) - by, 0)]])
