"""The continuous stage of the search for small kappa: the members of a family with real numbers, by L-BFGS.

In: sizes, a family, a seed, and the number of evaluations of kappa allowed. Out: the best member met.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.searching.families import Family, Role
from winograd.accuracy.searching.kappa_objective import Floats, inner_knobs, kappas

_STEP = 1e-6
"""Of the differences that give gradients: about the cube root of float64's unit roundoff."""

_WORST = 80.0
"""Logarithm of kappa where there is none, so that the descent turns back."""


@dataclass(frozen=True, slots=True)
class RealMember:
    """A member of a family with real knobs, its kappa, and how many evaluations it took; no knobs if none was met."""

    knobs: NDArray[np.float64] | None
    kappa: float
    evaluations: int


class _Spent(Exception):
    """The evaluations allowed are used up."""


def descend(m: int, r: int, family: Family, seed: int, allowed: int) -> RealMember:
    """Return the best real member that one descent from a random start meets.

    Examples
    --------
    >>> found = descend(4, 3, Family(pairs=2, zero=1, infinity=1), seed=0, allowed=2000)
    >>> round(found.kappa, 3)
    4.742
    """
    from scipy.optimize import minimize

    descent = _Descent(m, r, family, allowed)
    start = _start(family, np.random.default_rng(seed))
    if start.size and allowed > 2 * start.size:
        with suppress(_Spent):
            minimize(descent.value_and_gradient, start, jac=True, method="L-BFGS-B", options={"maxiter": 400})
    elif allowed:
        descent.logarithms(start[None])
    return descent.result()


def _start(family: Family, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return logarithms of magnitudes, points, parts of the roots, and angles."""
    sizes = rng.normal(scale=0.8, size=family.groups + family.pairs)
    points = np.tan(rng.uniform(-1.2, 1.2, size=family.points))
    centred = rng.normal(scale=0.3, size=family.centred)
    parts = rng.normal(scale=(0.5, 0.3), size=(family.mirrored + family.quadratics, 2))
    return np.concatenate([sizes, points, centred, parts.ravel(), rng.uniform(0, 2 * np.pi, 4 * family.blocks)])


class _Descent:
    """Logarithm of kappa as a function of free reals; counts evaluations and keeps the best."""

    def __init__(self, m: int, r: int, family: Family, allowed: int) -> None:
        self.sizes, self.family, self.allowed = (m, r), family, allowed
        self.evaluations, self.least, self.best = 0, np.inf, np.empty(0)

    def value_and_gradient(self, x: Floats) -> tuple[float, Floats]:
        steps = _STEP * np.eye(len(x))
        values = self.logarithms(np.concatenate([x[None], x + steps, x - steps]))
        return float(values[0]), (values[1 : len(x) + 1] - values[len(x) + 1 :]) / (2 * _STEP)

    def logarithms(self, rows: Floats) -> Floats:
        if self.evaluations + len(rows) > self.allowed:
            raise _Spent
        self.evaluations += len(rows)
        found = kappas(*self.sizes, self.family, *self._numbers(rows))
        if found[0] < self.least:
            self.least, self.best = float(found[0]), rows[0].copy()
        return np.nan_to_num(np.log(found), nan=_WORST, posinf=_WORST)

    def _numbers(self, rows: Floats) -> tuple[Floats, Floats]:
        roles = self.family.outer
        outer = rows[:, : len(roles)].copy()
        sizes = self.family.groups + self.family.pairs
        outer[:, :sizes] = np.exp(outer[:, :sizes])
        for place, role in enumerate(roles):
            if role is Role.CONSTANT and roles[place - 1] is Role.MIDDLE:
                real, imaginary = outer[:, place - 1].copy(), np.exp(outer[:, place])
                outer[:, place - 1], outer[:, place] = -2 * real, real**2 + imaginary**2
            elif role is Role.CONSTANT:
                outer[:, place] = np.exp(2 * outer[:, place])
        return outer, rows[:, len(roles) :].reshape(len(rows), self.family.blocks, 4)

    def result(self) -> RealMember:
        if not np.isfinite(self.least):
            return RealMember(None, np.inf, self.evaluations)
        outer, inner = self._numbers(self.best[None])
        knobs = np.concatenate([outer[0], inner_knobs(self.family, outer, inner).ravel()])
        return RealMember(knobs, self.least, self.evaluations)
