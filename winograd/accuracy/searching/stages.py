"""Stages of a search: units of work that are independent of each other, made from what earlier stages have found.

In: a `SearchTask`, and recipes. Out: a `Stage`, whose work turns a unit into a result. Both are of JSON's types, and a
result depends on nothing but the stage's conditions and the unit. A unit that raises an error has it as its result.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from itertools import islice
from typing import Any, Final

import numpy as np

from winograd import __version__
from winograd.accuracy.batch import predict_batch
from winograd.accuracy.experiment import measure_error
from winograd.accuracy.model import kappa, predict_error
from winograd.accuracy.recipe import Recipe
from winograd.accuracy.report import ErrorReport
from winograd.accuracy.searching.kappa_search import kappa_units, run_kappa_unit
from winograd.accuracy.searching.objective import operations_per_output
from winograd.accuracy.searching.task import SearchTask
from winograd.accuracy.searching.trials import Result

Unit = dict[str, Any]
"""What is to be done, of JSON's types."""

RECIPES_PER_UNIT: Final = 200
"""Whose error is predicted at once."""

_CONDITIONS_OF_A_REPORT: Final = frozenset({"trials", "seed", "dtype", "order", "protocol", "algorithm"})
_LONGEST_REASON: Final = 200


@dataclass(frozen=True, slots=True)
class Stage:
    """Units of one kind.

    Parameters
    ----------
    title : str
        What is done, for the progress bar.
    units : tuple of dict
        In order.
    work : callable
        From a unit to its result, in any process.
    conditions : tuple of str
        What determines the results beside the units.
    """

    title: str
    units: tuple[Unit, ...]
    work: Callable[[Unit], Result]
    conditions: tuple[str, ...] = ()

    def words(self, unit: Unit) -> str:
        """Return everything that determines the result of a unit, as one line."""
        versions = [f"winograd {__version__}", f"numpy {np.__version__}"]
        return json.dumps([*versions, self.title, *self.conditions, unit], sort_keys=True)

    def key(self, unit: Unit) -> str:
        """Return SHA-256 of `words` as hexadecimal text."""
        return hashlib.sha256(self.words(unit).encode()).hexdigest()


def attempt(work: Callable[[Unit], Result], unit: Unit) -> Result:
    """Return the result of a unit; an error that it raises is one: failed 1, with the reason.

    Examples
    --------
    >>> attempt(lambda unit: {"value": 1 / unit["x"]}, {"x": 0})
    {'failed': 1, 'reasons': ['ZeroDivisionError: division by zero']}
    """
    try:
        return work(unit)
    except ImportError:  # nothing that another candidate could mend
        raise
    except Exception as error:
        return _failure(reason(error))


def reason(error: Exception) -> str:
    """Return an error as one short line."""
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:_LONGEST_REASON]


def kappa_stage(task: SearchTask) -> Stage:
    """Return the stage that finds recipes of small kappa."""
    units = kappa_units(task.m, task.r, task.rank, max_height=task.max_height, budget=task.budget, seed=task.seed)
    return Stage("kappa", tuple(units), partial(attempt, run_kappa_unit))


def model_stage(task: SearchTask, recipes: Iterable[str]) -> Stage:
    """Return the stage that predicts the relative L2 error of recipes."""
    return Stage("model", tuple(_batches(recipes)), partial(attempt, partial(_predict, task)), task.conditions)


def measurement_stage(task: SearchTask, recipes: Iterable[str], trials: int) -> Stage:
    """Return the stage that builds and proves the algorithms of recipes, and measures each with so many trials."""
    units = tuple({"recipe": text, "trials": trials, "seed": task.seed} for text in recipes)
    return Stage("measurement", units, partial(attempt, partial(_measure, task)), task.conditions)


def report_of(task: SearchTask, recipe: str, unit_result: Result) -> ErrorReport:
    """Return the report whose figures a measurement has found."""
    figures: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in unit_result["report"].items()
    }
    return ErrorReport(
        **figures,
        trials=unit_result["trials"],
        seed=task.seed,
        dtype=task.dtype,
        order=task.order.value,
        protocol=task.experiment,
        algorithm=task.build(Recipe.parse(recipe)),
    )


def _batches(recipes: Iterable[str]) -> Iterable[Unit]:
    remaining = iter(recipes)
    while batch := list(islice(remaining, RECIPES_PER_UNIT)):
        yield {"recipes": batch}


def _failure(*reasons: str) -> Result:
    return {"failed": len(reasons), "reasons": list(reasons)}


def _predict(task: SearchTask, unit: Unit) -> Result:
    """Return the predicted errors, None for recipes that have none."""
    recipes = [Recipe.parse(text) for text in unit["recipes"]]
    try:
        errors = list(predict_batch(task.m, task.r, recipes, ndim=task.ndim, **task.arithmetic))
    except (ArithmeticError, ValueError):  # one of them is at fault
        errors = [math.nan] * len(recipes)
    reasons = set()
    for place, recipe in enumerate(recipes):
        if not math.isfinite(errors[place]):
            try:
                errors[place] = predict_error(task.build(recipe), **task.arithmetic).relative_l2
            except (ArithmeticError, ValueError) as error:
                reasons.add(reason(error))
    finite = [float(error) if math.isfinite(error) else None for error in errors]
    return {"errors": finite, "failed": finite.count(None), "reasons": sorted(reasons)}


def _measure(task: SearchTask, unit: Unit) -> Result:
    algorithm = task.build(Recipe.parse(unit["recipe"]))
    report = measure_error(algorithm, trials=unit["trials"], seed=unit["seed"], **task.arithmetic)
    if not math.isfinite(report.mean_abs):
        return _failure(f"the measured error in {task.dtype} is no finite number")
    return {
        "report": _figures(report),
        "trials": unit["trials"],
        "kappa": kappa(algorithm),
        "operations": operations_per_output(algorithm),
    }


def _figures(report: ErrorReport) -> dict[str, float | Sequence[float]]:
    names = [field.name for field in fields(report) if field.name not in _CONDITIONS_OF_A_REPORT]
    values = {name: getattr(report, name) for name in names}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
