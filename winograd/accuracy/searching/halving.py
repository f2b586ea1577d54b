"""Successive halving: many candidates are measured with few trials, and a few of them with many.

In: a `SearchTask`. Out: `Rung`s. All candidates of a rung are measured with the same random numbers, so that they
differ by less than their intervals say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from winograd.accuracy.searching.objective import Norm, Objective
from winograd.accuracy.searching.task import SearchTask

_LEAST_TRIALS: Final = 64


@dataclass(frozen=True, slots=True)
class Rung:
    """How many candidates are measured, with how many trials each."""

    candidates: int
    trials: int
    is_refined: bool = False
    """Whether neighbours of the best are measured, too: what is best by the model is near what is best."""


_FIRST: Final = (Rung(256, 500, is_refined=True), 2**20)
_LADDER: Final = ((Rung(64, 2000), 2**20), (Rung(16, 10_000), 2**23), (Rung(4, 50_000), 2**25))
"""Rungs, and the products that one candidate may cost on them: with many, there are fewer trials."""


def rungs(task: SearchTask) -> tuple[Rung, ...]:
    """Return the rungs of a search, the first of them for the candidates that the model finds best.

    The model predicts rms and relative L2; where the mean is searched for, or a cost, it decides on less, and the first
    rung has 256 candidates. There are never more than the budget has evaluations.
    """
    if task.objective in (Objective.KAPPA, Objective.MODEL):
        ladder = [_LADDER[1]]
    elif task.objective is Objective.MEASUREMENT and task.norm is not Norm.MEAN_ABS:
        ladder = [*_LADDER]
    else:
        ladder = [_FIRST, *_LADDER]
    cost = task.rank**task.ndim * task.experiment.channels
    return tuple(
        replace(
            rung,
            candidates=min(rung.candidates, task.budget),
            trials=max(_LEAST_TRIALS, min(rung.trials, products // cost)),
            is_refined=rung.is_refined and 2 * rung.candidates <= task.budget,
        )
        for rung, products in ladder
    )
