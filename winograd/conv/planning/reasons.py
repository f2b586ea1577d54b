"""Reasons of plans: predicted errors, phases and limits in words.

In: a `Task`, what was selected for it. Out: parts of a line. Refused: nothing.
"""

from __future__ import annotations

from dataclasses import replace

from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv import roofline
from winograd.conv.choosing.prediction import predicted_error, unrounded_error
from winograd.conv.choosing.ranking import error_obstacle
from winograd.conv.choosing.selection import Filters, Selection, is_filter_capped, least_error, select
from winograd.conv.choosing.task import Task
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.roofline import Algorithm
from winograd.conv.wording import apart, size_of


def above(task: Task, algorithm: NestedAlgorithm) -> str:
    """Return that the predicted error of a forced algorithm is above the tolerance, or nothing."""
    error, tolerance = unrounded_error(task.core, algorithm), task.terms.tolerance
    return f", above the tolerance {apart(tolerance, error)[0]}" if error > tolerance else ""


def error_in_words(core: ConvShape, algorithm: NestedAlgorithm) -> str:
    """Return the predicted error in words, and where the output is rounded to 16 bits, that it is the one before."""
    error, rounded = unrounded_error(core, algorithm), predicted_error(core, algorithm)
    assert rounded is not None  # dtypes of the native backend have a model
    after = f" before rounding to {core.dtype}, {rounded:.1e} after" if rounded != error else ""
    return f"error {error:.1e} predicted{after}"


def nothing_tolerated(task: Task) -> str:
    """Return why no candidate may be taken."""
    obstacle = error_obstacle(task, least_error(task.core))
    if obstacle:
        return f"Winograd's least {obstacle}{by_phases(task)}"
    return f"no candidate within the tolerance {task.terms.tolerance:.2g} has a tile that fits into the workspace"


def by_phases(task: Task) -> str:
    """Return how stride, dilation and groups are taken, or nothing."""
    return "" if task.phases is None else f"; {task.phases.label}"


def made_anew(task: Task, algorithm: Algorithm, settled: Filters) -> str:
    """Return that a transformed filter which was to be kept is too large for that, or nothing."""
    if settled is task.terms.filters:
        return ""
    return f"; U of {_filter_size(task, algorithm)} is above the cap and made anew in every call"


def capped(task: Task, selected: Selection) -> str:
    """Return what the cap on kept filters has changed, or nothing."""
    terms = task.terms
    anew = made_anew(task, selected.candidate, selected.timing.filters)
    if terms.filters is Filters.LIVE or not is_filter_capped(task.core, terms.limits):
        return anew
    free = select(task.core, terms.tolerance, terms.filters, replace(terms.limits, filters=None), terms.threads)
    if free is None or free.candidate == selected.candidate:
        return anew
    return f"; U of {free.candidate.label}, {_filter_size(task, free.candidate)}, is above the cap{anew}"


def _filter_size(task: Task, algorithm: Algorithm) -> str:
    return size_of(roofline.native_filter_bytes(task.core, algorithm) * task.groups)
