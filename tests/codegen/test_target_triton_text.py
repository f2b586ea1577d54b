"""Triton files as text, which needs no Triton: groups of passes, the options of a request, lines that wrap."""

from __future__ import annotations

import ast
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd import crt, emit, nest, toom_cook
from winograd.codegen.lower import Lowering
from winograd.codegen.nested import lower_nested
from winograd.codegen.targets.contract import Stage
from winograd.codegen.targets.triton import TARGET, tile_kernel
from winograd.codegen.targets.triton.direct_axes import DirectAxes
from winograd.codegen.targets.triton.groups import grouped
from winograd.codegen.targets.triton.printing import wrapped
from winograd.codegen.targets.triton.tile_kernel import TILE, TileKernel, live_values
from winograd.testing.strategies import nested_algorithms

F43 = toom_cook(4, 3)
F222 = nest(*[toom_cook(2, 3)] * 3)
F444 = nest(F43, F43, F43)


@given(nested_algorithms(), st.sampled_from(["data", "filter", "inverse"]), st.integers(1, 64), st.booleans())
def test_groups_are_the_passes_in_order(nested, stage: str, most: int, transposed: bool) -> None:
    passes = lower_nested(nested, Lowering(transposed=transposed)).of(stage)
    groups = grouped(passes, most)
    kept = [step for group in groups for step in group.passes]
    left_out = [step for step in passes if step not in kept]
    assert kept == [step for step in passes if step in kept]
    assert all(step.program.outputs == tuple(range(step.program.inputs)) for step in left_out)
    for group in groups:
        assert group.values <= most or len(group.passes) == 1
        # Every run of every program of the group is in one of its slices.
        for done, step in enumerate(group.passes):
            lines = [index for index in group.indices(done) if index[step.axis] == 0]
            assert len(lines) * group.slices == step.runs


@pytest.mark.parametrize("nested", [nest(F43), nest(F43, crt(2, 3, "x,x-1,x^2+1")), F222], ids=lambda n: n.label)
def test_every_request_is_python(nested) -> None:
    for stage, dtype, fma, transposed in product(TARGET.stages, TARGET.dtypes, (False, True), (False, True)):
        if stage is Stage.CONV and transposed:
            continue
        lowering = Lowering(fma=fma, transposed=transposed)
        source = emit(nested, "triton", stage=stage, dtype=dtype, lowering=lowering).source
        tree = ast.parse(source)
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        suffix = "_transposed" if transposed else ""
        public = {f"{one}_transform{suffix}" for one in stage.transforms}
        if stage is Stage.CONV:
            public = {"convolve", "run", "transform_filter", "workspace_bytes"}
        assert {name for name in functions if not name.startswith(("_", "winograd_"))} == public
        assert f"DTYPE = torch.{dtype}\n" in source
        assert fma or "tl.fma(" not in source
        assert max(len(line) for line in source.splitlines() if not line.startswith("#")) <= 120


def test_the_stage_decides_which_kernels_there_are() -> None:
    for stage in TARGET.stages:
        source = emit(F444, "triton", stage=stage, name="k").source
        for one in ("data", "filter", "inverse"):
            whole = stage is Stage.CONV and one != "filter"
            assert (f"def k_{one}_kernel{'' if whole else '_0'}(" in source) == (one in stage.transforms)
        assert ("def k_product_kernel(" in source) == (stage is Stage.CONV)


def test_lines_wrap_between_items_only() -> None:
    items = [f"{number}e-05" for number in range(-30, 30)] + ["BLOCK: tl.constexpr"]
    opening, *lines, closing = wrapped("def f(", items, "):")
    assert (opening, closing) == ("def f(", "):")
    assert "".join(f"{line.strip()} " for line in lines) == ", ".join(items) + ", "
    assert max(map(len, lines)) <= 120
    assert wrapped("f(", ["a", "b"], ",)") == ["f(a, b,)"]


def test_the_schedule_is_in_the_command_where_it_is_not_the_default() -> None:
    plain, staged, fused = (
        emit(nest(F43), "triton", schedule=schedule).source for schedule in (None, "staged", "fused")
    )
    assert plain == staged != fused
    assert "--schedule" not in plain
    assert "--target triton --schedule fused\n" in fused
    assert 'SCHEDULE = "fused"\n' in fused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"target": "triton", "schedule": "layered"},
            "schedule 'layered' is not for target triton; allowed: staged, fused",
        ),
        (
            {"target": "triton", "schedule": "fused", "stage": "data"},
            "schedule 'fused' is for stage 'conv', not for 'data'",
        ),
        ({"target": "numpy", "schedule": "staged"}, "schedule 'staged' is not for target numpy, whose code has none"),
    ],
)
def test_schedules_are_refused_where_there_are_none(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        emit(nest(F43), **options)


@pytest.mark.parametrize(("kept", "parts"), [(216, 1), (112, 2), (76, 3), (1, 6)])
def test_a_tile_is_shared_by_as_few_programs_as_hold_it(monkeypatch: pytest.MonkeyPatch, kept: int, parts: int) -> None:
    monkeypatch.setattr(tile_kernel, "MAX_LIVE", kept)
    passes = lower_nested(F444).data
    kernel = TileKernel("data", passes, TILE, read=str, write=lambda index, value: [f"store {index} {value}"])
    assert len(kernel.parts) == parts
    assert [output for part in kernel.parts for output in part] == list(range(6))
    stores = [line for part in range(parts) for line in kernel.statements(part) if line.startswith("store")]
    assert len({line.split(" y")[0].split(" z")[0] for line in stores}) == len(stores) == 216
    if parts > 1:
        assert live_values(kernel.steps, len(kernel.parts[0])) <= max(kept, live_values(kernel.steps, 1))


def test_direct_axes_have_taps_and_no_positions() -> None:
    for m, r in product((1, 2), (1, 3)):
        axes = DirectAxes(nest(toom_cook(m, r), F43))
        assert axes.direct == (True, m == 1 or r == 1, False)
        assert (axes.positions, axes.taps) == ((24, (1, 1, 1)) if m == 2 and r == 3 else (6, (1, r, 1)))
