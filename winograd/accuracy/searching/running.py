"""Running the units of a stage: those whose results are kept are not done again, the others where there are workers.

In: a `Stage`. Out: the results, each kept before it is returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from winograd.accuracy.progress import no_progress, progress_bar
from winograd.accuracy.searching.stages import PASSING, Stage, Unit
from winograd.accuracy.searching.trials import Result, Trials
from winograd.accuracy.searching.workers import Workers

_AT_ONCE: Final = 512
"""Units whose keys are looked up together: there may be more than a computer can list."""


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
        """Yield units with their results, some hundreds of units at a time: those kept, then others as finished."""
        shown = self.progress and stage.units
        with progress_bar(len(stage.units), stage.title) if shown else no_progress() as update:
            for first in range(0, len(stage.units), _AT_ONCE):
                for pair in self._some(stage, stage.units[first : first + _AT_ONCE]):
                    update(1)
                    yield pair

    def _some(self, stage: Stage, units: Sequence[Unit]) -> Iterator[tuple[Unit, Result]]:
        keys = [stage.key(unit) for unit in units]
        kept = self.trials.get(keys) if self.trials else {}
        yield from ((unit, kept[key]) for unit, key in zip(units, keys, strict=True) if key in kept)
        missing = [(number, units[number]) for number, key in enumerate(keys) if key not in kept]
        for number, result in self.workers.apply(partial(_numbered, stage.work), missing):
            if self.trials and PASSING not in result:
                self.trials.put(keys[number], stage.words(units[number]), result)
            yield units[number], result


def _numbered(work: Callable[[Unit], Result], item: tuple[int, Unit]) -> tuple[int, Result]:
    number, unit = item
    return number, work(unit)
