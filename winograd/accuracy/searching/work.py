"""A search as it runs: what is known after every unit, from which a result can be made at any time.

In: a `SearchTask`, and where its units are done. Out: a `SearchResult`. Nothing depends on the order in which units are
finished.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from winograd.accuracy.model import kappa
from winograd.accuracy.recipe import Recipe, Scaling
from winograd.accuracy.searching.halving import rungs
from winograd.accuracy.searching.neighbours import known_sets, neighbours
from winograd.accuracy.searching.objective import Cost, Objective
from winograd.accuracy.searching.result import Candidate, SearchResult
from winograd.accuracy.searching.running import Running
from winograd.accuracy.searching.selection import (
    Identity,
    best_and_simple,
    best_by_kappa,
    identity,
    ordered,
    with_every_scaling,
)
from winograd.accuracy.searching.stages import kappa_stage, measurement_stage, model_stage, report_of
from winograd.accuracy.searching.task import SearchTask
from winograd.accuracy.searching.trials import Result

MOST_RANKED = 64
"""Candidates of a result."""

_MOST_REASONS = 10

_REFINED = 32
"""Recipes whose neighbours are predicted."""

_CLIMBED = 8
"""Measured recipes whose neighbours are predicted."""

_CLIMBS = 5
"""How often."""

_NEAR_ONES = 48
"""Of these neighbours, those that are measured."""

_REFINEMENTS = 3
"""How often."""


class Searching:
    """What a running search knows; it stays usable where it is interrupted."""

    def __init__(self, task: SearchTask, running: Running) -> None:
        self._task, self._running = task, running
        self._evaluated = self._failed = 0
        self._reasons: set[str] = set()
        self._kappas: dict[str, float] = {}
        self._seen: set[Identity] = set()
        self._predicted: dict[str, float] = {}
        self._measured: dict[str, Result] = {}

    def run(self) -> None:
        """Do all stages."""
        if self._task.budget == 0:
            return
        self._find()
        if not self._kappas:
            return
        self._predict(with_every_scaling(best_by_kappa(self._kappas)))
        if self._task.objective is not Objective.KAPPA:
            self._refine()
        contenders = self._contenders()
        for rung in rungs(self._task):
            contenders = self._best_of(contenders[: rung.candidates], rung.trials)
            if rung.is_refined:
                for _ in range(_CLIMBS):
                    near = self._near(contenders[:_CLIMBED])[:_NEAR_ONES]
                    contenders = self._best_of([*contenders, *near], rung.trials)

    def _best_of(self, recipes: Sequence[str], trials: int) -> list[str]:
        """Measure recipes, and return them by the objective, without those that failed."""
        self._measure([text for text in recipes if not self._is_measured(text, trials)], trials)
        return ordered({text: self._value(text) for text in recipes if self._is_measured(text, trials)})

    def _near(self, recipes: Iterable[str]) -> list[str]:
        """Predict the error of the neighbours of recipes, and return those not measured yet by it."""
        parsed = [Recipe.parse(text) for text in recipes]
        near = dict.fromkeys(one.text for recipe in parsed for one in neighbours(recipe, self._task.max_height))
        self._predict(near)
        return ordered({text: self._predicted[text] for text in near if self._is_new(text)})

    def _is_new(self, text: str) -> bool:
        return text in self._predicted and text not in self._measured

    def result(self, interrupted: bool) -> SearchResult:
        """Return what is known."""
        ranking = [self._candidate(text) for text in self._ranked()[: min(MOST_RANKED, self._task.budget)]]
        return SearchResult(
            ranking=tuple(ranking),
            evaluated=self._evaluated,
            modelled=len(self._predicted),
            measured=len(self._measured),
            failed=self._failed,
            reasons=tuple(sorted(self._reasons)[:_MOST_REASONS]),
            interrupted=interrupted,
            task=self._task,
        )

    def _find(self) -> None:
        for _, found in self._running.results(kappa_stage(self._task)):
            self._count(found)
            self._evaluated += found.get("evaluations", 0)
            for text, value in found.get("found", []):
                plain = _plain(text)
                self._kappas[plain] = min(value, self._kappas.get(plain, math.inf))

    def _refine(self) -> None:
        """Predict the error of simple sets, then of sets near the best ones, again and again."""
        task = self._task
        if task.rank == task.m + task.r - 1:
            known = [Recipe.from_points(points).text for points in known_sets(task.rank)]
            self._predict(with_every_scaling(known))
        for _ in range(_REFINEMENTS):
            self._near(ordered(self._predicted)[:_REFINED])

    def _predict(self, recipes: Iterable[str]) -> None:
        """Predict the errors of recipes, but of those that differ by the order of their moduli, of the first alone."""
        new: dict[Identity, str] = {}
        for text in recipes:
            if (same := identity(text)) not in self._seen:
                new.setdefault(same, text)
        self._seen |= new.keys()
        for unit, found in self._running.results(model_stage(self._task, new.values())):
            self._count(found)
            for text, error in zip(unit["recipes"], found.get("errors", []), strict=False):
                if error is not None:
                    self._predicted[text] = error

    def _contenders(self) -> list[str]:
        """Return recipes, those that deserve to be measured first: by kappa, predicted error, or simplicity."""
        if isinstance(self._task.objective, Cost):
            return best_and_simple(self._predicted)
        if self._task.objective is not Objective.KAPPA:
            return ordered(self._predicted)
        best: dict[str, str] = {}
        for text in ordered(self._predicted):
            best.setdefault(_plain(text), text)
        return [best[text] for text in ordered(self._kappas) if text in best]

    def _measure(self, recipes: Iterable[str], trials: int) -> None:
        for unit, found in self._running.results(measurement_stage(self._task, recipes, trials)):
            self._count(found)
            if "report" in found:
                self._measured[unit["recipe"]] = found

    def _is_measured(self, text: str, trials: int) -> bool:
        return text in self._measured and self._measured[text]["trials"] == trials

    def _value(self, text: str) -> float:
        """Return the objective of a recipe that was measured."""
        found, objective = self._measured[text], self._task.objective
        if objective is Objective.KAPPA:
            return float(found["kappa"])
        if objective is Objective.MODEL:
            return self._predicted[text]
        error = float(found["report"][self._task.norm.value])
        return objective.of(error, found["operations"]) if isinstance(objective, Cost) else error

    def _ranked(self) -> list[str]:
        """Return recipes best first: measured ones, those with more trials before, else predicted ones, else all."""
        if self._measured:
            values = {text: self._value(text) for text in self._measured}
            return sorted(ordered(values), key=lambda text: -self._measured[text]["trials"])
        return ordered(self._predicted) or ordered(self._kappas)

    def _candidate(self, text: str) -> Candidate:
        found = self._measured.get(text)
        recipe = Recipe.parse(text)
        algorithm = self._task.build(recipe)
        return Candidate(
            recipe=recipe,
            algorithm=algorithm,
            kappa=found["kappa"] if found else kappa(algorithm),
            operations=found["operations"] if found else None,
            predicted=self._predicted.get(text),
            report=report_of(self._task, text, found) if found else None,
            is_balanced=self._task.is_balanced,
        )

    def _count(self, found: Result) -> None:
        self._failed += found.get("failed", 0)
        self._reasons.update(found.get("reasons", []))


def _plain(text: str) -> str:
    """Return the recipe with the default scaling: kappa is the same for all."""
    return f"{text.rpartition(' ')[0]} {Scaling.FILTER.value}"
