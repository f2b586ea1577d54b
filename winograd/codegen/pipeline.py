"""The pipeline: the passes that every program goes through, in order, and what each of them gained.

In: a program, and what it is to run on. Out: a cheaper one of the same matrix, and a `Gain` per pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

from winograd.codegen.passes.beginning import begin_positive
from winograd.codegen.passes.collecting import collect
from winograd.codegen.passes.dead_code import drop_dead_code
from winograd.codegen.passes.factoring import factor
from winograd.codegen.passes.fusing import fuse
from winograd.codegen.passes.pairing import pair
from winograd.codegen.passes.scheduling import live_values, schedule
from winograd.codegen.passes.sharing import share
from winograd.codegen.passes.summation import SumOrder, add_small_first, balance
from winograd.codegen.program import Arithmetic, Counts, Program

Pass = Callable[[Program], Program]
"""What a pass is: it keeps the exact result, changes nothing when it runs again, and never makes a program worse."""

PASSES: Final = MappingProxyType[str, Pass](
    {
        "pairing": pair,
        "factoring": factor,
        "fusing": fuse,
        "sharing": share,
        "dead code": drop_dead_code,
        "scheduling": schedule,
    }
)
"""The passes by name, in the order in which they run, for machines with fused multiply-add."""

SEPARATE_PASSES: Final = MappingProxyType[str, Pass](
    {
        "pairing": partial(pair, arithmetic=Arithmetic.SEPARATE),
        "factoring": partial(factor, arithmetic=Arithmetic.SEPARATE),
        "beginning": begin_positive,
        "collecting": partial(collect, arithmetic=Arithmetic.SEPARATE),
        "sharing": partial(share, arithmetic=Arithmetic.SEPARATE),
        "dead code": drop_dead_code,
        "scheduling": schedule,
    }
)
"""The passes without fused multiply-add: of their alternatives each takes what then costs least."""

SUMMATION: Final = MappingProxyType[SumOrder, Pass]({SumOrder.BALANCED: balance, SumOrder.HUFFMAN: add_small_first})
"""The passes for orders of sums; sequential is the order that all other passes write."""

STRUCTURAL: Final = ("pairing", "factoring", "fusing")
"""Passes that ask of the entries of a matrix only which of them, and of their ratios, are equal, and their signs."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What one pass made of a program: instructions, and values that are alive at once, before and after."""

    name: str
    before: Counts
    after: Counts
    live_before: int
    live_after: int


def gain_between(name: str, before: Program, after: Program) -> Gain:
    """Return what a pass of this name made of a program."""
    return Gain(name, before.counts, after.counts, live_values(before), live_values(after))


def passes_for(arithmetic: Arithmetic, order: SumOrder) -> dict[str, Pass]:
    """Return the passes for a machine and an order of sums, by name.

    Examples
    --------
    >>> list(passes_for(Arithmetic.SEPARATE, SumOrder.BALANCED))
    ['pairing', 'factoring', 'beginning', 'collecting', 'sharing', 'dead code', 'summation', 'scheduling']
    """
    passes = dict(PASSES if arithmetic is Arithmetic.FUSED else SEPARATE_PASSES)
    if order in SUMMATION:
        last = {"scheduling": passes.pop("scheduling")}
        passes |= {"summation": SUMMATION[order]} | last
    return passes


def run_passes(program: Program, passes: Mapping[str, Pass] = PASSES) -> tuple[Program, tuple[Gain, ...]]:
    """Return the program after the passes, and what each gained.

    Examples
    --------
    >>> from winograd.algebra.bilinear import fraction_rows
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> from winograd.codegen.lower import row_by_row
    >>> program, gains = run_passes(row_by_row(fraction_rows(toom_cook(4, 3, "0,1,-1,2,-2,inf").bt)))
    >>> [(gain.name, gain.after.instructions, gain.after.unfused) for gain in gains][:3]
    [('pairing', 18, 18), ('factoring', 18, 18), ('fusing', 12, 20)]
    """
    gains = []
    for name, run in passes.items():
        better = run(program)
        gains.append(gain_between(name, program, better))
        program = better
    return program, tuple(gains)
