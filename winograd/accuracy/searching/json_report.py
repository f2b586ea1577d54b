"""A `SearchResult` as JSON: what was searched for, with which versions, and what was found. In: a result. Out: text."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import Enum
from typing import Any

import numpy as np

from winograd import __version__
from winograd.accuracy.searching.result import Candidate, SearchResult
from winograd.accuracy.searching.task import SearchTask


def as_json(result: SearchResult) -> str:
    """Return a result as JSON, with ASCII alone and without NaN or Infinity, ending in a newline.

    Examples
    --------
    >>> from winograd.accuracy.search import search_points
    >>> json.loads(as_json(search_points(2, 3, budget=0)))["ranking"]
    []
    """
    content = {
        "task": task_values(result.task),
        "versions": {"winograd": __version__, "numpy": np.__version__},
        "evaluated": result.evaluated,
        "modelled": result.modelled,
        "measured": result.measured,
        "failed": result.failed,
        "reasons": list(result.reasons),
        "interrupted": result.interrupted,
        "ranking": [candidate_values(candidate) for candidate in result.ranking],
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def task_values(task: SearchTask) -> dict[str, Any]:
    """Return a task as JSON values."""
    values = asdict(task)
    values["objective"] = task.objective.value
    plain: dict[str, Any] = json.loads(json.dumps(values, default=_name))
    return plain


def candidate_values(candidate: Candidate) -> dict[str, Any]:
    """Return a candidate as JSON values."""
    values: dict[str, Any] = {
        "recipe": candidate.recipe.text,
        "points": None if candidate.points is None else [str(point) for point in candidate.points],
        "kappa": candidate.kappa,
        "operations": candidate.operations,
        "predicted_relative_l2": candidate.predicted,
    }
    if candidate.report is not None:
        report = candidate.report
        values |= {"trials": report.trials, "seed": report.seed}
        for norm, error, interval in report.figures:
            values |= {norm: error, f"{norm}_interval": list(interval)}
    return values


def _name(value: object) -> Any:
    return value.value if isinstance(value, Enum) else str(value)
