"""How converted layers compute for a while: directly, at a tolerance, with weights that are kept.

In: a converted layer. Out: the layer set, and on leaving a ``with`` as it was, its plans and transformed weights apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from winograd.conv.choosing.selection import Filters
from winograd.conv.planning.tuning_mode import Tuning
from winograd.nn.modules import PlannedConvolution


@contextmanager
def tolerated(layer: PlannedConvolution, tolerance: float) -> Iterator[None]:
    """Let a layer choose its algorithm at a tolerance."""
    state = layer._winograd
    former = state.algorithm, state.tolerance
    state.algorithm = None
    state.tolerate(tolerance)
    try:
        yield
    finally:
        state.algorithm = former[0]
        state.tolerate(former[1])


@contextmanager
def direct(layers: Iterable[PlannedConvolution]) -> Iterator[None]:
    """Let layers compute directly."""
    former = [(layer._winograd, layer._winograd.algorithm) for layer in layers]
    for state, _ in former:
        state.change(algorithm="direct")
    try:
        yield
    finally:
        for state, algorithm in former:
            state.algorithm = algorithm
            state.tolerate(state.tolerance)  # forgets the plans


def frozen(layers: Iterable[PlannedConvolution]) -> AbstractContextManager[None]:
    """Let layers keep transformed weights."""
    return _changed(layers, filters=Filters.FROZEN)


def modelled(layers: Iterable[PlannedConvolution]) -> AbstractContextManager[None]:
    """Let layers choose by prediction, also those that time their candidates."""
    return _changed(layers, tuning=Tuning.MODEL)


@contextmanager
def _changed(layers: Iterable[PlannedConvolution], **settings: Any) -> Iterator[None]:
    states = [layer._winograd for layer in layers]
    former = [{name: getattr(state, name) for name in settings} for state in states]
    for state in states:
        state.change(**settings)
    try:
        yield
    finally:
        for state, were in zip(states, former, strict=True):
            state.change(**were)
