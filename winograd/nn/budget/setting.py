"""How converted layers compute for a while: directly, at a tolerance, with weights that are kept.

In: a converted layer. Out: the layer set, and on leaving a ``with`` as it was, its plans and transformed weights apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from winograd.conv.plan import Filters
from winograd.conv.tuning_mode import Tuning
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


@contextmanager
def frozen(layers: Iterable[PlannedConvolution]) -> Iterator[None]:
    """Let layers keep transformed weights."""
    former = [(layer._winograd, layer._winograd.filters) for layer in layers]
    for state, _ in former:
        state.change(filters=Filters.FROZEN)
    try:
        yield
    finally:
        for state, filters in former:
            state.change(filters=filters)


@contextmanager
def modelled(layers: Iterable[PlannedConvolution]) -> Iterator[None]:
    """Let layers choose by prediction, also those that time their candidates."""
    former = [(layer._winograd, layer._winograd.tuning) for layer in layers]
    for state, _ in former:
        state.change(tuning=Tuning.MODEL)
    try:
        yield
    finally:
        for state, tuning in former:
            state.change(tuning=tuning)
