"""The search for the cheapest tolerances: a model of the output's error that trials correct.

In: a `Trial`, the error that is allowed, the largest tolerances of layers. Out: what each layer got.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from winograd.nn.budget.choice import choose
from winograd.nn.budget.front import LOOSEST, Calls, Option, direct_tolerance, front
from winograd.nn.budget.record import LayerShare, excess
from winograd.nn.budget.trial import Trial

MOST_RUNS: Final = 6
"""Choices that are tried out at most."""

_ENOUGH: Final = 0.9
"""Share of the allowed error above which there is not much more to be had."""

_TIGHTER: Final = 1.05
"""By how much a choice that was off by too much is corrected at least."""

_LOOSER: Final = 10
"""By how much a choice that was too exact is corrected at most."""

_PROBED_AT: Final = 0.3
"""Tolerance at which a layer is looked at, at least, over that of the dtype: ten times that of direct convolution."""

_NEGLIGIBLE: Final = 0.1
"""Share of the allowed error at which a layer's part of it is as good as none, if all layers had such a part."""

_LEAST_CORRECTION: Final = 0.01
"""Layers may be exact on an example by chance, on small integers for one; they are not on others."""

_BY_ITSELF = "direct at any tolerance"
_UNPLANNED = "the example leads to no plan of it"

Chosen = Mapping[str, Option]
"""The option of each layer that has a choice."""

_NOTHING: Final = Option(None, 0.0, 0.0, "-")
"""What a layer computes that is not called."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A layer that has a choice: its calls, the largest tolerance, and what its error was measured to come to."""

    calls: Calls
    limit: float
    correction: float
    gain: float
    direct_error: float

    def share(self, option: Option) -> float:
        """Return the error of the output that the layer makes."""
        return self.gain * (self.direct_error if option.tolerance is None else self.correction * option.error)

    def options(self, least: float, most: float) -> tuple[Option, ...]:
        """Return the front, but for parts of the output's error above ``most``, down to a negligible one."""
        return tuple(
            one
            for one in front(self.calls, self._error(least), self._error(most))
            if one.tolerance is None or one.tolerance <= self.limit
        )

    def _error(self, share: float) -> float:
        """Return the predicted error that makes such a share."""
        return min(share / (self.gain * self.correction), LOOSEST) if self.gain else LOOSEST


