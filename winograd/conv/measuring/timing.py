"""Timing on a noisy machine: candidates take turns, and are compared round by round.

In: callables by name. Out: times in milliseconds, one per round. Knows nothing of what is timed.
"""

from __future__ import annotations

import os
import platform
import random
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final, TypeVar

from winograd import __version__

Name = TypeVar("Name", bound=Hashable)

Times = dict[str, list[float]]
"""Milliseconds of each round by the name of the callable."""

SCREENING_ROUNDS: Final = 3
"""Rounds in which all variants take part; those that are clearly slower drop out of the others."""


def interleaved(callables: Mapping[Name, Callable[[], object]], repeats: int) -> dict[Name, list[float]]:
    """Run the callables in turn, and return the time of each in each round.

    A round that is not counted comes first. Neither the first call nor a fixed neighbour may decide, since what ran
    just before has filled the caches: two run A B B A in every round, where each comes once after itself and once after
    the other, and count by their means; more come in another random order (seeded) in every round.

    Parameters
    ----------
    callables : mapping of name to callable
        What to time; results are dropped.
    repeats : int
        Number of counted rounds, at least 1.

    Returns
    -------
    dict of name to list of float
        Milliseconds, one per round, round i of all names from the same stretch of time.

    Raises
    ------
    ValueError
        If repeats is below 1.

    Examples
    --------
    >>> times = interleaved({"short": lambda: None, "long": lambda: sum(range(100_000))}, repeats=3)
    >>> len(times["short"]), median_ratio(times["long"], times["short"]) > 1
    (3, True)
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}, must be at least 1")
    for call in callables.values():
        call()
    times: dict[Name, list[float]] = {name: [] for name in callables}
    order, generator = list(callables.items()), random.Random(0)
    for _ in range(repeats):
        if len(order) == 2:
            there, back = _timed(order), _timed(order[::-1])
            found = {name: (there[name] + back[name]) / 2 for name in callables}
        else:
            found = _timed(order)
            generator.shuffle(order)
        for name, milliseconds in found.items():
            times[name].append(milliseconds)
    return times


def _timed(order: Iterable[tuple[Name, Callable[[], object]]]) -> dict[Name, float]:
    """Call one after the other; return the milliseconds of each."""
    times = {}
    for name, call in order:
        start = perf_counter()
        call()
        times[name] = (perf_counter() - start) * 1e3
    return times


def fastest(times: Mapping[Name, list[float]]) -> Name:
    """Return the name with the least median."""
    return min(times, key=lambda name: median(times[name]))


def contenders(times: Mapping[Name, list[float]], within: float = 1.25) -> list[Name]:
    """Return the names whose median is at most ``within`` times the least one: those that deserve more rounds."""
    limit = within * median(times[fastest(times)])
    return [name for name, values in times.items() if median(values) <= limit]


def race(
    rivals: Mapping[str, Mapping[str, Callable[[], object]]], repeats: int, *, screening: int = SCREENING_ROUNDS
) -> dict[str, Times]:
    """Time the variants of several rivals, all of them interleaved, so that each rival is judged by its best variant.

    Parameters
    ----------
    rivals : mapping of rival to mapping of variant to callable
        What to time, at least one variant each.
    repeats : int
        Number of counted rounds, at least 1.
    screening : int
        Rounds before them, at least 1; variants that are slower than their rival's best by more than a quarter there
        take no part in those that count.

    Returns
    -------
    dict of rival to dict of variant to list of float
        Milliseconds, one per round, of the variants that took part.

    Examples
    --------
    >>> slow, fast = (lambda: sum(range(100_000))), (lambda: None)
    >>> times = race({"ours": {"one": fast}, "theirs": {"one": slow, "other": fast}}, repeats=2)
    >>> {rival: list(variants) for rival, variants in times.items()}
    {'ours': ['one'], 'theirs': ['other']}
    """
    everybody = {(rival, variant): call for rival, variants in rivals.items() for variant, call in variants.items()}
    screened = interleaved(everybody, screening)
    kept = [
        (rival, variant)
        for rival, variants in rivals.items()
        for variant in contenders({variant: screened[rival, variant] for variant in variants})
    ]
    times = interleaved({name: everybody[name] for name in kept}, repeats)
    return {
        rival: {variant: values for (owner, variant), values in times.items() if owner == rival} for rival in rivals
    }


def median_ratio(slower: Sequence[float], faster: Sequence[float]) -> float:
    """Return the median over the rounds of slower / faster: above 1 if the names tell the truth."""
    return median(a / b for a, b in zip(slower, faster, strict=True))


def measured_on() -> dict[str, str | int]:
    """Return what a figure of speed is worth nothing without: processor, cores, versions and the day."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "winograd": __version__,
        **{package: _installed(package) for package in ("torch", "numpy")},
        "date": date.today().isoformat(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
