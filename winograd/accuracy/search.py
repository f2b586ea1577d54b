"""Point search: the interpolation points with the least error.

In: sizes, a dtype, a budget. Out: a `SearchResult`. All symmetric rational point sets are ranked by kappa, simple ones
first, until the budget is spent; the best of those that the dtype can hold are built, proved and measured. Ctrl-C
returns what was found until then.
"""

from __future__ import annotations

import hashlib
import html
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, islice

from winograd.accuracy.arguments import checked_integer
from winograd.accuracy.candidates import PointSet, Shape, enumerate_sets, fast_kappas, largest_entry
from winograd.accuracy.experiment import measure_error
from winograd.accuracy.formats import FloatFormat, float_format
from winograd.accuracy.model import kappa
from winograd.accuracy.report import ErrorReport
from winograd.algebra.bilinear import checked_sizes
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.points import Point, spell
from winograd.algebra.toom_cook import toom_cook

_BATCH = 2048
_FINALISTS_PER_SHAPE = 8
_FINAL_TRIALS = 2000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A point set that was measured: the same points on every axis."""

    points: tuple[Point, ...]
    algorithm: NestedAlgorithm
    kappa: float
    report: ErrorReport

    def __repr__(self) -> str:
        return f"<{spell(self.points)}: kappa {self.kappa:.4g}, mean_abs {self.report.mean_abs:.3g}>"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found.

    Parameters
    ----------
    ranking : tuple of Candidate
        The measured candidates, least measured mean_abs first.
    evaluated : int
        Point sets whose kappa was computed.
    failed : int
        Point sets among them whose kappa was no finite number, or finalists whose matrices overflow the dtype or that
        could not be built or measured.
    interrupted : bool
        Whether the search was stopped by Ctrl-C.
    m, r, ndim : int
        Sizes on each axis, and the number of axes.
    dtype : str
        In which the finalists were measured.
    budget, seed : int
        As given.
    """

    ranking: tuple[Candidate, ...]
    evaluated: int
    failed: int
    interrupted: bool
    m: int
    r: int
    ndim: int
    dtype: str
    budget: int
    seed: int

    @property
    def best(self) -> Candidate | None:
        """The first of the ranking; None where nothing was measured."""
        return self.ranking[0] if self.ranking else None

    @property
    def digest(self) -> str:
        """SHA-256 of the result as hexadecimal text, the same in every process."""
        conditions = (self.evaluated, self.failed, self.interrupted, self.m, self.r, self.ndim, self.dtype)
        spelled = [str(value) for value in (*conditions, self.budget, self.seed)]
        return hashlib.sha256("|".join([*spelled, *(x.report.digest for x in self.ranking)]).encode()).hexdigest()

    def __repr__(self) -> str:
        best = f"best {self.best!r}" if self.best else "nothing measured"
        return (
            f"<SearchResult F({self.m},{self.r}) in {self.ndim}D, {self.dtype}: {best}; "
            f"{self.evaluated} evaluated, {len(self.ranking)} measured, seed {self.seed}>"
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(spell(x.points))}</td><td>{x.kappa:.4g}</td><td>{x.report.mean_abs:.3g}</td></tr>"
            for x in self.ranking
        )
        head = "<tr><th>points</th><th>kappa</th><th>mean_abs</th></tr>"
        return f"<table><caption>{html.escape(repr(self))}</caption>{head}{rows}</table>"