class Search:
    """Chooses tolerances, tries them out, and corrects.

    Parameters
    ----------
    trial : Trial
    limits : mapping of str to float or None
        The largest tolerance of each layer; None for no limit.
    target : float
        Error of the output on the example, at most.
    default : float
        The tolerance of the dtype.

    Attributes
    ----------
    runs : int
        How many choices were tried out.
    other_error : float
        Error of the output that is not by layers with a choice.
    is_met : bool
        Whether any choice was found to keep the target.
    """

    def __init__(self, trial: Trial, limits: Mapping[str, float | None], target: float, default: float) -> None:
        self._trial = trial
        self._limits = limits
        self._target = target
        self._probed_at = max(target, _PROBED_AT * default)
        self.runs = 0
        self.other_error = 0.0
        self.is_met = True

    def cheapest(self) -> tuple[LayerShare, ...]:
        """Return the shares of all layers, the cheapest that were measured to keep the output within the target."""
        calls = self._trial.calls(self._probed_at)
        probes = {name: _probe(one, self._probed_at) for name, one in calls.items()}
        tolerances = {name: one.tolerance for name, one in probes.items() if one.tolerance is not None}
        errors, gains = self._trial.compare(tolerances), self._trial.gains(tolerances)
        candidates = {
            name: _Candidate(
                calls[name],
                self._limits[name] or LOOSEST,
                max(errors[name].winograd / probes[name].error, _LEAST_CORRECTION),
                gains[name],
                errors[name].direct,
            )
            for name in tolerances
        }
        directly = {name: one.calls.direct for name, one in candidates.items()}
        self.other_error = excess(
            self._trial.direct_error, *(one.share(one.calls.direct) for one in candidates.values())
        )
        found = self._best(candidates, directly)
        self.is_met = found is not None
        return self._shares(calls, candidates, directly if found is None else found)

    def _best(self, candidates: Mapping[str, _Candidate], directly: Chosen) -> Chosen | None:
        """Try choices, and return the cheapest of those that keep the target, or None if none does."""
        target, other = self._target, self.other_error
        best = directly if self._trial.direct_error <= target else None
        scale, too_small = 1.0, 0.0
        tried = {_tolerances(directly)}
        while self.runs < MOST_RUNS and other < target:
            chosen = self._chosen(candidates, excess(target, other) / scale)
            if chosen is None or _tolerances(chosen) in tried:
                break
            tried.add(_tolerances(chosen))
            self.runs += 1
            self._trial.progress(f"choice {self.runs} of at most {MOST_RUNS}")
            measured = self._trial.error(self._settled({name: one.calls for name, one in candidates.items()}, chosen))
            expected = math.hypot(*(candidates[name].share(option) for name, option in chosen.items()))
            found = excess(measured, other) / expected if expected else scale
            if measured > target:
                too_small = max(too_small, scale)
                scale = max(found, scale) * _TIGHTER
                continue
            best = chosen if best is None else min(best, chosen, key=_milliseconds)
            if measured >= _ENOUGH * target:
                break
            scale = max(found, too_small * _TIGHTER, scale / _LOOSER)
        return best

    def _chosen(self, candidates: Mapping[str, _Candidate], allowed: float) -> Chosen | None:
        """Return the cheapest choice by the model whose shares add up to what is allowed, or None."""
        least = _NEGLIGIBLE * allowed / math.sqrt(len(candidates) or 1)
        fronts = {name: one.options(least, allowed) for name, one in candidates.items()}
        weights = [
            [(candidates[name].share(option) ** 2, option.milliseconds) for option in options]
            for name, options in fronts.items()
        ]
        indices = choose(weights, allowed**2)
        if indices is None:
            return None
        return {name: options[index] for (name, options), index in zip(fronts.items(), indices, strict=True)}

    def _settled(self, calls: Mapping[str, Calls], chosen: Chosen) -> dict[str, float]:
        """Return a tolerance for every layer: the least of the others for those without a choice."""
        settled = {}
        for name, option in chosen.items():
            tolerance = direct_tolerance(calls[name]) if option.tolerance is None else option.tolerance
            settled[name] = min(tolerance, self._limits[name] or tolerance)
        least = min(settled.values(), default=self._target)
        return {name: settled.get(name, min(least, limit or least)) for name, limit in self._limits.items()}

    def _shares(
        self, calls: Mapping[str, Calls], candidates: Mapping[str, _Candidate], chosen: Chosen
    ) -> tuple[LayerShare, ...]:
        shares = []
        for name, tolerance in self._settled(calls, chosen).items():
            called, candidate = calls.get(name), candidates.get(name)
            option = chosen.get(name) or (called.direct if called is not None else _NOTHING)
            shares.append(
                LayerShare(
                    layer=name,
                    tolerance=tolerance,
                    algorithm=option.label,
                    predicted_error=option.error,
                    correction=None if candidate is None else candidate.correction,
                    direct_error=None if candidate is None else candidate.direct_error,
                    gain=None if candidate is None else candidate.gain,
                    milliseconds=option.milliseconds,
                    direct_ms=0.0 if called is None else called.direct.milliseconds,
                    note="" if name in chosen else _UNPLANNED if called is None else _BY_ITSELF,
                )
            )
        return tuple(shares)


def _probe(calls: Calls, tolerance: float) -> Option:
    """Return what a layer is looked at with: as fast as it may be where nothing is tolerated."""
    option = calls.at(tolerance)
    return calls.at(LOOSEST) if option.tolerance is None else option


def _tolerances(chosen: Chosen) -> tuple[float | None, ...]:
    return tuple(option.tolerance for option in chosen.values())


def _milliseconds(chosen: Chosen) -> float:
    return math.fsum(option.milliseconds for option in chosen.values())
