"""Running the units of a stage: those whose results are kept are not done again, the others where there are workers.

In: a `Stage`. Out: the results, each kept before it is returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from winograd.accuracy.progress import no_progress, progress_bar
from winograd.accuracy.searching.stages import Stage, Unit
from winograd.accuracy.searching.trials import Result, Trials
from winograd.accuracy.searching.workers import Workers


@dataclass(frozen=True, slots=True)
class Running:
    """Where units are done, where their results are kept, and whether progress is shown.

    Parameters
    ----------
    workers : Workers
    trials : Trials, optional
        None keeps nothing.
    progress : bool
        A bar on stderr, if that is a terminal.
    """

    workers: Workers
    trials: Trials | None
    progress: bool

    def results(self, stage: Stage) -> Iterator[tuple[Unit, Result]]:
        """Yield units with their results: those that are kept, then the others as they are finished."""
        keys = [stage.key(unit) for unit in stage.units]
        kept = self.trials.get(keys) if self.trials else {}
        shown = self.progress and stage.units
        with progress_bar(len(stage.units), stage.title) if shown else no_progress() as update:
            for unit, key in zip(stage.units, keys, strict=True):
                if key in kept:
                    update(1)
                    yield unit, kept[key]
            missing = [(number, stage.units[number]) for number, key in enumerate(keys) if key not in kept]
            for number, result in self.workers.apply(partial(_numbered, stage.work), missing):
                unit = stage.units[number]
                if self.trials:
                    self.trials.put(keys[number], stage.words(unit), result)
                update(1)
                yield unit, result


def _numbered(work: Callable[[Unit], Result], item: tuple[int, Unit]) -> tuple[int, Result]:
    number, unit = item
    return number, work(unit)