def search_points(
    m: int,
    r: int,
    ndim: int = 1,
    dtype: object = "float32",
    budget: int = 20_000,
    storage: object = None,
    seed: int = 0,
) -> SearchResult:
    """Search symmetric rational points for Toom-Cook F(m, r), the same on every axis.

    Every set of pairs +-a, with 0 and INFINITY, one of them or neither as the tile asks, counts one evaluation. With
    and without 0 or INFINITY, the 8 sets with the least kappa are the finalists, and measured with 2000 trials of the
    standard experiment: sets of equal kappa differ in what their transforms round. A finalist costs far more than an
    evaluation; there are at most 16, and never more than the budget has evaluations.

    Parameters
    ----------
    m, r : int
        Outputs and taps on each axis.
    ndim : int
        Number of axes, 1 to 3.
    dtype : dtype
        float16, float32 or float64: in which the finalists are measured.
    budget : int
        Evaluations, at least 0; simple points come first.
    storage : None
        Keeping results in a database is not supported yet.
    seed : int
        Of the measurements.

    Returns
    -------
    SearchResult

    Raises
    ------
    TypeError, ValueError
        For sizes, ndim, dtype, budget or seed that are no integers or out of range.
    NotImplementedError
        If storage is given.

    Examples
    --------
    >>> search_points(2, 3, budget=10).best
    <0,1,-1,inf: kappa 1.667, mean_abs 2.46e-08>
    >>> search_points(4, 3, budget=0).best is None
    True
    """
    m, r = checked_sizes(m, r)
    fmt = float_format(dtype)
    ndim, budget = checked_integer("ndim", ndim, 1), checked_integer("budget", budget, 0)
    seed = checked_integer("seed", seed, 0)
    if storage is not None:
        raise NotImplementedError(f"storage is {storage!r}, only None is supported: the result is returned, not stored")
    if ndim > 3:
        raise ValueError(f"ndim is {ndim}, must be 1, 2 or 3")
    search = _Search(m, r, ndim, fmt, seed)
    interrupted = False
    try:
        search.rank(islice(enumerate_sets(m + r - 1), budget))
        search.measure()
    except KeyboardInterrupt:
        interrupted = True
    return SearchResult(
        ranking=tuple(sorted(search.measured, key=lambda candidate: candidate.report.mean_abs)),
        evaluated=search.evaluated,
        failed=search.failed,
        interrupted=interrupted,
        m=m,
        r=r,
        ndim=ndim,
        dtype=fmt.name,
        budget=budget,
        seed=seed,
    )


class _Search:
    """What a running search knows; it stays usable where it is interrupted."""

    def __init__(self, m: int, r: int, ndim: int, fmt: FloatFormat, seed: int) -> None:
        self.m, self.r, self.ndim, self.fmt, self.seed = m, r, ndim, fmt, seed
        self.evaluated = 0
        self.failed = 0
        self.measured: list[Candidate] = []
        self._finalists: dict[Shape, list[tuple[float, tuple[Fraction, ...]]]] = {}

    def rank(self, sets: Iterable[tuple[Shape, tuple[Fraction, ...]]]) -> None:
        """Keep the sets of each shape with the least kappa; of equal ones, the earlier."""
        for batch in _batches(sets):
            for shape, group in groupby(batch, key=lambda one: one[0]):
                chosen = [magnitudes for _, magnitudes in group]
                kappas = fast_kappas(self.m, self.r, shape, chosen).tolist()
                finite = [one for one in zip(kappas, chosen, strict=True) if math.isfinite(one[0])]
                contenders = [*self._finalists.get(shape, []), *finite]
                self._finalists[shape] = sorted(contenders, key=lambda one: one[0])[:_FINALISTS_PER_SHAPE]
                self.evaluated += len(chosen)
                self.failed += len(chosen) - len(finite)

    def measure(self) -> None:
        """Build and measure the finalists."""
        for shape, finalists in self._finalists.items():
            for _, magnitudes in finalists:
                try:
                    self.measured.append(self._measure(shape.points(magnitudes)))
                except (ArithmeticError, ValueError):
                    self.failed += 1

    def _measure(self, points: PointSet) -> Candidate:
        if largest_entry(self.m, self.r, points) > self.fmt.largest:  # known at once; building takes seconds
            raise OverflowError(f"a constant is beyond {self.fmt.name}")
        axis = toom_cook(self.m, self.r, points)
        nested = nest(*[axis] * self.ndim)
        report = measure_error(nested, self.fmt.name, trials=_FINAL_TRIALS, seed=self.seed)
        return Candidate(points=axis.points, algorithm=nested, kappa=kappa(nested), report=report)


def _batches(
    sets: Iterable[tuple[Shape, tuple[Fraction, ...]]],
) -> Iterator[list[tuple[Shape, tuple[Fraction, ...]]]]:
    remaining = iter(sets)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
