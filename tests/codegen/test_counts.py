"""Instruction counts that the field knows, each or fewer, with fused multiply-add and, beside them, without."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.crt import crt
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.lower import Lowering
from winograd.codegen.nested import count_passes, lower_nested
from winograd.codegen.report import STAGES, report_on

F2 = toom_cook(2, 3, "0,1,-1,inf")
F4 = toom_cook(4, 3, "0,1,-1,2,-2,inf")
F6 = toom_cook(6, 3, "0,1,-1,2,-2,1/2,-1/2,inf")
HALVES = toom_cook(4, 3, "0,1/2,-1/2,3/2,-3/2,inf")
EIGHTHS = toom_cook(4, 3, "0,5/8,-5/8,3/2,-3/2,inf")
QUADRATIC = crt(4, 3, "x,x-1,x+1,x^2+1,inf")


@dataclass(frozen=True)
class Known:
    """Instructions of the data, inverse and filter transforms of a tile that are enough, with and without FMA."""

    axes: tuple[BilinearAlgorithm, ...]
    fused: tuple[int, int, int]
    separate: tuple[int, int, int]

    @property
    def nested(self) -> NestedAlgorithm:
        return nest(*self.axes)


KNOWN = {
    "F(2,3)": Known((F2,), (4, 4, 4), (4, 4, 4)),
    "F(4,3)": Known((F4,), (12, 10, 8), (17, 13, 11)),
    "F(6,3)": Known((F6,), (24, 20, 12), (34, 30, 17)),
    "F(2x2,3x3)": Known((F2,) * 2, (32, 24, 28), (32, 24, 28)),
    "F(4x4,3x3)": Known((F4,) * 2, (144, 100, 72), (204, 130, 99)),
    "F(2,4,4)": Known((F2, F4, F4), (720, 344, 324), (960, 404, 432)),
    "F(4,4,4)": Known((F4,) * 3, (1296, 760, 504), (1836, 988, 693)),
    "F(6,6,6)": Known((F6,) * 3, (4608, 2960, 1164), (6528, 4440, 1649)),
    "F(4,3) 0,+-1/2,+-3/2": Known((HALVES,), (12, 12, 8), (20, 16, 11)),
    "F(4,3) 0,+-5/8,+-3/2": Known((EIGHTHS,), (12, 12, 8), (21, 16, 12)),
    "F(4x4,3x3) 0,+-5/8,+-3/2": Known((EIGHTHS,) * 2, (144, 120, 72), (252, 160, 108)),
    "F(2,4,4) 0,+-5/8,+-3/2": Known((F2, EIGHTHS, EIGHTHS), (720, 384, 324), (1152, 464, 468)),
    "F(4,4,4) 0,+-5/8,+-3/2": Known((EIGHTHS,) * 3, (1296, 912, 504), (2268, 1216, 756)),
    "F(4,3) x^2+1": Known((QUADRATIC,), (11, 12, 9), (11, 12, 11)),
}
"""The first seven with FMA are published or known, or fewer; the rest is what this package has reached, and keeps."""

EVERY = pytest.mark.parametrize("name", KNOWN)


def counts(nested: NestedAlgorithm, lowering: Lowering) -> list[int]:
    programs = lower_nested(nested, lowering)
    return [count_passes(programs.of(stage)).instructions for stage in STAGES]


@EVERY
def test_with_fused_multiply_add(name: str) -> None:
    known = KNOWN[name]
    found = counts(known.nested, Lowering())
    assert all(count <= enough for count, enough in zip(found, known.fused, strict=True)), found


@EVERY
def test_without_fused_multiply_add(name: str) -> None:
    known = KNOWN[name]
    found = counts(known.nested, Lowering(fma=False))
    assert all(count <= enough for count, enough in zip(found, known.separate, strict=True)), found


@EVERY
def test_the_report_states_both(name: str) -> None:
    nested = KNOWN[name].nested
    tile = report_on(nested).tile
    assert [total.counts.instructions for total in tile] == counts(nested, Lowering())
    assert [total.separate for total in tile] == counts(nested, Lowering(fma=False))


@EVERY
def test_programs_made_without_fma_take_no_more_than_split_ones(name: str) -> None:
    for total in report_on(KNOWN[name].nested).tile:
        assert total.separate <= total.counts.unfused


def test_rows_one_by_one_would_take_more() -> None:
    """What the table is worth: without the passes the data transform of F(4,3) takes nearly twice as many."""
    gains = report_on(nest(F4)).axes[0].gains
    assert (gains[0].before.instructions, gains[-1].after.instructions) == (23, 12)
