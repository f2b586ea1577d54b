"""Search: the algorithm F(m, r) with the least error, or the best compromise of error and operations.

In: sizes, a dtype, what is measured and minimised, a budget. Out: a `SearchResult`. Recipes of small kappa are found
first, then their error is predicted with every scaling, then the best are built, proved and measured. Every finished
unit of work is kept in a file, if one is given; Ctrl-C returns what was found until then.
"""

from __future__ import annotations

import os

from winograd.accuracy.arguments import checked_integer
from winograd.accuracy.formats import float_format
from winograd.accuracy.orders import Order, as_order
from winograd.accuracy.protocol import Experiment, as_experiment
from winograd.accuracy.searching.families import families
from winograd.accuracy.searching.kappa_search import checked_height
from winograd.accuracy.searching.objective import Cost, Norm, Objective, as_norm, as_objective
from winograd.accuracy.searching.result import Candidate, SearchResult
from winograd.accuracy.searching.running import Running
from winograd.accuracy.searching.task import SearchTask
from winograd.accuracy.searching.trials import Trials
from winograd.accuracy.searching.work import Searching
from winograd.accuracy.searching.workers import Workers
from winograd.algebra.bilinear import checked_sizes

__all__ = ["Candidate", "Cost", "Norm", "Objective", "SearchResult", "search_points"]

MAX_HEIGHT = 20
"""Largest numerator or denominator that is searched, unless another is asked for."""

MOST_EXTRA_PRODUCTS = 4
"""Products on one axis beyond the least number that are searched."""


def search_points(
    m: int,
    r: int,
    ndim: int = 1,
    dtype: object = "float32",
    budget: int = 100_000,
    storage: str | os.PathLike[str] | None = None,
    seed: int = 0,
    *,
    products: int | None = None,
    experiment: str | Experiment = "standard",
    order: str | Order = "huffman",
    objective: str | Objective | Cost = "measurement",
    norm: str | Norm = "mean_abs",
    max_height: int = MAX_HEIGHT,
    workers: int = 1,
    backend: str | None = None,
    progress: bool = False,
) -> SearchResult:
    """Search the algorithm F(m, r) with the least error, the same on every axis.

    Three stages: many recipes by kappa, which the budget counts (points, or moduli where more products are allowed);
    the predicted error of the best few hundred, with every scaling; and exact construction, proof and measurement of
    the finalists, by successive halving with common random numbers. One seed gives one result, whatever the number of
    workers and however often the search was stopped and resumed.

    Parameters
    ----------
    m, r : int
        Outputs and taps on each axis.
    ndim : int
        Number of axes, 1 to 3.
    dtype : dtype
        float16, bfloat16, float32 or float64: in which errors are predicted and measured. With float16 rows are scaled
        by powers of two, see `winograd.balanced`.
    budget : int
        Evaluations of kappa, at least 0. A finalist costs far more than an evaluation; there are never more finalists
        than the budget has evaluations.
    storage : path-like, optional
        An SQLite file that keeps what was found, to resume or share a search. None keeps nothing.
    seed : int
        Of the search and of the measurements.
    products : int, optional
        Multiplications on each axis, from m + r - 1, the least number and the default, to four more, or as many as any
        family has.
    experiment, order : str or Experiment, str or Order
        As of `winograd.measure_error`.
    objective : str or Objective or Cost
        "measurement", "model" or "kappa", or a `Cost`, which weighs the measured error against operations.
    norm : str or Norm
        "mean_abs", "rms" or "relative_l2": of the measured error. The model predicts relative L2.
    max_height : int
        Largest numerator or denominator, 1 to 256.
    workers : int
        Processes, 1 to 4096.
    backend : str, optional
        Of joblib; "dask" for the cluster of the current `dask.distributed.Client`.
    progress : bool
        Show a bar on stderr, if that is a terminal.

    Returns
    -------
    SearchResult

    Raises
    ------
    TypeError, ValueError
        For an argument of the wrong type, out of range, or unknown; and for a storage that is no database of searches.
    OSError
        If the storage cannot be written.
    ModuleNotFoundError
        If an extra is not installed that this search needs.

    Examples
    --------
    >>> search_points(2, 3, budget=50).best.points
    (0, 1, -1, INFINITY)
    >>> search_points(4, 3, budget=0).best is None
    True
    """
    m, r = checked_sizes(m, r)
    fmt = float_format(dtype)
    assert fmt.dtype is not None  # bfloat16 may be missing, which is better said at once
    task = SearchTask(
        m=m,
        r=r,
        ndim=_ndim(ndim),
        rank=_rank(m, r, products),
        dtype=fmt.name,
        experiment=as_experiment(experiment),
        order=as_order(order),
        norm=as_norm(norm),
        objective=as_objective(objective),
        max_height=checked_height(max_height),
        budget=checked_integer("budget", budget, 0),
        seed=checked_integer("seed", seed, 0),
    )
    if not isinstance(progress, bool):
        raise TypeError(f"progress is {progress!r}, must be True or False")
    running = Running(Workers(workers, backend), None if storage is None else Trials(storage), progress)
    return _result(Searching(task, running))


def _result(searching: Searching) -> SearchResult:
    """Search, and return what is known at the end or when Ctrl-C comes."""
    try:
        searching.run()
    except KeyboardInterrupt:
        return searching.result(interrupted=True)
    return searching.result(interrupted=False)


def _ndim(value: object) -> int:
    ndim = checked_integer("ndim", value, 1)
    if ndim > 3:
        raise ValueError(f"ndim is {ndim}, must be 1, 2 or 3")
    return ndim


def _rank(m: int, r: int, products: int | None) -> int:
    least = m + r - 1
    if products is None:
        return least
    rank = checked_integer("products", products, least)
    most = max(one for one in range(least, least + MOST_EXTRA_PRODUCTS + 1) if families(m, r, one))
    if rank > most:
        allowed = f"{least} to {most}" if most > least else str(least)
        raise ValueError(f"products is {rank}, must be {allowed}: no family of F({m},{r}) that is searched has more")
    return rank
