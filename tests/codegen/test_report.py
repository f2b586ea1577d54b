"""The report: gains that follow each other, totals that are those of the programs, what a machine makes of them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.cost import MACHINES
from winograd.codegen.lower import Lowering, SumOrder, lower_axis
from winograd.codegen.nested import count_passes, lower_nested
from winograd.codegen.report import STAGES, report_on

F2, F4 = toom_cook(2, 3, "0,1,-1,inf"), toom_cook(4, 3, "0,1,-1,2,-2,inf")
NESTED = nest(F2, F4, F4)
LOWERINGS = [
    Lowering(),
    Lowering(fma=False),
    Lowering(order=SumOrder.HUFFMAN),
    Lowering(transposed=True),
    Lowering(SumOrder.BALANCED, fma=False, transposed=True),
]
EVERY = pytest.mark.parametrize("lowering", LOWERINGS, ids=repr)


@EVERY
def test_gains_lead_to_the_programs(lowering: Lowering) -> None:
    for one in report_on(NESTED, lowering).axes:
        program = getattr(lower_axis(NESTED.axes[one.axes[0]], lowering), one.stage)
        assert one.gains[-1].after == program.counts
        assert all(first.after == second.before for first, second in pairwise(one.gains))
        assert all(first.live_after == second.live_before for first, second in pairwise(one.gains))
        names = [gain.name for gain in one.gains]
        assert ("fusing" in names) == lowering.fma
        assert ("summation" in names) == (lowering.order is not SumOrder.SEQUENTIAL)


@EVERY
def test_totals_are_those_of_the_programs(lowering: Lowering) -> None:
    programs = lower_nested(NESTED, lowering)
    for total in report_on(NESTED, lowering).tile:
        steps = programs.of(total.stage)
        assert total.counts == count_passes(steps)
        assert total.order == tuple(step.axis for step in steps)
        assert [name for name, _ in total.costs] == list(MACHINES)
        for name, cost in total.costs:
            assert cost.instructions == total.counts.under(MACHINES[name].arithmetic)
            assert cost.live == total.live


def test_every_axis_and_every_transform_is_there_once() -> None:
    report = report_on(NESTED)
    assert [(one.stage, one.axes) for one in report.axes] == [
        (stage, axes) for axes in ((0,), (1, 2)) for stage in STAGES
    ]
    assert [total.stage for total in report.tile] == list(STAGES)


def test_what_is_stored_between_two_axes_is_stated() -> None:
    data, inverse, filter_ = report_on(NESTED).tile
    assert (data.stored, inverse.stored, filter_.stored) == ((144, 144), (72, 48), (36, 72))


def test_a_large_tile_spills_where_registers_are_few_and_not_where_there_are_many() -> None:
    [data, *_] = report_on(nest(toom_cook(16, 3))).tile
    costs = dict(data.costs)
    assert data.live > MACHINES["AVX2"].registers
    assert costs["AVX2"].spills > 0
    assert costs["AVX-512"].spills == costs["GPU thread"].spills == 0
