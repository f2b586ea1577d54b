"""The shape of a lowered program: its instructions, with each constant as an entry of the matrix or a ratio of two.

In: exact rows of one candidate. Out: `Shape`, and the ratios that decided it. Candidates whose entries and these ratios
agree in their signs and in which of them are equal to each other and to 1 have programs of one shape, unless values are
shared further: the other passes that change anything ask their numbers nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from winograd.accuracy.batch.entry import Entry, Ratio
from winograd.algebra.bilinear import FractionRows
from winograd.codegen.lower import lower_rows
from winograd.codegen.pipeline import STRUCTURAL
from winograd.codegen.program import Program


@dataclass(frozen=True, slots=True)
class Case:
    """A matrix known by its width, its pattern, and the exact rows of one example, which take no part in comparison."""

    columns: int
    pattern: bytes
    example: Callable[[], FractionRows] = field(compare=False, repr=False)


@lru_cache(maxsize=16384)
def program_of(case: Case) -> Program:
    """Return the program of the example; its constants are `Entry`."""
    return _lowered(case.example())[0]


@lru_cache(maxsize=16384)
def ratios_of(case: Case) -> tuple[Ratio, ...]:
    """Return the ratios of entries that the program, or one that was compared with it, depends on."""
    return _lowered(case.example())[1]


@lru_cache(maxsize=16384)
def is_shared(case: Case) -> bool:
    """Say whether the example's values are shared further: then nothing is known of other candidates' programs."""
    rows = case.example()
    return lower_rows(rows).counts != lower_rows(rows, STRUCTURAL).counts


def _lowered(rows: FractionRows) -> tuple[Program, tuple[Ratio, ...]]:
    ratios: dict[Ratio, None] = {}
    traced = tuple(tuple(Entry.of(value, (i, j), ratios) for j, value in enumerate(row)) for i, row in enumerate(rows))
    return lower_rows(traced, STRUCTURAL), tuple(ratios)
