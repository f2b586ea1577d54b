"""`SearchResult`: what a search found, best first, with everything that is needed to repeat it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from winograd.accuracy.recipe import Recipe, Scaling
from winograd.accuracy.report import ErrorReport
from winograd.accuracy.searching.task import SearchTask
from winograd.accuracy.showing.table import html_table
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.points import Point, spell


@dataclass(frozen=True, slots=True)
class Candidate:
    """An algorithm that was found: the same on every axis, exact and proved.

    Parameters
    ----------
    recipe : Recipe
        How one axis is built.
    algorithm : NestedAlgorithm
    kappa : float
        Of all axes together.
    operations : float or None
        Per output; see `winograd.accuracy.searching.objective.operations_per_output`. None if the search was stopped
        before that.
    predicted : float or None
        Relative L2 error from the model; None if the search was stopped before that.
    report : ErrorReport or None
        The measurement; None if the search was stopped before that.
    is_balanced : bool
        Whether rows are scaled by powers of two; see `winograd.balanced`.
    """

    recipe: Recipe
    algorithm: NestedAlgorithm
    kappa: float
    operations: float | None
    predicted: float | None
    report: ErrorReport | None
    is_balanced: bool = False

    @property
    def points(self) -> tuple[Point, ...] | None:
        """Of one axis; None if a modulus is of a higher degree."""
        return self.algorithm.axes[0].points or None

    @property
    def label(self) -> str:
        """The points with the scaling, or the text of the recipe; whether rows are balanced."""
        text = self.recipe.text
        if self.points is not None:
            scaling = "" if self.recipe.scaling is Scaling.FILTER else f" ({self.recipe.scaling.value})"
            text = spell(self.points) + scaling
        return f"{text}, balanced" if self.is_balanced else text

    def __repr__(self) -> str:
        report = self.report
        measured = f"mean_abs {report.mean_abs:.3g}, relative_l2 {report.relative_l2:.3g}" if report else "not measured"
        return f"<{self.label}: kappa {self.kappa:.4g}, {measured}>"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found.

    Parameters
    ----------
    ranking : tuple of Candidate
        Those that were measured with more trials first, then by the objective.
    evaluated : int
        Candidates whose kappa was computed.
    modelled, measured : int
        Those of them whose error was predicted, each with every scaling, and those that were measured.
    failed : int
        Evaluations that gave no finite number, or raised an error: constants that overflow the dtype, for example.
    reasons : tuple of str
        The different errors among them, at most ten.
    interrupted : bool
        Whether the search was stopped by Ctrl-C.
    task : SearchTask
        What was searched for.
    """

    ranking: tuple[Candidate, ...]
    evaluated: int
    modelled: int
    measured: int
    failed: int
    reasons: tuple[str, ...]
    interrupted: bool
    task: SearchTask

    @property
    def best(self) -> Candidate | None:
        """The first of the ranking; None where nothing was found."""
        return self.ranking[0] if self.ranking else None

    @property
    def digest(self) -> str:
        """SHA-256 of the result as hexadecimal text, the same in every process."""
        counts = (self.evaluated, self.modelled, self.measured, self.failed, self.interrupted)
        return hashlib.sha256(
            "|".join([repr(self.task), repr(counts), *map(_identity, self.ranking)]).encode()
        ).hexdigest()

    def __repr__(self) -> str:
        best = f"best {self.best!r}" if self.best else "nothing found"
        return (
            f"<SearchResult {self.task.label}: {best}; "
            f"{self.evaluated} evaluated, {self.measured} measured, seed {self.task.seed}>"
        )

    @property
    def table(self) -> tuple[tuple[str, ...], ...]:
        """Header and rows as text: points or moduli, kappa, error, its interval, operations per output, trials."""
        norm = self.task.norm.value
        header = ("points or moduli", "kappa", norm, "95 % interval", "operations", "trials")
        return (header, *(_row(candidate, norm) for candidate in self.ranking))

    def _repr_html_(self) -> str:
        header, *rows = self.table
        return html_table(repr(self), header, rows)


def _identity(candidate: Candidate) -> str:
    digest = candidate.report.digest if candidate.report else candidate.algorithm.digest
    return f"{candidate.recipe.text} {digest} {candidate.predicted!r}"


def _row(candidate: Candidate, norm: str) -> tuple[str, ...]:
    report = candidate.report
    measured = ("not measured", "", "")
    if report is not None:
        low, high = getattr(report, f"{norm}_interval")
        measured = (f"{getattr(report, norm):.3e}", f"{low:.3e} to {high:.3e}", str(report.trials))
    error, interval, trials = measured
    operations = "" if candidate.operations is None else f"{candidate.operations:.4g}"
    return (candidate.label, f"{candidate.kappa:.4g}", error, interval, operations, trials)
