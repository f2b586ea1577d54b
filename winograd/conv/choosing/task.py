"""Tasks: what a plan has to find an algorithm for, and what one run of it may take.

In: a `ConvShape` and `Terms`. Out: a `Task` with the dense convolution of stride 1 that is computed, as many images at
a time as the workspace allows, and the time of all its runs and copies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from winograd.conv import roofline
from winograd.conv.choosing.selection import Filters, Timing
from winograd.conv.geometry.phases import Phases, phases_of
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.limits import MemoryLimits
from winograd.conv.roofline import Algorithm


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan is asked for, beside the shape and the algorithm."""

    tolerance: float
    filters: Filters
    limits: MemoryLimits
    threads: int


@dataclass(frozen=True, slots=True)
class Task:
    """A shape, the dense convolution that is to be computed for it, and what one run of that may take.

    Parameters
    ----------
    shape : ConvShape
    phases : Phases or None
        None where the shape is dense already.
    terms : Terms
        Of one run: less the copies, and its share of the kept filters.
    workspace_cap : int or None
        Of a call, copies included.
    """

    shape: ConvShape
    phases: Phases | None
    terms: Terms
    workspace_cap: int | None

    @property
    def core(self) -> ConvShape:
        """The shape that the algorithm is to compute."""
        return self.shape if self.phases is None else self.phases.core

    @property
    def groups(self) -> int:
        """Groups, each of which has a filter of its own."""
        return 1 if self.phases is None else self.phases.groups

    @property
    def held_bytes(self) -> int:
        """Bytes that copies hold."""
        return 0 if self.phases is None else self.phases.held_bytes

    def milliseconds(self, algorithm: Algorithm, timing: Timing) -> float:
        """Return the time of all runs, of the filters if they are made anew, and of the copies."""
        if self.phases is None:
            return timing.milliseconds
        anew = timing.filters is Filters.LIVE
        filters = roofline.filter_ms(self.core, algorithm, self.terms.threads) if anew else 0.0
        once = (timing.milliseconds - filters) * self.phases.runs + filters * self.phases.groups
        return once + roofline.copies_ms(self.phases.copied_bytes, self.terms.threads)


def core_task(shape: ConvShape, terms: Terms) -> Task:
    """Return the task with limits for one run: copies come out of the workspace, groups share the kept filters."""
    phases = _held_phases(shape, terms.limits.workspace)
    if phases is None:
        return Task(shape, None, terms, terms.limits.workspace)
    limits = terms.limits
    workspace = None if limits.workspace is None else max(limits.workspace - phases.held_bytes, 1)
    filters = None if limits.filters is None else max(limits.filters // phases.groups, 1)
    own = replace(terms, limits=MemoryLimits(workspace, filters))
    return Task(shape, phases, own, terms.limits.workspace)


def _held_phases(shape: ConvShape, workspace_cap: int | None) -> Phases | None:
    """Return the phases of as many images at a time as fit into half the workspace, at least one."""
    phases = phases_of(shape)
    if phases is None or workspace_cap is None:
        return phases
    one = Phases(shape, 1)
    most = max(workspace_cap // (2 * one.held_bytes), 1)
    parts = -(-shape.batch // most)
    return replace(phases, images=-(-shape.batch // parts))
